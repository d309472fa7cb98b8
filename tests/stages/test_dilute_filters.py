"""Dilution of a hand-made head whose clusters differ between the training and the test set."""

import numpy as np
import pandas as pd
import pytest
import torch

from singlefilter.dilution.remove import Layer, removal_counts, remove_random_filters
from singlefilter.features.store import write_largest, write_scales
from singlefilter.filters.store import FilterMatrices, LayerMatrices, write_layer
from singlefilter.heads.store import write_heads
from singlefilter.pipeline.artifacts import Workspace
from singlefilter.pipeline.params import Params
from stages.dilute_filters import main

NAMES = ["cat", "dog"]
CAT, DOG, MOSTLY_CAT = [[1, 0], [0, 0]], [[0, 0], [0, 1]], [[1, 0], [0, 0.5]]
FEATURES = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=np.float16).reshape(3, 3, 1)  # (N, F, S)
LABELS = np.array([0, 1, 1])
HEAD = np.array([[[2], [0], [1]], [[0], [2], [3]]], dtype=np.float32)  # (K, F, S)


def matrices(fields: list[list[list[float]]]) -> FilterMatrices:
    return FilterMatrices(np.array(fields), np.zeros((3, 2, 2), dtype=int), np.ones(2, dtype=int), np.zeros(3, int))


def diluted(params: Params, train: FilterMatrices, test: FilterMatrices) -> pd.DataFrame:
    """What the stage writes of a layer with these matrices, in the present folder."""
    files, seed = Workspace(params), params.seeds[0]
    with files.write("features", seed=seed, layer=2) as file:
        file.attrs["class_names"] = NAMES
        file["test/features"] = FEATURES[..., np.newaxis]
        file["test/labels"] = LABELS
        write_scales(file, np.ones(3, dtype=np.float32))
        write_largest(file, np.ones(3, dtype=np.float32))
    with files.write("heads", seed=seed) as file:
        write_heads(file, {2: torch.from_numpy(HEAD)}, {2: {"test_accuracy": 1.0}})
    with files.write("matrices", seed=seed) as file:
        write_layer(file, 2, LayerMatrices(NAMES, {}, np.zeros(3, dtype=bool), {"train": train, "test": test}))
    main(params, seed=seed)
    return pd.read_csv(f"metrics/dilution/seed{seed}.csv")


def test_clusters_of_the_training_set_decide_what_is_removed(make_params, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = diluted(make_params(), matrices([CAT, DOG, DOG]), matrices([CAT, CAT, DOG])).query("kind == 'label'")
    assert rows["removed_filters"].tolist() == [1, 2]
    assert rows["rest_accuracy"].tolist() == [1, 1]
    assert rows["label_accuracy"].tolist() == [1, 0]  # without a field an image is called a cat


@pytest.mark.parametrize(("threshold", "dogs"), [(0.6, 2), (0.4, 3)])
def test_the_runs_threshold_decides_which_filters_stand_for_a_label(
    threshold, dogs, make_params, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    split = matrices([MOSTLY_CAT, DOG, DOG])
    rows = diluted(make_params(threshold=threshold), split, split).query("kind == 'label'")
    assert rows["removed_filters"].tolist() == [1, dogs]


def test_draws_are_those_of_the_sample_and_the_layer(make_params, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    split = matrices([CAT, DOG, DOG])
    rows = diluted(make_params(seeds=[3]), split, split).query("kind == 'random'")
    layer = Layer(HEAD, FEATURES, LABELS, np.zeros((3, 2), dtype=bool))
    expected = [found.accuracy for found in remove_random_filters(layer, removal_counts(3, 16), (3, 2), 20)]
    assert rows["accuracy"].tolist() == pytest.approx(expected)
