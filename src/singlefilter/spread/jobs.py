"""Samples' chains as jobs: on this machine, or of a SLURM cluster by submitit."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

import torch

from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.machine import REVISION, usable_cores
from singlefilter.spread.copies import DVC

LAST_STAGES = ("dilute_filters", "filter_images")  # of a sample
LAST_LINES = 5  # of a failed job's log, that are shown
MOST_REQUEUES = 1000  # of a job whose time is up; submitit's own limit is 3
# SLURM sends these to all processes of a job whose time is up, or that gives way; submitit answers for them all.
SIGNALS_OF_SLURM = (signal.SIGUSR2, signal.SIGTERM)


@dataclass
class Job:
    """The chain of one sample, in a copy of the project.

    Attributes:
        name: What it is called.
        seed: The sample.
        project: The project, an absolute path.
        folder: The copy, an absolute path.
        log: What DVC and its stages print, an absolute path.
        revision: The commit that the copy was made of, as machine.revision gives it.
    """

    name: str
    seed: int
    project: Path
    folder: Path
    log: Path
    revision: str
    process: subprocess.Popen[bytes] | None = None
    is_ended: bool = False

    def __call__(self, **environment: str) -> int:
        """Run the chain up to the last stages of a sample; give DVC's exit status.

        Args:
            **environment: More of it, where the user has set nothing else.
        """
        shutil.rmtree(self.folder / ".dvc/tmp", ignore_errors=True)  # locks of a machine that is no more
        if cores := os.environ.get("SLURM_CPUS_PER_TASK"):
            environment |= {"OMP_NUM_THREADS": cores}
        command = [*DVC, "repro", *(f"{stage}@{self.seed}" for stage in LAST_STAGES)]
        # DVC_ROOT as DVC says it in copies of its own.
        settings = environment | os.environ | {"DVC_ROOT": str(self.project), REVISION: self.revision}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=settings,
                stdout=log,
                stderr=log,
                process_group=0,
                preexec_fn=_ignore_signals_of_slurm if "SUBMITIT_EXECUTOR" in os.environ else None,
            )
        if self.is_ended:  # before there was a process to end
            self.end()
        return self.process.wait()

    def checkpoint(self) -> Any:
        """Say what runs when the job is queued again; submitit calls this when the job's time is up."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(replace(self, process=None))

    def end(self) -> None:
        """End DVC and its stage, if they run here, or are about to."""
        self.is_ended = True
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)


def _ignore_signals_of_slurm() -> None:
    for number in SIGNALS_OF_SLURM:
        signal.signal(number, signal.SIG_IGN)


class Handle(Protocol):
    """A job that was submitted."""

    def result(self) -> int:
        """Wait for the job; give DVC's exit status."""


Submit = Callable[[Job], Handle]


def visible_gpus() -> list[str]:
    """Take the GPUs of this process, for jobs that have one each."""
    named = os.environ.pop("CUDA_VISIBLE_DEVICES", None)
    return [*map(str, range(torch.cuda.device_count()))] if named is None else [*filter(None, named.split(","))]


@contextmanager
def local(at_once: int, gpus: Sequence[str]) -> Iterator[Submit]:
    """Run jobs on this machine, and end those that still run if the block raises.

    Args:
        at_once: How many run at once; each has its share of the cores.
        gpus: The GPUs, of which each job has one, as CUDA_VISIBLE_DEVICES names them.
    """
    slots: SimpleQueue[str] = SimpleQueue()
    for slot in range(at_once):
        slots.put(gpus[slot % len(gpus)] if gpus else "")
    environment = {"OMP_NUM_THREADS": str(max(usable_cores() // at_once, 1))}
    submitted: list[Job] = []

    def submit(job: Job) -> Handle:
        submitted.append(job)
        return pool.submit(work, job)

    def work(job: Job) -> int:
        gpu = slots.get()
        print(f"{job.name}: begins", flush=True)
        try:
            return job(CUDA_VISIBLE_DEVICES=gpu, **environment)
        finally:
            slots.put(gpu)

    with ThreadPoolExecutor(at_once) as pool:
        try:
            yield submit
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for job in submitted:
                job.end()
            raise


@contextmanager
def slurm(logs: Path, options: Sequence[str]) -> Iterator[Submit]:
    """Submit jobs to SLURM, and cancel them if the block raises; one whose time is up is queued again.

    Args:
        logs: Where submitit keeps its files, on a disk that all machines share.
        options: Of sbatch, such as --gres=gpu:1; --time, in minutes, must be among them.

    Raises:
        InputError: submitit is not installed, there is no SLURM here, no time is given, or sbatch refuses a job.
    """
    for option in options:
        if not option.startswith("--"):
            raise InputError(f"{option}: give sbatch's options as --name=value or --name, such as --gres=gpu:1")
    given = {key: value or True for key, _, value in (option.lstrip("-").partition("=") for option in options)}
    minutes = given.pop("time", "")
    if not str(minutes).isdecimal():
        raise InputError(f"--time: is {minutes!r}; give the minutes of a job at the end: -- --time=240")
    try:
        from submitit import SlurmExecutor

        executor = SlurmExecutor(logs, max_num_timeout=MOST_REQUEUES)
    except ImportError as error:
        raise InputError("--cluster slurm needs submitit: pip install -r requirements-slurm.txt") from error
    except RuntimeError as error:
        raise InputError("--cluster slurm: there is no srun on this machine; submit from one of the cluster") from error
    executor.update_parameters(
        job_name="singlefilter", time=int(minutes), stderr_to_stdout=True, additional_parameters=given
    )
    submitted: list[Any] = []

    def submit(job: Job) -> Handle:
        try:
            submitted.append(executor.submit(job))
        except RuntimeError as error:  # submitit's, with sbatch's words
            raise InputError(f"sbatch refuses {job.name}: {error}") from error
        return submitted[-1]

    try:
        yield submit
    except BaseException:
        for job in submitted:
            job.cancel(check=False)
        raise


def succeeds(job: Job, handle: Handle) -> bool:
    """Wait for a job, and say how it has ended."""
    try:
        status: Any = handle.result()
    except Exception as error:  # submitit's, of a job that the cluster has ended
        status = error
    if status:
        print(f"{job.name}: failed ({status}); {os.path.relpath(job.log)} ends with:")
        log = job.log.read_text(encoding="utf-8", errors="replace") if job.log.exists() else "nothing: it did not begin"
        print(*log.splitlines()[-LAST_LINES:], sep="\n", flush=True)
        return False
    print(f"{job.name}: done", flush=True)
    return True
