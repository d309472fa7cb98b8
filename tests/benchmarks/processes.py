"""Cores shared by the threads of one process, by the ranks of one training, by samples and by jobs side by side."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

import numpy as np

from singlefilter.pipeline.cores import SHARING
from tests.benchmarks import ROOT
from tests.benchmarks.harness import Options, run, seconds_text, show, table

WORK = (("vgg6", 32, 2), ("vgg16", 32, 1), ("avgg16", 32, 1), ("vgg6", 128, 1))  # images' height, steps at a time
HEADINGS = ("work", "one core", "threads", "ranks", "samples")
NOTES = (
    "A training step of 100 images in float32: on one core; on all cores by threads; by as many ranks of one thread "
    "(torchrun, gloo); and by as many samples of one thread, whose time is divided by their number. In brackets, how "
    "many times as fast that is as one core. Medians of what each process measures."
)

JOBS = 2
HEADINGS_OF_JOBS = (
    "work",
    "alone",
    "alone, sharing",
    "two at once",
    "two at once, sharing",
    "two at once, half the threads",
)
NOTES_OF_JOBS = (
    "The same step, of one job with a thread for each core, and of two such jobs at once: with threads as PyTorch has "
    "them, and as stages do, each on a core of its own and asleep after a while of waiting (sharing); and with "
    "OMP_NUM_THREADS of cores / jobs. In brackets, the ratio to PyTorch's alone, and for two at once to twice that."
)


def seconds(
    work: Sequence[str],
    threads: int,
    samples: int = 1,
    launcher: Sequence[str] = (sys.executable,),
    settings: Mapping[str, str] | None = None,
) -> float:
    """Give the seconds of a step of processes that run at once, with further variables of the environment."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)} | (settings or {})
    command = [*launcher, "-m", "tests.benchmarks.steps_alone", *work]
    started = [
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, encoding="utf-8")
        for _ in range(samples)
    ]
    printed = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        raise RuntimeError(f"{' '.join(command)} has failed")
    return float(np.median([float(word) for text in printed for word in text.split()]))


def row(arch: str, side: int, steps: int, options: Options) -> list[str]:
    work = [arch, str(side), str(1 if options.quick else steps), str(options.times(3))]
    cores = os.cpu_count() or 1
    ranks = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={cores}"]
    alone = seconds(work, 1)
    ways = [seconds(work, cores), seconds(work, 1, launcher=ranks), seconds(work, 1, samples=cores) / cores]
    texts = [f"{seconds_text(way)} ({alone / way:.2f}×)" for way in ways]
    return [f"{arch}, images of {side}×{side}", seconds_text(alone), *texts]


def jobs_row(arch: str, side: int, steps: int, options: Options) -> list[str]:
    """Time one job and two at once with a thread for each core, and two at once with half as many."""
    work = [arch, str(side), str(1 if options.quick else steps), str(options.times(3))]
    cores = os.cpu_count() or 1
    alone, both = ([seconds(work, cores, jobs, settings=settings) for settings in ({}, SHARING)] for jobs in (1, JOBS))
    halves = seconds(work, max(cores // JOBS, 1), JOBS)
    in_turn = JOBS * alone[0]
    times = [seconds_text(alone[0]), f"{seconds_text(alone[1])} ({alone[1] / alone[0]:.2f}×)"]
    times += [f"{seconds_text(time)} ({time / in_turn:.2f}×)" for time in (*both, halves)]
    return [f"{arch}, images of {side}×{side}", *times]


def report(options: Options) -> None:
    rows = [row(*work, options) for work in WORK[: 1 if options.quick else len(WORK)]]
    show(f"{os.cpu_count()} cores shared", NOTES, table(HEADINGS, rows))
    rows = [jobs_row(*work, options) for work in WORK[: 1 if options.quick else 2]]
    show(f"{JOBS} jobs at once on {os.cpu_count()} cores", NOTES_OF_JOBS, table(HEADINGS_OF_JOBS, rows))


if __name__ == "__main__":
    run(report)
