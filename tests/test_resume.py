"""Stages killed for real, at chosen moments, go on where they were and end with the same bytes."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

pytestmark = pytest.mark.chain

ROOT = Path(__file__).parents[1]
EPOCHS = 6
SEED = ("--seed", "0")
LIVE = "logs/training/seed0.csv"

# Runs a stage that saves a checkpoint after each epoch, and kills itself before the n-th call of what a moment names.
# By its checkpoint's clock 1,000 seconds pass from one look at it to the next: a save has the third after the start.
KILLED_STAGE = """
import itertools, os, pathlib, runpy, signal, sys, types
import stages
from singlefilter.training import batches
from singlefilter.training import checkpoint as checkpoints

moment, count, how, stage = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
sys.argv = [stage, *sys.argv[5:]]
checkpoints.SECONDS_BETWEEN = 0
thousands = itertools.count(0, 1000)
checkpoints.time = types.SimpleNamespace(monotonic=lambda: next(thousands))
owner, name = {
    "epoch": (batches.Batches, "start"), "rename": (os, "replace"), "write": (pathlib.Path, "write_bytes")
}[moment]
function, calls = getattr(owner, name), []

def killed(*arguments):
    if moment != "rename" or str(arguments[1]).endswith(".pt"):
        calls.append(arguments)
    if len(calls) == count:
        if moment == "write":
            function(arguments[0], arguments[1][: len(arguments[1]) // 2])
        os.kill(os.getpid(), signal.Signals[how])
    return function(*arguments)

setattr(owner, name, killed)
runpy.run_module(f"stages.{stage}", run_name="__main__")
"""

# In each start: the moment, the how-manieth of its kind, the signal, and the exit status.
KILLS = [
    ("epoch", 2, "SIGINT", 130),
    ("write", 2, "SIGKILL", -9),
    ("rename", 2, "SIGKILL", -9),  # between the two renames: the newest is now the previous, and nothing in its place
    ("epoch", 2, "SIGTERM", 143),
]
DONE_BY_THEN = (
    3  # one epoch before the first kill, one before the second, none kept before the third, one before the last
)
SECONDS_BY_THEN = 6000  # 2,000 for each of these epochs
# The epochs in the log at each kill, 0 being before training: from the second on, each kill loses the third epoch.
LOGGED = [[0, 1], [0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 2, 3]]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of tiny size in which all stages up to the heads have run undisturbed."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("src", "stages"):
        (folder / name).symlink_to(ROOT / name)
    values, catalog = (YAML(typ="safe", pure=True).load(ROOT / name) for name in ("params.yaml", "catalog.yaml"))
    values |= {"arch": "vgg6", "epochs_scale": 1}
    catalog["datasets"]["digits"]["image_size"] = 8
    arch = catalog["archs"]["vgg6"]
    arch["backbone"] |= {"convolutions": [4, "M", 6, "M"], "epochs": EPOCHS}
    arch["heads"] |= {"epochs": EPOCHS, "learning_rate": 0.01}
    arch["examined_layers"] = [1, 2]
    for name, content in (("params.yaml", values), ("catalog.yaml", catalog)):
        with (folder / name).open("w", encoding="utf-8") as file:
            YAML().dump(content, file)
    for stage in (["download"], *([name, *SEED] for name in ("train_backbone", "extract_features", "train_heads"))):
        assert run(folder, "-m", f"stages.{stage[0]}", *stage[1:]).returncode == 0
    return folder


@pytest.fixture
def project(undisturbed: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(undisturbed, tmp_path / "project", symlinks=True)


def logged_epochs(project: Path) -> list[int]:
    """The epochs of the history so far, as they stand in the log."""
    _, *rows = (project / LIVE).read_text(encoding="utf-8").splitlines()
    return [int(row.split(",")[0]) for row in rows]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"SINGLEFILTER_DEVICE": "cpu"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize(
    ("stage", "outs"),
    [
        ("train_backbone", ["models/backbone/seed0.h5", "metrics/history/seed0.csv"]),
        ("train_heads", ["models/heads/seed0.h5"]),
    ],
)
def test_a_stage_killed_four_times_ends_with_the_bytes_of_an_undisturbed_run(project, stage, outs):
    expected = [(project / out).read_bytes() for out in outs]
    for out in outs:
        (project / out).unlink()
    seen = []
    for moment, count, how, status in KILLS:
        killed = run(project, "-c", KILLED_STAGE, moment, str(count), how, stage, *SEED)
        assert killed.returncode == status, killed.stderr
        assert not any((project / out).exists() for out in outs)
        seen.append(logged_epochs(project))
    resumed = run(project, "-m", f"stages.{stage}", *SEED)
    assert resumed.returncode == 0, resumed.stderr
    epochs = [int(number) for number in re.findall(rf"epoch (\d+)/{EPOCHS}", resumed.stdout)]
    assert (epochs[0], epochs[-1]) == (DONE_BY_THEN, EPOCHS)
    assert [(project / out).read_bytes() for out in outs] == expected
    last = json.loads((project / "logs/stages.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    assert last["stage"] == stage and SECONDS_BY_THEN < last["seconds"] < SECONDS_BY_THEN + 120
    assert not list((project / "checkpoints").rglob("*.pt"))
    if stage == "train_backbone":  # the others leave its log as it was
        assert seen == LOGGED
        assert (project / LIVE).read_bytes() == expected[1]
