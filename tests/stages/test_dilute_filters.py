"""Dilution of a hand-made head whose clusters differ between the training and the test set."""

import numpy as np
import pandas as pd
import torch

from singlefilter.features.store import write_largest, write_scales
from singlefilter.filters.store import FilterMatrices, LayerMatrices, write_layer
from singlefilter.heads.store import write_heads
from singlefilter.pipeline.artifacts import Workspace
from stages.dilute_filters import main

NAMES = ["cat", "dog"]


def matrices(fields: list[list[list[float]]]) -> FilterMatrices:
    return FilterMatrices(np.array(fields), np.zeros((3, 2, 2), dtype=int), np.ones(2, dtype=int), np.zeros(3, int))


def test_clusters_of_the_training_set_decide_what_is_removed(make_params, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    params, cat, dog = make_params(), [[1, 0], [0, 0]], [[0, 0], [0, 1]]
    files = Workspace(params)
    with files.write("features", seed=0, layer=2) as file:
        file.attrs["class_names"] = NAMES
        file["test/features"] = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=np.float16).reshape(3, 3, 1, 1)
        file["test/labels"] = np.array([0, 1, 1])
        write_scales(file, np.ones(3, dtype=np.float32))
        write_largest(file, np.ones(3, dtype=np.float32))
    head = torch.tensor([[[2.0], [0.0], [1.0]], [[0.0], [2.0], [3.0]]])  # (K, F, S)
    with files.write("heads", seed=0) as file:
        write_heads(file, {2: head}, {2: {"test_accuracy": 1.0}})
    train, test = matrices([cat, dog, dog]), matrices([cat, cat, dog])
    with files.write("matrices", seed=0) as file:
        write_layer(file, 2, LayerMatrices(NAMES, {}, np.zeros(3, dtype=bool), {"train": train, "test": test}))
    main(params, seed=0)
    rows = pd.read_csv("metrics/dilution/seed0.csv").query("kind == 'label'")
    assert rows["removed_filters"].tolist() == [1, 2]
    assert rows["rest_accuracy"].tolist() == [1, 1]
    assert rows["label_accuracy"].tolist() == [1, 0]  # without a field an image is called a cat
