"""Remove filters and weights of a sample's heads, and measure the success rate that is left."""

from dataclasses import asdict

import numpy as np
import pandas as pd
import torch

from singlefilter.dilution.remove import Layer, Measurement, dilute
from singlefilter.dilution.retrain import retrain_heads
from singlefilter.features.of_sample import SHARE_OF_MEMORY, open_features, training_features
from singlefilter.features.store import LayerFeatures
from singlefilter.filters.layer_clusters import cluster_layer
from singlefilter.filters.store import FilterMatrices, read_layer
from singlefilter.heads.store import read_head
from singlefilter.pipeline.artifacts import Workspace
from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.machine import main_memory
from singlefilter.pipeline.params import LayerName, Params, layer_key, layer_text
from singlefilter.training.checkpoint import Checkpoint
from singlefilter.training.device import chosen_device
from stages import run


def main(params: Params, seed: int) -> float:
    files = Workspace(params)
    rows, checkpoints = [], []
    for layer in params.diluted_layers:
        measurements = list(dilute(read_diluted_layer(files, params, seed, layer), (seed, layer_key(layer))))
        if params.dilution.retrain_heads:
            retrained, checkpoint = retrain_layer(files, params, seed, layer)
            measurements += retrained
            checkpoints.append(checkpoint)
        rows += [{"seed": seed, "layer": layer, **asdict(measurement)} for measurement in measurements]
    table = pd.DataFrame(rows).astype({"label": "Int64", "removed_filters": "Int64"})  # whole numbers beside empty ones
    files.write_table("dilution", table, seed=seed)
    for checkpoint in checkpoints:
        checkpoint.remove()
    return sum(checkpoint.seconds_before for checkpoint in checkpoints)


def read_diluted_layer(files: Workspace, params: Params, seed: int, layer: LayerName) -> Layer:
    """Read a layer's head and test set, and its clusters in the training set: the test set only measures."""
    with files.read("heads", seed=seed) as file:
        weights, _ = read_head(file, layer)
    with open_features(files, params, seed, layer, chosen_device()) as stored:
        require_memory(stored, weights.shape[1] * weights.shape[2], layer)
        features, labels = read_test_set(stored)
    with files.read("matrices", seed=seed) as file:
        member = find_member(read_layer(file, layer).splits["train"], params.threshold)
    return Layer(weights, features, labels, member)


def require_memory(stored: LayerFeatures, outputs: int, layer: LayerName) -> None:
    """Refuse a layer whose test set does not fit in the memory: every head is measured on all of it."""
    needed = len(stored.labels("test")) * outputs * 4  # float32
    if needed > SHARE_OF_MEMORY * main_memory():
        raise InputError(
            f"{layer_text(layer)}: dilution needs {needed / 1e9:,.1f} GB for the test set's features, more than "
            f"{SHARE_OF_MEMORY:.0%} of the memory; set features.pooled: true, or dilute a smaller layer"
        )


def read_test_set(file: LayerFeatures) -> tuple[np.ndarray, np.ndarray]:
    """Read the features of the test set, float32 (N, F, S), and its labels, int64 (N,)."""
    features, labels = file.whole("test")
    return features * file.scales[:, np.newaxis], labels  # float16 times float32 is float32


def find_member(matrices: FilterMatrices, threshold: float) -> np.ndarray:
    """Find which labels are in some cluster of each filter, bool (F, K)."""
    return cluster_layer(matrices.fields, matrices.images_per_label, [threshold])[threshold].numbers >= 0


def retrain_layer(
    files: Workspace, params: Params, seed: int, layer: LayerName
) -> tuple[list[Measurement], Checkpoint]:
    """Train a layer's head anew on what random removals leave; its checkpoint is to be removed when all is written."""
    device = chosen_device()
    features, labels = training_features(files, params, seed, [layer], device)
    with open_features(files, params, seed, layer, device) as stored:
        test_features, test_labels = (torch.from_numpy(part).to(device) for part in read_test_set(stored))
    checkpoint = Checkpoint.of_stage(files, "dilute_filters", device, seed=seed, layer=layer)
    draws, label_count = (seed, layer_key(layer)), len(stored.class_names)
    test = test_features, test_labels
    return retrain_heads(features, labels, test, label_count, params, draws, checkpoint), checkpoint


if __name__ == "__main__":
    run(main, per_sample=True)
