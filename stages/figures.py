"""Draw the figures from the tables and matrices."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from singlefilter.claims.judge import claims_text
from singlefilter.claims.paper import paper_values
from singlefilter.dilution.remove import REMOVED_SHARE
from singlefilter.figures.controls import nulls, thresholds
from singlefilter.figures.fields import field_histograms, signal_to_noise
from singlefilter.figures.layers import cluster_sizes, label_appearances, layer_statistics, layer_table
from singlefilter.figures.matrices import Shown, decisions, filter_matrices, representative_filters
from singlefilter.figures.network import network
from singlefilter.figures.rates import success_rates, training
from singlefilter.figures.removal import dilution
from singlefilter.figures.style import Paper, choose_layers, run_heading, save, use_style
from singlefilter.filters.clusters import normalise_fields
from singlefilter.pipeline.errors import unusable
from singlefilter.pipeline.files import made_with_of, read_digest, read_hdf5, replacing
from singlefilter.pipeline.params import Params
from singlefilter.pipeline.provenance import made_with
from singlefilter.pipeline.tables import read_samples, read_table
from singlefilter.statistics.cluster_means import normalised_slabs
from singlefilter.statistics.over_samples import layers_text
from stages import run

# The tables of cluster_stats, and of each a column that those of earlier versions lack.
TABLES = {
    "claims": "verdict",
    "filters": "silent",
    "histograms": "share",
    "labels": "class_name",
    "layers": "snr_measured_low",
    "nulls": "z",
    "thresholds": "walk",
    "training": "test_accuracy_without_bias",
}
TEXTS = {"filters": {"dtype": {"labels": str}}, "labels": {"dtype": {"class_name": str}, "keep_default_na": False}}


@dataclass(frozen=True)
class FirstSample:
    """What the figures show of the first sample's matrices.

    Attributes:
        class_names: K names.
        fields: Of some layers one filter's normalised fields, float64 (K, K).
        decisions: Of the first and the last layer one filter's counts of decisions, int64 (K, K).
        totals: The last layer's normalised fields, summed over its filters, float64 (K, K).
    """

    class_names: list[str]
    fields: Shown
    decisions: Shown
    totals: np.ndarray


def main(params: Params) -> None:
    made = tables_made_with(params)
    tables = {name: read_stage_table(name, made) for name in TABLES}
    layers, history = tables["layers"], tables["training"]
    removals = read_samples(
        Path("metrics/dilution"),
        params.seeds,
        {"layer": int, "accuracy": float},
        "dilute_filters",
        lambda seed: made_with(params, seed, "dilution") | heads_of_matrices(params, seed),
    )
    sample = read_first_sample(params, tables["filters"])
    paper = paper_of(params)

    use_style(params.figures.dpi, params.figures.font_size, params.figures.colormap)
    heading = run_heading(params.arch, params.dataset, len(params.seeds), params.epochs_scale)
    about = params.threshold, paper, heading
    names, size, row = sample.class_names, params.chosen_dataset.image_size, params.chosen_arch
    write("network", network(row.backbone, size, len(names), row.examined_layers, heading))
    write("success_rates", success_rates(layers, history, paper, heading))
    write("training", training(history, heading))
    write("layer_statistics", layer_statistics(layers, *about))
    write("layer_table", layer_table(layers, history, *about))
    write("cluster_sizes", cluster_sizes(layers, *about))
    write("label_appearances", label_appearances(tables["labels"], *about))
    write("decisions", decisions(sample.decisions, names, heading))
    write("filters", filter_matrices(sample.fields, names, params.threshold, heading))
    write("field_histograms", field_histograms(tables["histograms"], layers, params.threshold, heading))
    write("signal_to_noise", signal_to_noise(layers, sample.totals, names, paper, heading))
    write("nulls", nulls(tables["nulls"], params.threshold, heading))
    write("thresholds", thresholds(tables["thresholds"], heading))
    write("dilution", dilution(removals, names, paper_removal(params, layers, paper), heading))
    print(layers_text(layers))
    print(claims_text(tables["claims"]))
    print(f"figures: {Path('plots').resolve()}/*.png and *.svg")


def tables_made_with(params: Params) -> dict[str, Any]:
    """What the tables of cluster_stats must have been made with: these parameters, and the matrices that are there."""
    matrices = {f"matrices.{seed}": read_digest(*matrices_of(seed)) for seed in params.seeds}
    return made_with(params, None, "tables") | matrices


def read_stage_table(name: str, made: Mapping[str, Any]) -> pd.DataFrame:
    """Read a table of cluster_stats, as made with what tables_made_with says."""
    path, digests = Path(f"metrics/{name}.csv"), Path("metrics/tables.sha256")
    table = read_table(path, digests, "cluster_stats", made, **TEXTS.get(name, {}))
    if TABLES[name] not in table:
        raise unusable(path, f"has no column {TABLES[name]}", "cluster_stats")
    return table


def matrices_of(seed: int) -> tuple[Path, str]:
    """A sample's file of matrices, and the stage that makes it."""
    return Path(f"metrics/filters/seed{seed}.h5"), f"filter_matrices@{seed}"


