"""Remove filters and weights of a sample's last head, without retraining, and measure the success rate that is left."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from singlefilter.dilution import Layer, dilute
from singlefilter.errors import unusable
from singlefilter.features import feature_path, open_features
from singlefilter.files import read_hdf5, replacing
from singlefilter.heads import read_head
from singlefilter.params import Params
from singlefilter.statistics import cluster_layer
from stages import run


def main(params: Params, seed: int) -> None:
    write_dilution(seed, params.chosen_arch.examined_layers[-1:], params.threshold)


def write_dilution(seed: int, layers: Sequence[int], threshold: float) -> None:
    """Write a row for each measurement on each layer; the columns are those that singlefilter.dilution describes."""
    rows = [
        {"seed": seed, "layer": layer, **asdict(measurement)}
        for layer in layers
        for measurement in dilute(read_layer(seed, layer, threshold), (seed, layer))
    ]
    table = pd.DataFrame(rows).astype({"label": "Int64", "removed_filters": "Int64"})  # whole numbers beside empty ones
    with replacing(Path(f"metrics/dilution/seed{seed}.csv")) as path:
        table.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")


def read_layer(seed: int, layer: int, threshold: float) -> Layer:
    """Read a layer's head and test set, and find its clusters."""
    with open_features(feature_path(Path(f"features/seed{seed}"), layer), f"extract_features@{seed}") as file:
        features, labels = file.whole("test")
        weights, _ = read_head(Path(f"models/heads/seed{seed}.h5"), layer, file.origin, f"train_heads@{seed}")
    # float16 is slow to widen, and every dilution would do it again.
    return Layer(weights, features.astype(np.float32), labels, read_member(seed, layer, threshold))


def read_member(seed: int, layer: int, threshold: float) -> np.ndarray:
    """Find which labels are in some cluster of each filter, Boolean (F, K)."""
    path, made_by = Path(f"metrics/filters/seed{seed}.h5"), f"filter_matrices@{seed}"
    with read_hdf5(path, made_by) as file:
        if f"layer{layer}" not in file:
            raise unusable(path, f"has no layer{layer}", made_by)
        fields, images_per_label = file[f"layer{layer}/test/fields"], file["test/images_per_label"][:]
        return cluster_layer(fields, images_per_label, [threshold])[threshold].numbers >= 0


if __name__ == "__main__":
    run(main, per_sample=True)
