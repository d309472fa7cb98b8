"""params.yaml with odd YAML, and with odd values in any place: a clear refusal, or parameters that can be used."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

from tests.pipeline.odd_params import ACCEPTED, REFUSED, as_yaml, odd_texts, odd_values, outcome, write_files
from tests.robustness.harness import Options, Row, say

MOST_SECONDS = 1
NOTES = (
    "Each file is read by `load_params`. Well: it is refused in lines that begin with the file's name, or its "
    f"parameters can be used; each within {MOST_SECONDS} s, and nothing but InputError is raised."
)


def report(options: Options) -> list[Row]:
    cases = {
        "odd YAML, to be refused": (lambda: [content for content, _ in REFUSED.values()], "refused"),
        "odd YAML, to be accepted": (lambda: list(ACCEPTED.values()), "accepted"),
        "up to three values replaced, left out or added": (drawn(odd_values(), 5000, options, as_yaml), None),
        "a stretch replaced by YAML's own characters": (drawn(odd_texts(), 5000, options), None),
    }
    rows = []
    with TemporaryDirectory() as folder:
        for what, (contents, expected) in cases.items():
            say(f"parameters: {what}")
            rows.append(row(what, contents(), expected, Path(folder)))
    return rows


def drawn(
    strategy: SearchStrategy[Any], times: int, options: Options, write: Callable[[Any], str] = str
) -> Callable[[], list[str]]:
    """What a strategy draws, as the text of a file; a drawing that YAML cannot hold is left out."""

    def draw() -> list[str]:
        found: list[str] = []

        @seed(options.seed)
        @settings(
            max_examples=100 if options.quick else times,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(strategy)
        def keep(value: Any) -> None:
            found.append(write(value))

        keep()
        return found

    return draw


def row(what: str, contents: list[str] | list[bytes], expected: str | None, folder: Path) -> Row:
    """Read each content as params.yaml, and count how that ended."""
    counts: Counter[str] = Counter()
    slowest = 0.0
    for content in contents:
        path = write_files(folder, content)
        try:
            told, seconds = outcome(path)
        except Exception as error:  # what must not be
            counts[f"{type(error).__name__}: {str(error)[:80]!r}"] += 1
            continue
        slowest = max(slowest, seconds)
        refused = all(line.startswith((str(path), str(folder / "catalog.yaml"))) for line in told.split("\n"))
        counts["accepted" if told == "accepted" else "refused" if refused else f"unclear: {told[:80]!r}"] += 1
    happened = "; ".join(f"{count} {how}" for how, count in counts.most_common())
    well = set(counts) <= ({expected} if expected else {"accepted", "refused"}) and slowest < MOST_SECONDS
    return Row(what, len(contents), f"{happened}; slowest: {slowest:.2f} s", well)