def heads_of_matrices(params: Params, seed: int) -> dict[str, str]:
    """The digest of the heads that a sample's matrices are of, which its dilution must share."""
    with read_hdf5(*matrices_of(seed), made_with(params, seed, "heads")) as file:
        return {"heads": made_with_of(file)["heads"]}


def read_first_sample(params: Params, filters: pd.DataFrame) -> FirstSample:
    """Read the matrices of the filters that stand for their layers."""
    seed, layers = params.seeds[0], params.chosen_arch.examined_layers
    rows = filters[filters["seed"] == seed]
    if rows.empty:
        raise unusable(Path("metrics/filters.csv"), f"has no sample {seed}", "cluster_stats")
    chosen = representative_filters(rows)
    for layer in layers:
        if layer not in chosen:
            raise unusable(Path("metrics/filters.csv"), f"has no layer {layer}", "cluster_stats")

    path, made_by = matrices_of(seed)
    with read_hdf5(path, made_by, made_with(params, seed, "heads")) as file:
        for layer in layers:
            if f"layer{layer}" not in file:
                raise unusable(path, f"has no layer{layer}", made_by)
        return FirstSample(
            class_names=list(file.attrs["class_names"]),
            fields={layer: read_fields(file, layer, chosen[layer]) for layer in choose_layers(layers)},
            decisions={layer: read_decisions(file, layer, chosen[layer]) for layer in choose_layers(layers, 2)},
            totals=sum_fields(file, layers[-1]),
        )


def read_fields(file: h5py.File, layer: int, index: int | None) -> tuple[int, np.ndarray] | None:
    if index is None:
        return None
    sums = file[f"layer{layer}/test/fields"][[index]]
    normalised, _ = normalise_fields(sums, file["test/images_per_label"][:])
    return index, normalised[0]


def read_decisions(file: h5py.File, layer: int, index: int | None) -> tuple[int, np.ndarray] | None:
    return None if index is None else (index, file[f"layer{layer}/test/decisions"][index])


def sum_fields(file: h5py.File, layer: int) -> np.ndarray:
    """Sum the normalised fields of a layer's filters, but for silent ones; NaN if all are, and without images."""
    parts = normalised_slabs(file[f"layer{layer}/test/fields"], file["test/images_per_label"][:])
    sums = [normalised[~silent].sum(axis=0) for normalised, silent in parts if not silent.all()]
    labels = len(file.attrs["class_names"])
    return np.sum(sums, axis=0) if sums else np.full((labels, labels), np.nan)


def paper_of(params: Params) -> Paper:
    """What the paper reports of the network; nothing on other images than CIFAR-10."""
    return paper_values(params.arch) if params.chosen_dataset.source == "cifar10" else {}


def paper_removal(params: Params, layers: pd.DataFrame, paper: Paper) -> tuple[int, float] | None:
    """How many of the last layer's filters the paper removes at random, and the success rate that is left.

    It does so with vgg16's layer 13 alone, which then does as well as the network (Discussion).
    """
    last = layers.iloc[-1]
    if not paper or params.arch != "vgg16" or last["layer"] != 13:
        return None
    return round(int(last["filters"]) * REMOVED_SHARE), paper[None, "accuracy"]


def write(name: str, figure: Figure) -> None:
    for form in ("png", "svg"):
        with replacing(Path(f"plots/{name}.{form}")) as path:
            save(figure, path, form)


if __name__ == "__main__":
    run(main)
