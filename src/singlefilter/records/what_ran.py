"""What a record says of how its run came about: the command, the code, the hardware, and the time."""

import json
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from singlefilter.pipeline.artifacts import STAGES, digest_of_determinants
from singlefilter.pipeline.command import LOG
from singlefilter.pipeline.params import Params

LONG = ("train_backbone", "extract_features", "train_heads", "filter_matrices")


def run_text(folder: Path, params: Params, note: str) -> str:
    """What run.md says: how to repeat the run, with what code, on what hardware, and how long each stage took."""
    entries = logged_stages(params)
    lines = [
        f"command: `cp {folder.as_posix()}/*.yaml . && dvc repro`",
        f"revision: {revisions(entries)}",
        f"hardware: {hardware(entries)}",
        f"seconds: {seconds(entries, params.seeds)}",
        *([note] if note else []),
    ]
    return "".join(f"* {line}\n" for line in lines)


def revisions(entries: Sequence[dict]) -> str:
    """The commits that the stages were run with, each with its stages where they are several."""
    stages: dict[str, list[str]] = defaultdict(list)
    for entry in entries:
        stages[entry.get("revision", "unknown")].append(entry["stage"])
    if len(stages) < 2:
        return next(iter(stages), "not logged")
    return "; ".join(f"{revision} ({', '.join(dict.fromkeys(names))})" for revision, names in stages.items())


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
    """The machines, devices and versions of PyTorch that the stages were run with."""
    machines = sorted({entry.get("hardware", "a machine that was not logged") for entry in entries})
    devices = sorted({f"torch {entry['torch']} on {entry['device']}" for entry in entries if "torch" in entry})
    return "; ".join([*machines, *devices]) or "not logged"


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
