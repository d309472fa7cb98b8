"""Gather the field and decision matrices of every filter of a sample's examined layers."""

import numpy as np

from singlefilter.features.of_sample import open_features
from singlefilter.filters.matrices import filter_matrices, images_per_pass
from singlefilter.filters.store import LayerMatrices, write_layer
from singlefilter.heads.store import read_head
from singlefilter.pipeline.artifacts import Workspace
from singlefilter.pipeline.console import progress
from singlefilter.pipeline.params import Params
from singlefilter.training.device import chosen_device
from stages import run


def main(params: Params, seed: int) -> None:
    files, layers, device = Workspace(params), params.chosen_arch.examined_layers, chosen_device()
    with files.read("heads", seed=seed) as heads, files.write("matrices", seed=seed) as out:
        for layer in progress(layers, f"filters, sample {seed}", "layer"):
            weights, accuracies = read_head(heads, layer)
            with open_features(files, params, seed, layer, device) as features:
                scaled = weights * features.scales[:, np.newaxis]  # by powers of two: exact
                splits = {
                    split: filter_matrices(features.stream(split, images_per_pass(scaled)), scaled, device)
                    for split in ("train", "test")
                }
            found = LayerMatrices(features.class_names, accuracies, features.faded, splits, features.place)
            write_layer(out, layer, found)


if __name__ == "__main__":
    run(main, per_sample=True)
