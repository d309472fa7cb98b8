"""The code and the machine that a stage runs with, as its log and a record tell them."""

import os
import platform
import subprocess
from contextlib import suppress
from pathlib import Path

CODE = ("src", "stages", "networks", "dvc.yaml", "requirements.txt", "constraints.txt")


def revision() -> str:
    """The commit, and whether the code has changed since."""
    try:
        commit = git("rev-parse", "--short", "HEAD")
        changed = git("status", "--porcelain", "--", *CODE)
    except (OSError, subprocess.CalledProcessError):
        return "unknown, not in a Git repository"
    return f"{commit}, with uncommitted changes to the code" if changed else commit


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def hardware() -> str:
    """The processor and its memory, such as "2 cores of AMD EPYC 9B45, 24 GiB"."""
    return f"{os.cpu_count()} cores of {processor_name()}, {main_memory() / 2**30:.0f} GiB"


def processor_name() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def main_memory() -> int:
    """Count the bytes of memory that the processor has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
