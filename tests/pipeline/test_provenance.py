"""What files say that they were made with, against what dvc.yaml says that their stages depend on."""

import copy
from functools import reduce
from operator import getitem
from pathlib import Path

import pytest

from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.files import made_with_of, read_hdf5, write_hdf5
from singlefilter.pipeline.params import Params, load_params, parse_params
from singlefilter.pipeline.provenance import STEPS, made_with, require_same
from tests.conftest import TINY
from tests.test_dependencies import ROOT, params_of

# Another value of each parameter of TINY, and of what else a stage depends on none.
OTHER = {
    "seeds": [0, 1],
    "epochs_scale": 0.5,
    "precision": "bf16",
    "threshold": 0.4,
    "validation.size": 2,
    "validation.seed": 1,
    "dilution.other_layers": [1],
    "dilution.retrain_heads": True,
    "figures.dpi": 60,
    "datasets.tiny.source": "another/folder",
    "datasets.tiny.image_size": 10,
    "datasets.tiny.flip": False,
    "datasets.tiny.translation": 2,
    "archs.tiny.backbone.convolutions": [4, "M", 5],
    "archs.tiny.backbone.output_bias": True,
    "archs.tiny.backbone.convolutional_rates.decay": [],
    "archs.tiny.backbone.fully_connected_rates.momentum": 0.7,
    "archs.tiny.examined_layers": [2],
    "archs.tiny.heads.views": 1,
    "archs.tiny.heads.learning_rate": 0.2,
}
STAGES = dict(
    zip(
        STEPS,
        ("download", "train_backbone", "extract_features", "train_heads", "dilute_filters", "cluster_stats"),
        strict=True,
    )
)
# Where the images are found does not tell one run from another. Features have a file a layer, which names it.
LEFT_OUT = {"datasets.tiny.source"}
LAYERS = "archs.tiny.examined_layers"


def changed(key: str) -> Params:
    values = copy.deepcopy(TINY)
    *rows, last = key.split(".")
    reduce(getitem, rows, values)[last] = OTHER[key]
    return parse_params(values)


@pytest.mark.parametrize("step", STEPS)
def test_a_step_is_made_with_the_parameters_that_its_stage_depends_on(step):
    declared = params_of(STAGES[step], "tiny", "tiny")
    expected = {key for key in OTHER if any(f"{key}.".startswith(f"{row}.") for row in declared)} - LEFT_OUT
    if step == "features":
        expected -= {LAYERS}
    before = made_with(parse_params(TINY), 0, step)
    assert {key for key in OTHER if made_with(changed(key), 0, step) != before} == expected


def test_a_sample_is_told_by_its_seed_and_the_images_are_of_none():
    params = parse_params(TINY)
    assert made_with(params, 0, "network") != made_with(params, 1, "network")
    assert made_with(params, 0, "images") == made_with(params, 1, "images")


def test_steps_add_to_the_steps_before_them():
    params = load_params(ROOT / "params.yaml")
    for earlier, later in zip(STEPS, STEPS[1:], strict=False):
        assert made_with(params, 0, earlier).items() < made_with(params, 0, later).items()


def test_a_file_says_what_it_was_made_with_and_is_refused_where_that_differs(tmp_path):
    path, made = tmp_path / "heads.h5", made_with(load_params(ROOT / "params.yaml"), 0, "heads")
    with write_hdf5(path, made):
        pass
    with read_hdf5(path, "train_heads@0", made) as file:
        assert made_with_of(file) == made
    with pytest.raises(InputError) as raised, read_hdf5(path, "train_heads@0", made | {"heads.epochs": 100}):
        pass
    assert str(raised.value) == (
        f"{path} is of another run: made with heads.epochs 200, where 100 is expected. "
        "Make it again, with all that it is made from: dvc repro train_heads@0"
    )


def test_what_is_not_known_of_a_file_is_refused():
    with pytest.raises(InputError, match="made with flip unknown, where None is expected"):
        require_same({}, {"flip": None}, Path("file"), "train_heads@0")
    require_same({"flip": None, "more": 1}, {"flip": None}, Path("file"), "train_heads@0")
