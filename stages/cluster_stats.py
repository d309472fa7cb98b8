"""Find the clusters of every filter in the field matrices, and measure every layer, over all samples."""

import json
from collections import defaultdict
from pathlib import Path

import pandas as pd

from singlefilter.claims.judge import judge, summarise_claims
from singlefilter.claims.run import Run
from singlefilter.pipeline.architecture import multiply_accumulates
from singlefilter.pipeline.console import progress
from singlefilter.pipeline.errors import unusable
from singlefilter.pipeline.files import made_with_of, read_digest, read_hdf5, replacing
from singlefilter.pipeline.params import Params
from singlefilter.pipeline.provenance import made_with
from singlefilter.pipeline.tables import read_samples, write_digests
from singlefilter.statistics.bootstrap import intervals
from singlefilter.statistics.layer import Matrices, measure_layer
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

MEASURED_BY_EPOCH = dict.fromkeys(("test_accuracy", "validation_accuracy", "test_accuracy_without_bias"), float)
MEASURED_DILUTED = {"layer": int, "removed_filters": float, "accuracy": float}
METRICS = Path("metrics")


def main(params: Params) -> None:
    histories = read_samples(
        METRICS / "history",
        params.seeds,
        MEASURED_BY_EPOCH,
        "train_backbone",
        lambda seed: made_with(params, seed, "network") | inputs_of_matrices(params, seed, "network"),
    )
    dilution = read_samples(
        METRICS / "dilution",
        params.seeds,
        MEASURED_DILUTED,
        "dilute_filters",
        lambda seed: made_with(params, seed, "dilution") | inputs_of_matrices(params, seed, "heads"),
    )
    tables = measure(params)
    layers = layers_table(tables["samples"], intervals(tables["draws"].drop(columns="seed")))
    layers = layers.merge(costs(params, len(set(tables["labels"]["label"]))), on="layer")
    thresholds = thresholds_table(tables["thresholds"])
    claims = judge(Run(params, layers, thresholds, histories, dilution))
    written = [
        write_csv("layers", layers),
        write_csv("sizes", sizes_table(layers, tables["samples"])),
        write_csv("nulls", nulls_table(tables["nulls"])),
        write_csv("thresholds", thresholds),
        write_csv("histograms", histograms_table(tables["histograms"])),
        write_csv("filters", tables["filters"][FILTERS_COLUMNS]),
        write_csv("labels", tables["labels"][LABELS_COLUMNS]),
        write_csv("training", histories),
        write_csv("claims", claims),
    ]
    summary = summarise(layers, histories.groupby("seed").tail(1)) | {"claims": summarise_claims(claims)}
    path = METRICS / "summary.json"
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    matrices = {f"matrices.{seed}": read_digest(*matrices_of(seed)) for seed in params.seeds}
    write_digests(METRICS / "tables.sha256", [*written, path], made_with(params, None, "tables") | matrices)


def matrices_of(seed: int) -> tuple[Path, str]:
    """A sample's file of matrices, and the stage that makes it."""
    return METRICS / f"filters/seed{seed}.h5", f"filter_matrices@{seed}"


def inputs_of_matrices(params: Params, seed: int, name: str) -> dict[str, str]:
    """The digest of the network or of the heads that a sample's matrices are of, which its tables must share."""
    with read_hdf5(*matrices_of(seed), made_with(params, seed, "heads")) as file:
        return {name: made_with_of(file)[name]}


def costs(params: Params, label_count: int) -> pd.DataFrame:
    """Cost of an image in the network cut after each examined layer, with a head there, and its share of the whole."""
    backbone, layers = params.chosen_arch.backbone, list(params.chosen_arch.examined_layers)
    cut, whole = multiply_accumulates(backbone, label_count, params.chosen_dataset.image_size)
    counts = [cut[layer - 1] for layer in layers]
    shares = [count / whole for count in counts]
    return pd.DataFrame({"layer": layers, "multiply_accumulates": counts, "multiply_accumulates_share": shares})


def measure(params: Params) -> dict[str, pd.DataFrame]:
    """The tables of layers.measure_layer of all samples and layers, in this order, with the columns seed and layer."""
    parts: dict[str, list[pd.DataFrame]] = defaultdict(list)
    items = [(seed, layer) for seed in params.seeds for layer in params.chosen_arch.examined_layers]
    for seed, layer in progress(items, "clusters", "layer"):
        for name, table in measure_sample(params, seed, layer).items():
            parts[name].append(table.assign(seed=seed, layer=layer))
    return {name: pd.concat(tables, ignore_index=True) for name, tables in parts.items()}


def measure_sample(params: Params, seed: int, layer: int) -> dict[str, pd.DataFrame]:
    """The tables of layers.measure_layer of one layer of one sample, the head's accuracies beside its statistics."""
    path, made_by = matrices_of(seed)
    with read_hdf5(path, made_by, made_with(params, seed, "heads")) as file:
        if f"layer{layer}" not in file:
            raise unusable(path, f"has no layer{layer}", made_by)
        group = file[f"layer{layer}"]
        test, train = (
            Matrices(group[f"{split}/fields"], group[f"{split}/decisions"], file[f"{split}/images_per_label"][:])
            for split in ("test", "train")
        )
        tables = measure_layer(test, train, file.attrs["class_names"], params.threshold, layer, seed)
        accuracies = {
            "accuracy": group.attrs["test_accuracy"],
            "train_accuracy": group.attrs["train_accuracy"],
            "validation_accuracy": group.attrs.get("validation_accuracy", float("nan")),
        }
    return tables | {"samples": tables["samples"].assign(**accuracies)}


def write_csv(name: str, table: pd.DataFrame) -> Path:
    path = METRICS / f"{name}.csv"
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    run(main)
