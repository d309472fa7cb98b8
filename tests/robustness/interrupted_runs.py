"""Whole runs of DVC killed at random moments, with their stages or without, and finished afterwards."""

import os
import random
import signal
from concurrent.futures import ThreadPoolExecutor

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
)
from tests.robustness.interrupted import FIRST_MOMENT, SIGNALS, Tally, Undisturbed, ends_within, total, undisturbed
from tests.tiny_project import Place

KILLS = 3  # of one run
NOTES = (
    "`dvc repro` on the tiny data set, 30 epochs; killed, and begun again at once, while a stage that was left behind "
    "may still be at work. Then all files are compared with those of an undisturbed run."
)


def kill_runs(tree: Place, expected: Undisturbed, options: Options, whole_group: bool, number: signal.Signals) -> Row:
    """Kill `dvc repro` some times, going on at once each time; what it leaves behind may still be at work."""
    whom = "dvc repro and its stage" if whole_group else "dvc repro alone"
    say(f"interrupted runs: {whom}, {number.name}")
    generator = random.Random(f"{options.seed} {whom} {number}")
    place = tree.copied(tree.folder.parent / f"{whom} {number.name}")
    tally, processes = Tally(), []
    for _ in range(options.times(KILLS)):
        process = start(place, "dvc", "repro")
        if ends_within(process, generator.uniform(FIRST_MOMENT, expected.seconds / 2)):
            tally.too_late += 1
        else:
            (os.killpg if whole_group else os.kill)(process.pid, number)
            tally.kills[number.name] += 1
        process.wait()
        processes.append(process)
    done = place.dvc("repro")
    outputs = [ended(process).output for process in processes]
    if done.code:
        tally.wrong.append(f"the next {failure(done)}")
    tally.wrong += [f"traceback: {output[-900:]!r}" for output in outputs if of_ours(output)]
    tally.wrong += [f"{file} differs" for file in differing(place, expected.digests)]
    if left := [path.name for path in place.folder.rglob("*.partial")]:
        tally.wrong.append(f"left {left}")
    row = tally.row(whom)
    if not row.well:
        return row
    theirs = sum(has_traceback(output) for output in outputs)
    happened = f"the next dvc repro finishes: {counted(len(expected.digests), 'file')} the same, 0 others"
    return Row(row.done, row.times, happened + (f"; {counted(theirs, 'traceback')} of DVC's own" if theirs else ""))


def of_ours(output: str) -> bool:
    """Whether a traceback goes through the project's code."""
    parts = output.split("Traceback (most recent call last)")[1:]
    return any("singlefilter/" in part or "/stages/" in part for part in parts)


def report(options: Options) -> list[Row]:
    cases = [(group, number) for group in (True, False) for number in SIGNALS]
    if options.quick:
        cases = [(True, signal.SIGKILL), (False, signal.SIGTERM)]
    with busy_place() as tree, ThreadPoolExecutor(2) as pool:
        say("interrupted runs: the undisturbed one")
        expected = undisturbed(tree)
        rows = list(pool.map(lambda case: kill_runs(tree, expected, options, *case), cases))
    return [*rows, total(rows)]
