"""Stages killed at random moments and while they write, and finished afterwards."""

import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.robustness.harness import (
    Options,
    Row,
    busy_place,
    counted,
    differing,
    ended,
    failure,
    has_traceback,
    say,
    start,
    started_stage,
    target,
)
from tests.robustness.stages_alone import outs_of
from tests.test_dependencies import STAGES
from tests.tiny_project import Place

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
MOMENTS = 2  # random ones for each stage and signal
FIRST_MOMENT = 0.1  # seconds; by then Python has begun with the stage
LATE = 0.02  # seconds from a file's first byte within which a kill falls
NOTES = (
    "The tiny data set, 30 epochs and a checkpoint after each. Every file is compared with those of an undisturbed "
    "run: a half-written one is one that stands under its name with other bytes, a lost one was there before the kill. "
    "A moment is random within the time that the stage takes undisturbed."
)


@dataclass(frozen=True)
class Undisturbed:
    """What a run gives that nobody disturbs.

    Attributes:
        place: Where it has run.
        outs: Each stage's files: name -> path -> content.
        digests: Of all of them, and of dvc.lock.
        seconds: What `dvc repro` takes.
    """

    place: Place
    outs: dict[str, dict[str, bytes]]
    digests: dict[str, str]
    seconds: float


@dataclass
class Tally:
    """What kills of one stage left behind."""

    kills: Counter[str] = field(default_factory=Counter)
    too_late: int = 0
    wrong: list[str] = field(default_factory=list)

    def row(self, what: str) -> Row:
        happened = "; ".join(self.wrong) or "no half-written file, none lost, no traceback"
        if self.too_late:
            happened += f" ({self.too_late} more had ended before)"
        kills = ", ".join(f"{count} {name}" for name, count in self.kills.items())
        return Row(f"{what}: {kills}", self.kills.total(), happened, not self.wrong)


def undisturbed(tree: Place) -> Undisturbed:
    place = tree.copied(tree.folder.parent / "undisturbed")
    began = time.monotonic()
    done = place.dvc("repro")
    seconds = time.monotonic() - began
    assert done.code == 0, done
    outs = {name: outs_of(place.folder, name) for name in STAGES}
    return Undisturbed(place, outs, place.digests([*place.outs(), "dvc.lock"]), seconds)


def seconds_alone(place: Place, name: str) -> float:
    """What a stage's script takes, without DVC."""
    began = time.monotonic()
    done = ended(started_stage(place, name))
    assert done.code == 0, done
    return time.monotonic() - began


def kill_stage(
    place: Place, name: str, number: signal.Signals, arrived: Callable[[subprocess.Popen[str]], object], tally: Tally
) -> None:
    """Start a stage's script, kill it at the moment, and see what it leaves in the place of its outs."""
    before = whole_outs(place, name)
    process = started_stage(place, name)
    arrived(process)
    process.send_signal(number)
    done = ended(process)
    if done.code == 0:
        tally.too_late += 1
    else:
        tally.kills[number.name] += 1
    if done.code not in (0, -number, 128 + number):
        tally.wrong.append(f"{number.name}: {failure(done)}")
    if has_traceback(done.output):
        tally.wrong.append(f"{number.name}: traceback: {failure(done)}")
    if number != signal.SIGKILL and (left := list(place.folder.rglob(f".*.{process.pid}.partial"))):
        tally.wrong.append(f"{number.name}: left {left}")
    if lost := set(before) - set(whole_outs(place, name)):
        tally.wrong.append(f"{number.name}: lost {sorted(lost)}")


def whole_outs(place: Place, name: str) -> dict[str, bytes]:
    """Those of a stage's files that are to be whole, as they are under their names."""
    files = outs_of(place.folder, name).items()
    return {file: content for file, content in files if not file.endswith(".partial")}


def half_written(place: Place, name: str, expected: Undisturbed) -> list[str]:
    found = whole_outs(place, name).items()
    return [f"half-written {file}" for file, content in found if content != expected.outs[name].get(file)]


