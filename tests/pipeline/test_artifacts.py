"""The table of the chain's files against dvc.yaml, and files of other runs refused."""

import copy
from functools import reduce
from operator import getitem
from pathlib import Path

import pytest

from singlefilter.pipeline.artifacts import ARTIFACTS, STAGES, Workspace, determinants, path_of
from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.params import Params
from singlefilter.pipeline.params_files import parse_params
from tests.conftest import TINY
from tests.hdf5_files import edited
from tests.test_dependencies import STAGES as DVC_STAGES
from tests.test_dependencies import params_of, paths

# Another value of each parameter of TINY.
OTHER = {
    "seeds": [0, 1],
    "epochs_scale": 0.5,
    "precision": "bf16",
    "threshold": 0.4,
    "validation.images": 2,
    "validation.seed": 1,
    "dilution.other_layers": [1],
    "dilution.retrain_heads": True,
    "figures.dpi": 60,
    "explorer.images": 3,
    "datasets.tiny.source": "digits",
    "datasets.tiny.image_size": 10,
    "datasets.tiny.flip": False,
    "datasets.tiny.translation": 2,
    "archs.tiny.backbone.convolutions": [4, "M", 5],
    "archs.tiny.backbone.output_bias": True,
    "archs.tiny.backbone.convolutional_rates.decay": [],
    "archs.tiny.backbone.fully_connected_rates.momentum": 0.7,
    "archs.tiny.examined_layers": [2],
    "archs.tiny.heads.images": "augmented",
    "archs.tiny.heads.learning_rate": 0.2,
}
LEFT_OUT = {"datasets.tiny.source"}  # where the images are found does not tell one run from another


def changed(key: str) -> Params:
    values = copy.deepcopy(TINY)
    *rows, last = key.split(".")
    reduce(getitem, rows, values)[last] = OTHER[key]
    return parse_params(values)


@pytest.mark.parametrize(
    "stage", sorted(STAGES.keys() - {"check_params", "figures", "explorer"})
)  # those determine no checked file
def test_a_stages_determinants_are_the_parameters_that_it_depends_on(stage):
    declared = params_of(stage, "tiny", "tiny")
    expected = {key for key in OTHER if any(f"{key}.".startswith(f"{row}.") for row in declared)} - LEFT_OUT
    if stage == "extract_features":
        expected.discard("archs.tiny.examined_layers")  # one file per layer, which names it
    before = determinants(parse_params(TINY), stage)
    assert {key for key in OTHER if determinants(changed(key), stage) != before} == expected


def test_every_out_of_dvc_yaml_is_in_the_table_under_its_stage():
    for stage, entries in DVC_STAGES.items():
        listed = paths(entries.get("outs", []) + entries.get("metrics", []) + entries.get("plots", []))
        made = [artifact.path for artifact in ARTIFACTS.values() if artifact.stage == stage]
        for out in listed:
            out = out.replace("${item.seed}", "{seed}")
            names = [path.replace("{figure}.{form}", Path(out).name) for path in made]
            assert any(name == out or name.startswith(f"{out}/") for name in names), (stage, out)


@pytest.fixture
def files(tmp_path, monkeypatch, make_params):
    """A folder with the HDF5 files of a run, each made from those before it."""
    monkeypatch.chdir(tmp_path)
    write_all(make_params())
    return make_params


def write_all(params: Params) -> None:
    files = Workspace(params)
    for name, place in CHAIN:
        with files.write(name, **place) as file:
            file["content"] = [1.0]
        with files.read(name, **place):
            pass


CHAIN = [
    ("dataset", {}),
    ("backbone", {"seed": 0}),
    *(("features", {"seed": 0, "layer": layer}) for layer in (1, 2)),
    ("heads", {"seed": 0}),
    ("matrices", {"seed": 0}),
]


def refusal_of(files: Workspace, name: str, **place: int) -> str:
    with pytest.raises(InputError) as raised, files.read(name, **place):
        pass
    return str(raised.value)


def test_files_of_one_run_are_read(files):
    workspace = Workspace(files())
    for name, place in reversed(CHAIN):
        with workspace.read(name, **place) as file:
            assert file["content"][()].tolist() == [1.0]


@pytest.mark.parametrize(("name", "place"), CHAIN)
def test_a_missing_or_damaged_file_is_refused_with_the_stage_that_makes_it(files, name, place):
    path = path_of(name, **place)
    stage = ARTIFACTS[name].stage + ("@0" if place else "")
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    ending = (
        f"Make it again, with all that it is made from: dvc repro {stage}; if this message comes again, since DVC was "
        f"told that the file is right (dvc commit): dvc repro --force --single-item {stage}"
    )
    assert refusal_of(Workspace(files()), name, **place) == (
        f"{path} is damaged: its content is not what was written. {ending}"
    )
    path.unlink()
    assert refusal_of(Workspace(files()), name, **place) == f"{path} is missing. {ending}"


@pytest.mark.parametrize(("name", "place"), CHAIN[1:])
def test_a_file_of_other_parameters_is_refused(files, name, place):
    path, stage = path_of(name, **place), f"{ARTIFACTS[name].stage}@0"
    assert refusal_of(Workspace(files(epochs_scale=2)), name, **place) == (
        f"{path} is of another run: made with epochs_scale 1.0, where 2.0 is expected. "
        f"Make it again, with all that it is made from: dvc repro {stage}; if this message comes again, since DVC was "
        f"told that the file is right (dvc commit): dvc repro --force --single-item {stage}"
    )


def test_a_file_under_anothers_name_is_refused(files):
    path_of("heads", seed=0).write_bytes(path_of("matrices", seed=0).read_bytes())
    assert "made with file matrices, where heads is expected" in refusal_of(Workspace(files()), "heads", seed=0)
    path_of("features", seed=0, layer=1).write_bytes(path_of("features", seed=0, layer=2).read_bytes())
    assert "made with layer 2, where 1 is expected" in refusal_of(Workspace(files()), "features", seed=0, layer=1)
    path_of("heads", seed=1).write_bytes(path_of("backbone", seed=0).read_bytes())
    with pytest.raises(InputError, match="is of another run"), Workspace(files(seeds=[0, 1])).read("heads", seed=1):
        pass


@pytest.mark.parametrize(("later", "place"), CHAIN[1:])
@pytest.mark.parametrize("first", ["earlier", "later"])
def test_files_that_were_made_from_different_files_are_not_read_together(files, later, place, first):
    with edited(path_of("dataset")) as file:
        file["content"][0] = 2.0
    order = [("dataset", {}), (later, place)][:: 1 if first == "earlier" else -1]
    workspace = Workspace(files())
    with workspace.read(order[0][0], **order[0][1]):
        pass
    refusal = refusal_of(workspace, order[1][0], **order[1][1])
    assert refusal.startswith(f"{path_of(order[1][0], **order[1][1])} is of another run: made with data/dataset.h5 ")


def test_a_checkpoint_of_other_inputs_is_another(files):
    def key() -> dict:
        workspace = Workspace(files())
        with workspace.read("backbone", seed=0):
            return workspace.determinants("train_heads", seed=0)

    before = key()
    assert key() == before and before["heads.learning_rate"] == 0.1 and before["seed"] == 0
    with edited(path_of("backbone", seed=0)) as file:
        file["content"][0] = 2.0
    assert key() != before
