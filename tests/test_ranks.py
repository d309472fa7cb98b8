"""A stage in two processes, joined by gloo, does what it does in one; and what becomes of a process that dies."""

import re
import shlex
import shutil
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from tests.tiny_project import Ended, Place, make_place, own_environment

pytestmark = pytest.mark.chain

EPOCHS = 4
# 25 images a batch: the two parts are of unequal size. The digits' 1,497 images are 8 passes of features, 4 a process.
CHANGES = {
    "dataset": "digits",
    "datasets.digits.image_size": 8,
    "epochs_scale": 1,
    "precision": "float32",
    "validation": {"images": 0, "seed": 0},
    "archs.tiny.backbone.epochs": EPOCHS,
    "archs.tiny.backbone.batch_size": 25,
    "archs.tiny.heads.epochs": 2,
    "archs.tiny.heads.batch_size": 25,
}
TWO = "torchrun --standalone --nproc-per-node 2"
STAGES = ["train_backbone", "extract_features", "train_heads"]
BACKBONE = ("stages.train_backbone", "--seed", "0")

# Runs a stage that saves a checkpoint after each epoch; the rank that is named kills itself as its n-th epoch begins.
KILLED_RANK = """
import os, runpy, signal, sys
import stages
from singlefilter.training import batches, checkpoint

module, *sys.argv[1:] = sys.argv[2:]
sys.argv[0] = module.split(".")[1]
checkpoint.SECONDS_BETWEEN = 0
start, calls = batches.Batches.start, []

def killed(*arguments):
    calls.append(arguments)
    if len(calls) == int(os.environ["KILLED_IN"]) and os.environ.get("RANK", "0") == os.environ["KILLED_RANK"]:
        os.kill(os.getpid(), signal.SIGKILL)
    return start(*arguments)

batches.Batches.start = killed
runpy.run_module(module, run_name="__main__")
"""


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A project whose stages up to the heads have run in one process each."""
    environment = own_environment(tmp_path_factory.mktemp("dvc")) | {"OMP_NUM_THREADS": "1"}
    place = make_place(tmp_path_factory.mktemp("ranks") / "alone", environment)
    place.set_params(CHANGES)
    assert place.python("stages.download").code == 0
    shutil.copytree(place.folder, place.folder.with_name("fresh"))
    for stage in STAGES:
        ended = place.python(f"stages.{stage}", "--seed", "0")
        assert ended.code == 0, ended.output
    return place


def fresh(alone: Place, folder: Path) -> Place:
    """The same project before its network is trained."""
    return Place(shutil.copytree(alone.folder.with_name("fresh"), folder), alone.environment)


def arrays(place: Place, file: str) -> dict[str, np.ndarray]:
    found = {}
    with h5py.File(place.folder / file) as opened:
        opened.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


def head_accuracies(place: Place) -> list[float]:
    with h5py.File(place.folder / "models/heads/seed0.h5") as file:
        return [value for layer in file.values() for key, value in layer.attrs.items() if key.endswith("accuracy")]


def assert_trained_alike(found: Place, expected: Place) -> None:
    """Same success rates after every epoch, and weights that differ by rounding alone: parts' sums add otherwise."""
    tables = [pd.read_csv(place.folder / "metrics/history/seed0.csv") for place in (found, expected)]
    assert len(tables[1]) == EPOCHS + 1
    pd.testing.assert_frame_equal(*tables, rtol=1e-5)
    assert tables[0]["test_accuracy"].equals(tables[1]["test_accuracy"])
    weights = [arrays(place, "models/backbone/seed0.h5") for place in (found, expected)]
    assert weights[0].keys() == weights[1].keys()
    for name, values in weights[1].items():
        np.testing.assert_allclose(weights[0][name], values, rtol=1e-3, atol=1e-4, err_msg=name)


def epochs_shown(ended: Ended) -> list[int]:
    return [int(number) for number in re.findall(rf"epoch (\d+)/{EPOCHS}", ended.output)]


def test_under_dvc_two_processes_train_as_one_does(alone, tmp_path):
    two = fresh(alone, tmp_path / "two")
    ended = two.dvc("repro", "train_heads@0", SINGLEFILTER_LAUNCHER=TWO)
    assert (ended.code, ended.ran) == (0, ["check_params", "download", *(f"{stage}@0" for stage in STAGES)])
    assert ended.output.count("stage 3 of 11") == 1, ended.output
    assert_trained_alike(two, alone)
    assert head_accuracies(two) == pytest.approx(head_accuracies(alone), abs=2 / 300)
    heads = [arrays(place, "models/heads/seed0.h5") for place in (two, alone)]
    for name, values in heads[1].items():
        np.testing.assert_allclose(heads[0][name], values, rtol=1e-3, atol=1e-3, err_msg=name)


def test_two_processes_write_the_features_that_one_writes(alone, tmp_path):
    two = fresh(alone, tmp_path / "two")
    shutil.copytree(alone.folder / "models", two.folder / "models", dirs_exist_ok=True)
    ended = two.python("stages.extract_features", "--seed", "0", SINGLEFILTER_LAUNCHER=TWO)
    assert ended.code == 0 and "pass 4/4" in ended.output, ended.output
    files = [f"features/seed0/layer{layer}.h5" for layer in (1, 2)]
    assert two.digests(files) == alone.digests(files)


def test_a_dead_process_ends_the_others_and_any_number_of_them_goes_on(alone, tmp_path):
    place, script = fresh(alone, tmp_path / "two"), tmp_path / "killed_rank.py"
    script.write_text(KILLED_RANK, encoding="utf-8")
    settings = {"PYTHONPATH": str(place.folder), "KILLED_IN": "2", "KILLED_RANK": "1"}
    dead = place.python(*BACKBONE, SINGLEFILTER_LAUNCHER=f"{TWO} {shlex.quote(str(script))}", **settings)
    assert dead.code != 0 and re.search(r"rank +: 1 .*\n.*exitcode +: -9", dead.output), dead.output
    assert not (place.folder / "models/backbone/seed0.h5").exists()
    assert not list(place.folder.rglob("*.partial"))
    settings |= {"KILLED_RANK": "0"}
    one = place.python(*BACKBONE, SINGLEFILTER_LAUNCHER=shlex.join([sys.executable, str(script)]), **settings)
    assert one.code == -9 and epochs_shown(one)[0] == 1, one.output
    two = place.python(*BACKBONE, SINGLEFILTER_LAUNCHER=TWO)
    assert two.code == 0 and epochs_shown(two)[0] == 2, two.output
    assert_trained_alike(place, alone)


def test_a_launcher_that_is_no_program_is_refused_in_a_line(alone):
    ended = alone.python(*BACKBONE, SINGLEFILTER_LAUNCHER="torchrn --nproc-per-node 2")
    assert ended.code == 1
    assert ended.output == (
        "train_backbone: SINGLEFILTER_LAUNCHER: 'torchrn' is no program; leave it unset, or use torchrun --standalone "
        "--nproc-per-node 2\n"
    )
