"""Find the clusters of every filter in the field matrices, and average over filters and samples."""

import json
from collections import defaultdict
from pathlib import Path

import h5py
import pandas as pd

from singlefilter.errors import unusable
from singlefilter.files import read_hdf5, replacing
from singlefilter.params import Params
from singlefilter.progress import Progress
from singlefilter.statistics import (
    SWEPT_THRESHOLDS,
    cluster_layer,
    filters_table,
    labels_table,
    layer_statistics,
    layers_table,
    summarise,
    thresholds_table,
)
from stages import run


def main(params: Params) -> None:
    tables: dict[str, list[pd.DataFrame]] = defaultdict(list)
    last_epochs = []
    for index in Progress("clusters", len(params.seeds), unit="sample"):
        seed = params.seeds[index]
        last_epochs.append(read_last_epoch(seed))
        with read_hdf5(Path(f"metrics/filters/seed{seed}.h5"), made_by=f"filter_matrices@{seed}") as file:
            for layer in params.chosen_arch.examined_layers:
                for name, table in sample_tables(file, seed, layer, params.threshold).items():
                    tables[name].append(table.assign(seed=seed, layer=layer))
    samples, filters, labels = (pd.concat(tables[name], ignore_index=True) for name in ("samples", "filters", "labels"))
    layers = layers_table(samples[samples["threshold"] == params.threshold])
    write_csv("layers", layers)
    write_csv("filters", filters[["seed", "layer", "filter", "noise", "clusters", "silent", "labels"]])
    write_csv("labels", labels[["seed", "layer", "label", "class_name", "appearances"]])
    write_csv("thresholds", thresholds_table(samples))
    with replacing(Path("metrics/summary.json")) as path:
        path.write_text(json.dumps(summarise(layers, pd.DataFrame(last_epochs)), indent=2) + "\n", encoding="utf-8")


def sample_tables(file: h5py.File, seed: int, layer: int, threshold: float) -> dict[str, pd.DataFrame]:
    """The tables of one layer of one sample: its statistics at all thresholds, its filters and labels at the chosen."""
    if f"layer{layer}" not in file:
        raise unusable(Path(file.filename), f"has no layer{layer}", f"filter_matrices@{seed}")
    group = file[f"layer{layer}"]
    thresholds = sorted({*SWEPT_THRESHOLDS, threshold})
    found = cluster_layer(group["test/fields"], file["test/images_per_label"][:], thresholds)
    accuracies = {
        "accuracy": group.attrs["test_accuracy"],
        "train_accuracy": group.attrs["train_accuracy"],
        "validation_accuracy": group.attrs.get("validation_accuracy", float("nan")),
    }
    rows = [{"threshold": at, **accuracies, **layer_statistics(clusters)} for at, clusters in found.items()]
    return {
        "samples": pd.DataFrame(rows),
        "filters": filters_table(found[threshold]),
        "labels": labels_table(found[threshold], file.attrs["class_names"]),
    }


def read_last_epoch(seed: int) -> pd.Series:
    """The last row of a sample's training history, which has the whole network's success rates."""
    path = Path(f"metrics/history/seed{seed}.csv")
    try:
        return pd.read_csv(path)[["test_accuracy", "validation_accuracy"]].astype(float).iloc[-1]
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise unusable(path, f"is missing or not whole ({error})", f"train_backbone@{seed}") from error


def write_csv(name: str, table: pd.DataFrame) -> None:
    with replacing(Path(f"metrics/{name}.csv")) as path:
        table.to_csv(path, index=False, float_format="%.6g", lineterminator="\n", encoding="utf-8")


if __name__ == "__main__":
    run(main)
