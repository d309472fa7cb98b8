"""What all subjects share: how much is done, places to do it in, rows of the table in Markdown, the machine."""

import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.test_dependencies import STAGES
from tests.tiny_project import Ended, Place, make_place, own_environment

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
        place.commit()
        yield place


@contextmanager
def busy_place() -> Iterator[Place]:
    """Give a tiny place with more to do in it, and a checkpoint after every epoch."""
    with tiny_place() as place:
        place.set_params({"epochs_scale": 1.0})
        checkpoints = place.folder / "src/singlefilter/training/checkpoint.py"
        code, count = re.subn("SECONDS_BETWEEN = [0-9]+", "SECONDS_BETWEEN = 0", checkpoints.read_text("utf-8"))
        assert count == 1
        checkpoints.write_text(code, encoding="utf-8")
        place.commit()
        yield place


def start(place: Place, *arguments: str) -> subprocess.Popen[str]:
    """Start a Python module in a group of its own, as a terminal does."""
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=place.folder,
        env=place.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )


def ended(process: subprocess.Popen[str]) -> Ended:
    """Wait for a process, and for all that it started and left."""
    output = process.communicate(timeout=300)[0]
    return Ended(process.returncode, output)


def started_stage(place: Place, name: str) -> subprocess.Popen[str]:
    """Start a stage's script without DVC."""
    return start(place, f"stages.{name}", *(["--seed", "0"] if "matrix" in STAGES[name] else []))


def target(name: str) -> str:
    """What DVC calls a stage, or its only sample."""
    return f"{name}@0" if "matrix" in STAGES[name] else name


def differing(place: Place, expected: dict[str, str]) -> list[str]:
    """The files that do not have the expected digests, or are not there."""
    there = [file for file in expected if (place.folder / file).is_file()]
    found = place.digests(there)
    return [file for file in expected if found.get(file) != expected[file]]


def has_traceback(output: str) -> bool:
    return "Traceback (most recent call last)" in output


def failure(ended: Ended) -> str:
    """The last that a command said, on one line."""
    return f"ended with {ended.code}: {' / '.join(ended.output.split(chr(10))[-6:])[-400:]}".replace("|", "/")


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
