"""What a record says of how its run came about: the command, the code, the hardware, and the time."""

import json
import os
import platform
import subprocess
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from singlefilter.pipeline.artifacts import STAGES, digest_of_determinants
from singlefilter.pipeline.command import LOG
from singlefilter.pipeline.params import Params

LONG = ("train_backbone", "extract_features", "train_heads", "filter_matrices")
CODE = ("src", "stages", "networks", "dvc.yaml", "requirements.txt", "constraints.txt")


def run_text(folder: Path, params: Params, note: str) -> str:
    """What run.md says: how to repeat the run, with what code, on what hardware, and how long it took."""
    entries = logged_stages(params)
    lines = [
        f"command: `cp {folder.as_posix()}/*.yaml . && dvc repro`",
        f"revision: {revision()}",
        f"hardware: {hardware(entries)}",
        f"seconds: {seconds(entries, params.seeds)}",
        *([note] if note else []),
    ]
    return "".join(f"* {line}\n" for line in lines)


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


def logged_stages(params: Params) -> list[dict]:
    """The last line in the log of each stage and sample that was run with these parameters."""
    last: dict[tuple[str, int | None], dict] = {}
    for line in LOG.read_text(encoding="utf-8", errors="replace").splitlines() if LOG.exists() else []:
        with suppress(ValueError):  # a line may be cut short
            entry = json.loads(line)
            if not isinstance(entry, dict):
                continue
            stage, seed = entry.get("stage"), entry.get("seed")
            same = stage in [*STAGES] and entry.get("determinants") == digest_of_determinants(params, stage)
            if same and (seed is None or seed in params.seeds):
                last[stage, seed] = entry
    return list(last.values())


def hardware(entries: Sequence[dict]) -> str:
    """This machine, and the devices and versions of PyTorch that the stages logged, if any ran here."""
    if not entries:
        return "not logged"
    gibibytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    on = sorted({f"torch {entry['torch']} on {entry['device']}" for entry in entries if "torch" in entry})
    return "; ".join([f"{os.cpu_count()} cores of {processor_name()}, {gibibytes:.0f} GiB", *on])


def processor_name() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def seconds(entries: Sequence[dict], seeds: Sequence[int]) -> str:
    """What each stage took, its samples joined by a plus, and which long ones have not run here for all samples."""
    stages: dict[str, list[float]] = defaultdict(list)
    samples: dict[str, set[int]] = defaultdict(set)
    for entry in entries:
        stages[entry["stage"]].append(entry["seconds"])
        samples[entry["stage"]].add(entry.get("seed"))
    if not stages:
        return "not logged"
    parts = [f"{stage} {' + '.join(f'{value:g}' for value in values)}" for stage, values in stages.items()]
    lacking = [stage for stage in LONG if samples[stage] != {*seeds}]
    return "; ".join(
        [
            ", ".join(parts),
            f"together {sum(sum(values) for values in stages.values()):.0f}",
            *([f"not logged, of some samples at least: {', '.join(lacking)}"] if lacking else []),
        ]
    )
