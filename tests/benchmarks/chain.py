"""The chain as its user waits for it: end to end in a fresh clone, with nothing to do, and each stage's imports."""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from ruamel.yaml import YAML

from tests.benchmarks import ROOT
from tests.benchmarks.harness import (
    NONE,
    Options,
    judged,
    median_seconds,
    run,
    seconds_of,
    seconds_text,
    show,
    table,
    time_in_turn,
)

MOST_WITH_NOTHING_TO_DO = 2  # seconds
MOST_END_TO_END = 120  # seconds, on two cores
WITHOUT_TORCH = ("check_params", "cluster_stats", "figures")
QUICK_TARGET = "check_params"


def stages() -> list[str]:
    return list(YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"])


def python(code: str) -> str:
    """Run Python code from the project's root, in a process of its own; give what it prints."""
    return output_of([sys.executable, "-c", code], ROOT)


def output_of(command: list[str], folder: Path, **environment: str) -> str:
    ended = subprocess.run(command, cwd=folder, env=os.environ | environment, capture_output=True, text=True)
    if ended.returncode:
        raise RuntimeError(f"{' '.join(command)} has failed:\n{ended.stdout[-2000:]}{ended.stderr[-2000:]}")
    return ended.stdout.strip()


def import_rows(options: Options) -> list[list[str]]:
    """Wall time of a process that does nothing but import a stage."""
    codes = {"Python alone": "pass"} | {name: f"import stages.{name}" for name in stages()}
    seconds = time_in_turn({name: lambda code=code: python(code) for name, code in codes.items()}, options.times(3))
    rows = []
    for name, code in codes.items():
        torch = python(f"{code}\nimport sys; print('torch' in sys.modules)") == "True"
        aim = judged("no torch", not torch) if name in WITHOUT_TORCH else NONE
        rows.append([name, seconds_text(float(np.median(seconds[name]))), "yes" if torch else "no", aim])
    return rows


def repro(folder: Path, targets: list[str]) -> str:
    """Run the chain with this Python, as in its activated environment."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return output_of([sys.executable, "-m", "dvc", "repro", *targets], folder, PATH=path)


def chain_rows(folder: Path, options: Options) -> list[list[str]]:
    """The chain as it is committed, in a clone: from nothing, and again."""
    output_of(["git", "clone", "--quiet", str(ROOT), str(folder)], ROOT)
    targets = [QUICK_TARGET] if options.quick else []
    text = f"dvc repro {' '.join(targets)}".strip()
    first = seconds_of(lambda: repro(folder, targets))
    if "Running stage" in repro(folder, targets):
        raise RuntimeError("a second dvc repro runs stages again")
    again = median_seconds(lambda: repro(folder, targets), options.times(5))
    return [
        [f"{text}, in a fresh clone", seconds_text(first), judged(f"≤ {MOST_END_TO_END} s", first <= MOST_END_TO_END)],
        [
            f"{text}, with nothing to do",
            seconds_text(again),
            judged(f"≤ {MOST_WITH_NOTHING_TO_DO} s", again <= MOST_WITH_NOTHING_TO_DO),
        ],
    ]


def report(options: Options) -> None:
    imports = import_rows(options)
    with TemporaryDirectory() as name:
        chain = chain_rows(Path(name) / "clone", options)
    notes = "The last commit, with params.yaml's defaults (digits). Imports: a process that imports a stage and ends."
    show(
        "Chain",
        notes,
        table(["command", "time", "aim"], chain),
        table(["imports of", "time", "torch", "aim"], imports),
    )


if __name__ == "__main__":
    run(report)
