"""What the paper fixes of its networks."""

import json
from functools import reduce
from operator import getitem
from typing import Any

import pytest

from singlefilter.paper.networks import FIXED, differences_of_row
from singlefilter.pipeline.params import Arch
from singlefilter.pipeline.params_files import load_params
from tests.claims.tables import PARAMS

ROWS = load_params(PARAMS).archs


def changed_row(arch: str, key: str, value: Any) -> Arch:
    values = ROWS[arch].model_dump(mode="json")
    *places, last = key.split(".")
    reduce(getitem, places, values)[last] = value
    return Arch.model_validate_json(json.dumps(values))


def test_a_row_of_the_papers_name_with_a_network_of_torchvision_differs():
    assert differences_of_row("vgg16", ROWS["resnet18"])[:2] == [
        "backbone.convolutions not the paper's",
        "number of backbone.fully_connected 0 instead of 2",
    ]


@pytest.mark.parametrize("arch", FIXED)
def test_the_rows_of_catalog_yaml_are_the_papers(arch):
    assert differences_of_row(arch, ROWS[arch]) == []


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("backbone.convolutions", [64] * 13, "backbone.convolutions not the paper's"),
        ("backbone.fully_connected", [512], "number of backbone.fully_connected 1 instead of 2"),
        ("backbone.epochs", 150, "backbone.epochs 150 instead of 280"),
        ("backbone.batch_size", 50, "backbone.batch_size 50 instead of 100"),
        ("backbone.convolutional_rates.learning_rate", 0.1, "learning_rate 0.1 instead of 0.00721"),
        ("backbone.convolutional_rates.decay", [], "backbone.convolutional_rates.decay not the paper's"),
        ("backbone.fully_connected_rates.momentum", 0.9, "momentum 0.9 instead of 0.982"),
        ("backbone.fully_connected_rates.weight_decay", 0.0, "weight_decay 0 instead of 0.00135"),
        ("heads.learning_rate", 0.1, "heads.learning_rate 0.1 instead of 0.02"),
        ("heads.decay", [], "heads.decay not the paper's"),
    ],
)
def test_what_the_paper_fixes_is_told_where_it_differs(key, value, expected):
    (difference,) = differences_of_row("avgg16", changed_row("avgg16", key, value))
    assert difference.endswith(expected) and key in difference


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("backbone.fully_connected", [4096, 4096]),
        ("backbone.activation", "none"),
        ("heads.epochs", 50),
        ("heads.images", "plain"),
        ("examined_layers", [12]),
        (
            "backbone.fully_connected_rates.decay",
            [{"first": 30, "every": 20, "factor": 0.65}, {"first": 170, "every": 20, "factor": 0.55}],
        ),
    ],
)
def test_what_the_paper_leaves_open_is_no_difference(key, value):
    assert differences_of_row("avgg16", changed_row("avgg16", key, value)) == []


def test_many_differences_are_counted():
    assert differences_of_row("avgg16", ROWS["vgg6"])[-1] == "and 10 more"
