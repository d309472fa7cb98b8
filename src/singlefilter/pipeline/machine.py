"""The code and the machine that a stage runs with, as its log and a record tell them."""

import os
import platform
import subprocess
from contextlib import suppress
from pathlib import Path

REVISION = "SINGLEFILTER_REVISION"
CODE = ("src", "stages", "networks", "dvc.yaml", "requirements.txt", "constraints.txt")


def revision() -> str:
    """The commit, and whether the code has changed since; in a copy that spread makes, what it was of the project."""
    if known := os.environ.get(REVISION):
        return known
    try:
        commit = git("rev-parse", "--short", "HEAD")
        changed = git("--no-optional-locks", "status", "--porcelain", "--", *CODE)
    except (OSError, subprocess.CalledProcessError):
        return "unknown, not in a Git repository"
    return f"{commit}, with uncommitted changes to the code" if changed else commit


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def hardware() -> str:
    """The processor and its memory, such as "2 cores of AMD EPYC 9B45, 24 GiB"; the cores that may be used."""
    return f"{usable_cores()} cores of {processor_name()}, {main_memory() / 2**30:.0f} GiB"


def usable_cores() -> int:
    """Count the cores that this process may use: taskset or a scheduler may have limited them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor_name() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def main_memory() -> int:
    """Count the bytes of memory that the processor has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
