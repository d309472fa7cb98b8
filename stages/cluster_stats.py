"""Find the clusters of every filter in the field matrices, and measure every layer, over all samples."""

import json
from collections import defaultdict

import h5py
import pandas as pd

from singlefilter.claims.judge import judge, summarise_claims
from singlefilter.claims.run import Run
from singlefilter.filters.store import read_layer
from singlefilter.pipeline.architecture import multiply_accumulates
from singlefilter.pipeline.artifacts import Workspace
from singlefilter.pipeline.console import progress
from singlefilter.pipeline.params import LayerName, Params
from singlefilter.records.store import read_control
from singlefilter.statistics.bootstrap import intervals
from singlefilter.statistics.layer import measure_layer
from singlefilter.statistics.over_samples import (
    FILTERS_COLUMNS,
    LABELS_COLUMNS,
    histograms_table,
    layers_table,
    nulls_table,
    sizes_table,
    summarise,
    thresholds_table,
)
from stages import run

HISTORY_COLUMNS = dict.fromkeys(("test_accuracy", "validation_accuracy", "test_accuracy_without_bias"), float)
DILUTION_COLUMNS = {"layer": object, "removed_filters": float, "accuracy": float}


def main(params: Params) -> None:
    files = Workspace(params)
    histories = files.read_samples("history", HISTORY_COLUMNS)
    dilution = files.read_samples("dilution", DILUTION_COLUMNS)
    measured = measure(files, params)
    layers = layers_table(measured["samples"], intervals(measured["draws"].drop(columns="seed")))
    layers = layers.merge(places_and_costs(files, params, measured["labels"]["label"].nunique()), on="layer")
    thresholds = thresholds_table(measured["thresholds"])
    nulls = nulls_table(measured["nulls"])
    run_tables = Run(params, layers, thresholds, nulls, histories, dilution)
    claims = judge(run_tables, read_control(params.dataset, params.arch))
    tables = {
        "layers": layers,
        "sizes": sizes_table(layers, measured["samples"]),
        "nulls": nulls,
        "thresholds": thresholds,
        "histograms": histograms_table(measured["histograms"]),
        "filters": measured["filters"][FILTERS_COLUMNS],
        "labels": measured["labels"][LABELS_COLUMNS],
        "training": histories,
        "claims": claims,
    }
    for name, table in tables.items():
        files.write_table(name, table, "%.6g")
    summary = summarise(layers, run_tables.last_epochs) | {"claims": summarise_claims(claims)}
    files.write_text("summary", json.dumps(summary, indent=2) + "\n")


def places_and_costs(files: Workspace, params: Params, label_count: int) -> pd.DataFrame:
    """Where each examined layer is in the network, and the cost of an image up to there, with a head on it.

    Returns:
        One row per layer: layer; depth, its number over that of all convolutional layers, or of all layers with
        weights; multiply_accumulates, and their share of the whole network's.
    """
    backbone, layers = params.chosen_arch.backbone, list(params.chosen_arch.examined_layers)
    if not backbone.is_chain:
        with files.read("matrices", seed=params.seeds[0]) as file:
            places = [{"layer": layer} | read_layer(file, layer).place for layer in layers]
        table = pd.DataFrame(places)[["layer", "depth", "multiply_accumulates", "multiply_accumulates_share"]]
        return table.assign(layer=as_ordered_category(table["layer"], params))
    cut, whole = multiply_accumulates(backbone, label_count, params.chosen_dataset.image_size, params.features.pooled)
    counts = [cut[layer - 1] for layer in layers]
    shares = [count / whole for count in counts]
    depth = [layer / len(cut) for layer in layers]
    return pd.DataFrame(
        {"layer": layers, "depth": depth, "multiply_accumulates": counts, "multiply_accumulates_share": shares}
    )


def measure(files: Workspace, params: Params) -> dict[str, pd.DataFrame]:
    """Give the tables of layer.measure_layer of all samples and layers, in this order, with columns seed and layer."""
    parts: dict[str, list[pd.DataFrame]] = defaultdict(list)
    for seed in params.seeds:
        with files.read("matrices", seed=seed) as file:
            for layer in progress(params.chosen_arch.examined_layers, f"clusters, sample {seed}", "layer"):
                for name, table in tables_of_layer(file, layer, params.threshold, seed).items():
                    parts[name].append(table.assign(seed=seed, layer=layer))
    joined = {name: pd.concat(tables, ignore_index=True) for name, tables in parts.items()}
    return {name: table.assign(layer=as_ordered_category(table["layer"], params)) for name, table in joined.items()}


def as_ordered_category(layers: pd.Series, params: Params) -> pd.Series:
    """Give names of layers the network's order, which sorting and grouping keep; numbers have it."""
    examined = params.chosen_arch.examined_layers
    return layers if isinstance(examined[0], int) else layers.astype(pd.CategoricalDtype(examined, ordered=True))


def tables_of_layer(file: h5py.File, layer: LayerName, threshold: float, seed: int) -> dict[str, pd.DataFrame]:
    """Give the tables of one layer of one sample, the success rates of its head beside its statistics.

    These are the whole head's, and what it loses on the test set without each single filter.
    """
    matrices = read_layer(file, layer)
    test, train = matrices.splits["test"], matrices.splits["train"]
    tables = measure_layer(test, train, matrices.faded, matrices.class_names, threshold, layer, seed)
    accuracies = {
        "accuracy": matrices.accuracies["test_accuracy"],
        "train_accuracy": matrices.accuracies["train_accuracy"],
        "validation_accuracy": matrices.accuracies.get("validation_accuracy", float("nan")),
    }
    losses = accuracies["accuracy"] - test.correct_without / test.images_per_label.sum()
    return tables | {
        "samples": tables["samples"].assign(**accuracies),
        "filters": tables["filters"].assign(accuracy_loss=losses),
    }


if __name__ == "__main__":
    run(main)
