"""Run the samples' chains as jobs beside each other, in copies of the project, and then the rest of the chain here.

Jobs share the project's DVC cache and checkpoints. Ctrl-C ends them; the same command goes on from their checkpoints.
"""

import itertools
import re
import shutil
import signal
import subprocess
from argparse import ArgumentTypeError
from collections.abc import Sequence
from pathlib import Path

from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.machine import revision
from singlefilter.pipeline.params import Params, no_row
from singlefilter.spread.copies import DVC, copy_project, only_one, require_known_images, require_known_module
from singlefilter.spread.jobs import Job, local, slurm, succeeds, visible_gpus
from stages import run

COPIES, LOGS = Path(".dvc/tmp/spread"), Path("logs/spread")
LOCK = Path(".dvc/tmp/spread.lock")
SEEDS_END, MOST_SAMPLES = 2**32, 1000


@only_one(LOCK)  # another's copies and logs would be removed
def main(params: Params, cluster: str, at_once: int, arch: list[str], seeds: list[int], options: list[str]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)  # an exception, so that jobs are ended first
    archs, samples, is_sweep = arch or [params.arch], [*(seeds or params.seeds)], bool(arch or seeds)
    require_usable(params, cluster, archs, samples, options)
    experiments = [["exp", "run", "--temp", "-S", f"arch={name}", "-S", f"seeds={samples}"] for name in archs]
    jobs: list[Job] = []
    try:
        if is_sweep:
            require_known_images(params.dataset)
            for name in archs:
                require_known_module(name, params.archs[name].backbone.module)
        with slurm(LOGS / "slurm", options) if cluster == "slurm" else local(at_once, visible_gpus()) as submit:
            for name, seed in itertools.product(archs, samples):
                jobs.append(job_of(name, seed))
                copy_project(jobs[-1].folder, {"arch": name, "seeds": samples}, tracked_alone=is_sweep)
            dvc("repro", "download")
            print(f"{len(jobs)} jobs; each prints to its file in {LOGS}", flush=True)
            handles = [submit(job) for job in jobs]
            failed = [job for job, handle in zip(jobs, handles, strict=True) if not succeeds(job, handle)]
        if failed:
            raise InputError(
                f"{len(failed)} of {len(jobs)} failed; the others are kept; the same command runs the rest"
            )
        for command in experiments if is_sweep else [["repro"]]:
            dvc(*command)
    except KeyboardInterrupt:
        raise InputError("stopped, and its jobs are ended; the same command goes on from their checkpoints") from None
    finally:
        for job in jobs:
            shutil.rmtree(job.folder, ignore_errors=True)


def require_usable(
    params: Params, cluster: str, archs: Sequence[str], seeds: Sequence[int], options: Sequence[str]
) -> None:
    if len(set(archs)) < len(archs):
        raise InputError(f"--arch: {','.join(archs)} repeats a row; each is run once")
    if len(set(seeds)) < len(seeds):
        raise InputError(f"--seeds: {','.join(map(str, seeds))} repeats a seed; each sample needs its own")
    for name in archs:
        if name not in params.archs:
            raise InputError(f"--arch: {no_row(name, 'archs', params.archs)}")
    if options and cluster != "slurm":
        raise InputError(f"{' '.join(options)}: is for sbatch; leave it out, or add --cluster slurm before the --")


def job_of(arch: str, seed: int) -> Job:
    """Give the job of a sample, which runs in a copy of the project; an earlier one's log is removed."""
    name = f"{arch}-seed{seed}"
    job = Job(name, seed, Path.cwd(), (COPIES / name).absolute(), (LOGS / f"{name}.log").absolute(), revision())
    job.log.parent.mkdir(parents=True, exist_ok=True)
    job.log.unlink(missing_ok=True)
    return job


def dvc(*arguments: str) -> None:
    if subprocess.run([*DVC, *arguments]).returncode:
        raise InputError(f"dvc {' '.join(arguments)} failed, as it says above")


def read_names(text: str) -> list[str]:
    return text.split(",")


def read_seeds(text: str) -> list[int]:
    """Read seeds such as 0-4 or 0,2,5."""
    ranges = [[*map(int, part.split("-"))] for part in text.split(",") if re.fullmatch(r"\d+(-\d+)?", part)]
    if len(ranges) <= text.count(",") or any(ends != sorted(ends) for ends in ranges):
        raise ArgumentTypeError(f"is {text!r}; allowed are numbers and ranges, such as 0-4 or 0,2,5")
    if max(map(max, ranges)) >= SEEDS_END or sum(ends[-1] - ends[0] + 1 for ends in ranges) > MOST_SAMPLES:
        raise ArgumentTypeError(f"is {text!r}; allowed are at most {MOST_SAMPLES:,} seeds, each below {SEEDS_END:,}")
    return [seed for ends in ranges for seed in range(ends[0], ends[-1] + 1)]


def read_count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise ArgumentTypeError(f"is {text!r}; allowed are whole numbers from 1 on")
    return int(text)


if __name__ == "__main__":
    run(
        main,
        arguments={
            "--cluster": {
                "choices": ["local", "slurm"],
                "default": "local",
                "help": "where jobs run (default: local, on this machine)",
            },
            "--at-once": {
                "type": read_count,
                "default": 2,
                "help": "jobs at once, here; they share the cores and the GPUs",
            },
            "--arch": {"type": read_names, "help": "rows of archs, such as vgg6,vgg16; an experiment for each"},
            "--seeds": {"type": read_seeds, "help": "samples, such as 0-4 or 0,2 (default: those of params.yaml)"},
            "options": {"nargs": "*", "help": "of sbatch, after --, such as --gres=gpu:1; --time=<minutes> is needed"},
        },
    )
