"""What all subjects share: how much is done, places to do it in, rows of the table in Markdown, the machine."""

import os
import platform
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.tiny_project import Place, make_place, own_environment

HEADINGS = ("what was done", "how often", "what happened")


@dataclass(frozen=True)
class Options:
    """How much is done.

    Attributes:
        quick: A short sample, which shows that everything runs.
        seed: Of the random moments.
    """

    quick: bool = False
    seed: int = 0

    def times(self, usual: int) -> int:
        """How often to do what a full run does `usual` times."""
        return 1 if self.quick else usual


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        done: What was done.
        times: How often.
        happened: What happened.
        well: Whether nothing was lost, differs from what it should be, or ended in a traceback.
    """

    done: str
    times: int
    happened: str
    well: bool = True


@contextmanager
def tiny_place(name: str = "project") -> Iterator[Place]:
    """Give a temporary copy of this tree with a tiny data set, committed to a Git repository of its own."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        settings = Path(folder) / "dvc"
        place = make_place(Path(folder) / name, own_environment(settings))
        commit(place)
        yield place


def commit(place: Place) -> None:
    """Commit the whole tree, the user's own images too, which are otherwise ignored."""
    place.git("add", "--force", ".")
    place.git("-c", "user.name=Someone", "-c", "user.email=someone@example.org", "commit", "--quiet", "-m", "Tiny")


def differing(place: Place, expected: dict[str, str]) -> list[str]:
    """The files that do not have the expected digests, or are not there."""
    there = [file for file in expected if (place.folder / file).is_file()]
    found = place.digests(there)
    return [file for file in expected if found.get(file) != expected[file]]


def has_traceback(output: str) -> bool:
    return "Traceback (most recent call last)" in output


def counted(count: int, what: str, plural: str = "") -> str:
    """Write a count with its noun, such as "1 file"."""
    return f"{count} {what if count == 1 else plural or f'{what}s'}"


def say(text: str) -> None:
    """Tell the terminal how far the work is, outside the table."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def table(rows: Iterable[Row]) -> str:
    """Write the rows in Markdown."""
    lines: list[Sequence[str]] = [HEADINGS, ["---"] * len(HEADINGS)]
    lines += [(row.done, str(row.times), row.happened if row.well else f"**{row.happened}**") for row in rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def show(title: str, notes: str, rows: Iterable[Row]) -> None:
    """Print one subject: its title, what was done, and what happened."""
    print("\n".join(["", f"## {title}", "", notes, "", table(rows)]), flush=True)


def machine(options: Options) -> str:
    """Say on what it was done, in Markdown."""
    lines = [
        "# Robustness",
        "",
        f"* {platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}; seed {options.seed}",
        "* Bold: something was lost, differs from what it should be, or ended in a traceback.",
    ]
    if options.quick:
        lines.append("* **Quick: a short sample.**")
    return "\n".join(lines)
