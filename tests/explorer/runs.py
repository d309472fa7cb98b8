"""Small runs with all that the page of all filters is made from: random features whose means depend on the label."""

import copy
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from singlefilter.data.dataset import Data, Split
from singlefilter.data.store import table_of_names, write_dataset
from singlefilter.filters.images import find_images, round_features
from singlefilter.filters.matrices import filter_matrices
from singlefilter.filters.store import (
    Explained,
    LayerImages,
    LayerMatrices,
    write_explained,
    write_images,
    write_layer,
)
from singlefilter.pipeline.artifacts import Workspace
from singlefilter.pipeline.params import Params
from singlefilter.pipeline.params_files import parse_params
from singlefilter.statistics.over_samples import FILTERS_COLUMNS, nulls_table
from stages import cluster_stats, explorer, filter_images
from tests.conftest import TINY

POSITIONS = {1: 4, 2: 1}  # of a filter, by layer
SILENT = 3  # a filter of layer 2
NAMES = ("<script>alert(1)</script>", 'a "quoted", name', "cat", "dog", "wörld & co")


@dataclass
class Run:
    """A run, and what its page is to show.

    Attributes:
        params: Its parameters.
        page: Its page.
        data: Its images, in the order of dataset.h5.
        tables: What cluster_stats measures of it, by sample.
        matrices: Of each sample and layer.
        images: Of each sample and layer.
        features: Of the test set, float32 (N, F, S), of each sample and layer.
        heads: float32 (K, F, S), of each sample and layer.
    """

    params: Params
    page: Path
    data: Data
    tables: dict[str, pd.DataFrame]
    matrices: dict[tuple[int, int], LayerMatrices] = field(default_factory=dict)
    images: dict[tuple[int, int], LayerImages] = field(default_factory=dict)
    features: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)
    heads: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)


def write_run(
    names: tuple[str, ...], samples: int = 1, filters: tuple[int, int] = (12, 12), test_images: int = 60
) -> Run:
    """Write, into the folder that one is in, the files of a run with two layers of so many filters, and its page."""
    values = copy.deepcopy(TINY) | {"seeds": [*range(samples)], "explorer": {"images": 3}}
    params, generator = parse_params(values), np.random.default_rng(len(names))
    data = make_images(names, generator, test_images)
    run = Run(params, Path("plots/explorer.html").absolute(), data, {})
    files = Workspace(params)
    with files.write("dataset") as file:
        write_dataset(file, data)
    files.write_table("image_names", table_of_names(data))
    for seed in params.seeds:
        with files.write("matrices", seed=seed) as file:
            for layer, count in zip(POSITIONS, filters, strict=True):
                add_layer(run, seed, layer, count, generator)
                write_layer(file, layer, run.matrices[seed, layer])
        with files.write("images", seed=seed) as file:
            for layer in POSITIONS:
                write_images(file, layer, run.images[seed, layer])
            codes = round_features(run.features[seed, 2])
            write_explained(file, Explained(*codes, run.heads[seed, 2]))
    run.tables = cluster_stats.measure(files, params)
    files.write_table("filters", run.tables["filters"][FILTERS_COLUMNS], "%.6g")
    files.write_table("nulls", nulls_table(run.tables["nulls"]), "%.6g")
    explorer.main(params)
    return run


def make_images(names: tuple[str, ...], generator: np.random.Generator, test_images: int) -> Data:
    """Images of one colour each, and names that are no markup."""
    splits = {}
    for split, count in (("train", 2 * test_images), ("test", test_images)):
        labels = np.arange(count) % len(names)
        colours = generator.integers(256, size=(count, 1, 1, 3), dtype=np.uint8)
        files = np.array([f"{split}/<b>{number}</b>.png" for number in range(count)])
        splits[split] = Split(colours.repeat(8, axis=1).repeat(8, axis=2), labels, files)
    ordered = {split: of.take(in_order_of_digests(of)) for split, of in splits.items()}
    return Data("tiny", names, **ordered)


def in_order_of_digests(split: Split) -> np.ndarray:
    """The order of dataset.h5, so that what is made here is about its images."""
    table = table_of_names(Data("tiny", tuple(map(str, range(1000))), split, split))
    places = {name: number for number, name in enumerate(split.names)}
    return np.array([places[name] for name in table.loc[table["split"] == "test", "name"]])


def add_layer(run: Run, seed: int, layer: int, filters: int, generator: np.random.Generator) -> None:
    labels, positions = len(run.data.class_names), POSITIONS[layer]
    means = generator.normal(size=(labels, filters, positions))
    head = generator.normal(size=(labels, filters, positions)).astype(np.float32)
    if layer == 2:
        head[:, SILENT] = 0

    def features_of(split: Split) -> np.ndarray:
        noise = generator.normal(size=(len(split.labels), filters, positions))
        values = (means[split.labels] + noise).astype(np.float16)
        return values if seed else np.maximum(values, 0)  # the second sample's are not of ReLU

    test, train = features_of(run.data.test), features_of(run.data.train)
    device = torch.device("cpu")
    splits = {
        "test": filter_matrices([(test, run.data.test.labels)], head, device),
        "train": filter_matrices([(train, run.data.train.labels)], head, device),
    }
    decided = np.einsum("nfs,kfs->nk", test.astype(np.float64), head).argmax(axis=1)
    accuracies = {"test_accuracy": float((decided == run.data.test.labels).mean()), "train_accuracy": 0.5}
    faded = np.isin(np.arange(filters), [1, SILENT])  # a filter without outputs is far weaker, too
    run.matrices[seed, layer] = LayerMatrices(run.data.class_names, accuracies, faded, splits)
    own = filter_images.find_own_labels(splits["test"])
    run.images[seed, layer] = find_images([(test, run.data.test.labels)], head, own, 3, device)
    run.features[seed, layer], run.heads[seed, layer] = test.astype(np.float32), head