def kill_at_random(tree: Place, expected: Undisturbed, options: Options) -> list[Row]:
    """Walk along the chain; kill each stage before it has any outs, then let DVC finish it."""
    generator = random.Random(f"{options.seed} at random")
    place, rows = tree.copied(tree.folder.parent / "killed at random"), []
    for name in STAGES:
        seconds = seconds_alone(expected.place, name)
        say(f"interrupted: {name} at random moments")
        tally = Tally()
        for number in SIGNALS * options.times(MOMENTS):
            moment = generator.uniform(FIRST_MOMENT, seconds)
            kill_stage(place, name, number, lambda process, moment=moment: ends_within(process, moment), tally)
            tally.wrong += half_written(place, name, expected)
        done = place.dvc("repro", "--single-item", target(name))
        if done.code or has_traceback(done.output):
            tally.wrong.append(f"dvc repro {failure(done)}")
        rows.append(tally.row(f"{name}, before it has outs"))
    return [*rows, finished(place, expected, "after all of these")]


def kill_while_writing(tree: Place, expected: Undisturbed, options: Options) -> list[Row]:
    """In a finished chain, kill each stage while it writes one of its files, which is there already."""
    generator = random.Random(f"{options.seed} writing")
    place, rows = expected.place.copied(tree.folder.parent / "killed while writing"), []
    for name in STAGES:
        say(f"interrupted: {name} while it writes")
        tally = Tally()
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
            file = place.folder / generator.choice(sorted(expected.outs[name]))
            late = generator.uniform(0, LATE)
            kill_stage(
                place, name, number, lambda process, file=file, late=late: writes_within(process, file, late), tally
            )
            tally.wrong += half_written(place, name, expected)
        rows.append(tally.row(f"{name}, while it replaces a file"))
    return [*rows, finished(place, expected, "after all of these"), *left_overs(place, expected)]


def left_overs(place: Place, expected: Undisturbed) -> list[Row]:
    """Half-written files beside every out do not enter DVC, and the stage's next run removes them."""
    gone = start(place, "this")  # whatever it says: its number is nobody's now
    gone.communicate()
    files = [Path(file) for files in expected.outs.values() for file in files]
    for file in files:
        (place.folder / file).with_name(f".{file.name}.{gone.pid}.partial").write_bytes(b"half")
    done = place.dvc("repro")
    ran_none = done.code == 0 and not done.ran and not differing(place, expected.digests)
    committed = place.dvc("commit", "--force")
    same = committed.code == 0 and not differing(place, expected.digests)
    again = place.dvc("repro", "--force")
    same_again = again.code == 0 and not differing(place, expected.digests)
    left = [path.name for path in place.folder.rglob("*.partial")]
    entered = [path for path in (place.folder / ".dvc/cache").rglob("*.dir") if ".partial" in path.read_text("utf-8")]
    well = ran_none and same and same_again and not left and not entered
    happened = (
        "dvc repro runs nothing, dvc commit adds nothing, dvc repro --force gives the same files and removes them"
    )
    if not well:
        happened = f"{failure(done)}; {failure(committed)}; {failure(again)}; left {left}; entered {entered}"
    what = "a half-written file of a process that is no more, beside every file of every out"
    return [Row(what, len(files), happened, well)]


def finished(place: Place, expected: Undisturbed, when: str) -> Row:
    done = place.dvc("repro")
    different = differing(place, expected.digests)
    well = done.code == 0 and not different and not has_traceback(done.output)
    happened = f"finished; {counted(len(expected.digests) - len(different), 'file')} the same, {len(different)} others"
    if not well:
        happened += f": {different}; {failure(done)}"
    return Row(f"`dvc repro` {when}", 1, happened, well)


def ends_within(process: subprocess.Popen[str], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def writes_within(process: subprocess.Popen[str], file: Path, late: float) -> None:
    """Wait until a process has begun to write a file, and a little longer, unless it has gone on to put it in place."""
    partial = file.with_name(f".{file.name}.{process.pid}.partial")
    while process.poll() is None and not partial.exists():
        time.sleep(0.0005)
    until = time.monotonic() + late
    while partial.exists() and time.monotonic() < until:
        time.sleep(0.0005)


def report(options: Options) -> list[Row]:
    with busy_place() as tree, ThreadPoolExecutor(2) as pool:
        say("interrupted: the undisturbed run")
        expected = undisturbed(tree)
        walks = [pool.submit(walk, tree, expected, options) for walk in (kill_at_random, kill_while_writing)]
        rows = [row for walk in walks for row in walk.result()]
    return [*rows, total(rows)]


def total(rows: Iterable[Row]) -> Row:
    killed = [row for row in rows if "SIG" in row.done]
    bad = sum(not row.well for row in killed)
    happened = f"{bad} rows with a loss, a difference or a traceback"
    return Row("all kills", sum(row.times for row in killed), happened, not bad)
