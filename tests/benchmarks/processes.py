"""Cores shared by the threads of one process, by the ranks of one training, and by samples side by side."""

import os
import subprocess
import sys
from collections.abc import Sequence

import numpy as np

from tests.benchmarks import ROOT
from tests.benchmarks.harness import Options, run, seconds_text, show, table

WORK = (("vgg6", 32, 2), ("vgg16", 32, 1), ("avgg16", 32, 1), ("vgg6", 128, 1))  # images' height, steps at a time
HEADINGS = ("work", "one core", "threads", "ranks", "samples")
NOTES = (
    "A training step of 100 images in float32: on one core; on all cores by threads; by as many ranks of one thread "
    "(torchrun, gloo); and by as many samples of one thread, whose time is divided by their number. In brackets, how "
    "many times as fast that is as one core. Medians of what each process measures."
)


def seconds(work: Sequence[str], threads: int, samples: int = 1, launcher: Sequence[str] = (sys.executable,)) -> float:
    """Give the seconds of a step of processes that run at once."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    command = [*launcher, "-m", "tests.benchmarks.steps_alone", *work]
    started = [
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, encoding="utf-8")
        for _ in range(samples)
    ]
    printed = [process.communicate()[0] for process in started]
    return float(np.median([float(word) for text in printed for word in text.split()]))


def row(arch: str, side: int, steps: int, options: Options) -> list[str]:
    work = [arch, str(side), str(1 if options.quick else steps), str(options.times(3))]
    cores = os.cpu_count() or 1
    ranks = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={cores}"]
    alone = seconds(work, 1)
    ways = [seconds(work, cores), seconds(work, 1, launcher=ranks), seconds(work, 1, samples=cores) / cores]
    texts = [f"{seconds_text(way)} ({alone / way:.2f}×)" for way in ways]
    return [f"{arch}, images of {side}×{side}", seconds_text(alone), *texts]


def report(options: Options) -> None:
    rows = [row(*work, options) for work in WORK[: 1 if options.quick else len(WORK)]]
    show(f"{os.cpu_count()} cores shared", NOTES, table(HEADINGS, rows))


if __name__ == "__main__":
    run(report)
