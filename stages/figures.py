"""Draw the figures from the tables and matrices."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from singlefilter.claims.text import claims_text
from singlefilter.figures.axes import choose_layers
from singlefilter.figures.dilution import plot_dilution
from singlefilter.figures.fields import plot_field_histograms, plot_signal_to_noise
from singlefilter.figures.layers import (
    layers_text,
    plot_cluster_sizes,
    plot_label_appearances,
    plot_layer_statistics,
    plot_layer_table,
)
from singlefilter.figures.matrices import Shown, plot_decisions, plot_filters, representative_filters
from singlefilter.figures.network import plot_network
from singlefilter.figures.nulls_and_thresholds import plot_nulls, plot_thresholds
from singlefilter.figures.style import Paper, caption_text, save, use_style
from singlefilter.figures.success_rates import plot_success_rates, plot_training
from singlefilter.filters.clusters import normalise_fields
from singlefilter.filters.layer_clusters import normalised_slabs
from singlefilter.filters.store import FilterMatrices, read_layer
from singlefilter.paper.values import REMOVED_SHARE, paper_values
from singlefilter.pipeline.architecture import layer_shapes
from singlefilter.pipeline.artifacts import Workspace, path_of, way_out
from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.files import replacing
from singlefilter.pipeline.params import LayerName, Params
from stages import run

TABLES = ("claims", "filters", "histograms", "labels", "layers", "nulls", "thresholds", "training")
TEXTS = {"filters": {"dtype": {"labels": str}}, "labels": {"dtype": {"class_name": str}, "keep_default_na": False}}


@dataclass(frozen=True)
class FirstSample:
    """What the figures show of the first sample's matrices.

    Attributes:
        class_names: K names.
        fields: Of some layers one filter's normalised fields, float64 (K, K).
        decisions: Of the first and the last layer one filter's counts of decisions, int64 (K, K).
        outputs: Filters and positions of each layer of a network that is no chain.
        totals: The last layer's normalised fields, summed over its filters, float64 (K, K).
    """

    class_names: list[str]
    fields: Shown
    decisions: Shown
    outputs: Mapping[LayerName, tuple[int, int]]
    totals: np.ndarray


def main(params: Params) -> None:
    files = Workspace(params)
    tables = {name: files.read_table(name, **TEXTS.get(name, {})) for name in TABLES}
    dilution = files.read_samples("dilution", {"layer": object, "accuracy": float})
    sample = read_first_sample(files, params, tables["filters"])

    use_style(params.figures.dpi, params.figures.font_size, params.figures.colormap)
    captions = [write(name, figure) for name, figure in draw(params, tables, dilution, sample)]
    files.write_text("captions", "\n".join([f"# {params.heading}\n", *captions]))
    print(layers_text(tables["layers"]))
    print(claims_text(tables["claims"]))
    print(f"figures: {path_of('figure', figure='*', form='png').resolve()} and *.svg")


def draw(
    params: Params, tables: dict[str, pd.DataFrame], dilution: pd.DataFrame, sample: FirstSample
) -> Iterator[tuple[str, Figure]]:
    """Draw every figure, one after the other; give their names with them."""
    layers, history, paper, heading = tables["layers"], tables["training"], paper_of(params), params.heading
    about = params.threshold, paper, heading
    names, size, row = sample.class_names, params.chosen_dataset.image_size, params.chosen_arch
    yield (
        "network",
        plot_network(
            row.backbone, size, len(names), row.examined_layers, heading, params.features.pooled, sample.outputs
        ),
    )
    yield "success_rates", plot_success_rates(layers, history, paper, heading)
    yield "training", plot_training(history, heading)
    yield "layer_statistics", plot_layer_statistics(layers, *about)
    yield "layer_table", plot_layer_table(layers, history, *about)
    yield "cluster_sizes", plot_cluster_sizes(layers, *about)
    yield "label_appearances", plot_label_appearances(tables["labels"], *about)
    yield "decisions", plot_decisions(sample.decisions, single_positions(params), names, heading)
    yield "filters", plot_filters(sample.fields, params.chosen_arch.examined_layers, names, params.threshold, heading)
    yield "field_histograms", plot_field_histograms(tables["histograms"], layers, params.threshold, heading)
    yield "signal_to_noise", plot_signal_to_noise(layers, sample.totals, names, paper, heading)
    yield "nulls", plot_nulls(tables["nulls"], params.threshold, heading)
    yield "thresholds", plot_thresholds(tables["thresholds"], heading)
    yield "dilution", plot_dilution(dilution, names, paper_removal(params, layers, paper), heading)


def single_positions(params: Params) -> list[LayerName]:
    """List the layers whose filters decide alike for all images: those with one position, after a ReLU.

    What other networks put out may be below 0, and then the largest field is on another output.
    """
    convolutions = params.chosen_arch.backbone.convolutions or ()
    shapes = layer_shapes(convolutions, params.chosen_dataset.image_size)
    return [shape.number for shape in shapes if shape.pooled_side == 1 or params.features.pooled]


def read_first_sample(files: Workspace, params: Params, filters: pd.DataFrame) -> FirstSample:
    """Read the matrices of the filters that represent their layers."""
    seed, layers = params.seeds[0], params.chosen_arch.examined_layers
    chosen = representative_filters(filters[filters["seed"] == seed])
    if [*chosen] != [*layers]:
        raise InputError(
            f"{path_of('filters')} is of another run: it has layers {[*chosen]} of sample {seed}, "
            f"where {[*layers]} are expected. {way_out('filters')}"
        )
    with files.read("matrices", seed=seed) as file:
        matrices = {layer: read_layer(file, layer) for layer in layers}
        tests = {layer: of_layer.splits["test"] for layer, of_layer in matrices.items()}
        places = {layer: of_layer.place for layer, of_layer in matrices.items() if of_layer.place}
        return FirstSample(
            class_names=[str(name) for name in file.attrs["class_names"]],
            fields={layer: read_fields(tests[layer], chosen[layer]) for layer in choose_layers(layers)},
            decisions={layer: read_decisions(tests[layer], chosen[layer]) for layer in choose_layers(layers, 2)},
            outputs={layer: (len(tests[layer].fields), place["positions"]) for layer, place in places.items()},
            totals=sum_fields(tests[layers[-1]]),
        )


def read_fields(matrices: FilterMatrices, index: int | None) -> tuple[int, np.ndarray] | None:
    if index is None:
        return None
    normalised, _, _ = normalise_fields(matrices.fields[[index]], matrices.images_per_label)
    return index, normalised[0]


def read_decisions(matrices: FilterMatrices, index: int | None) -> tuple[int, np.ndarray] | None:
    return None if index is None else (index, matrices.decisions[index])


def sum_fields(matrices: FilterMatrices) -> np.ndarray:
    """Sum the normalised fields of a layer's filters, but for silent ones; NaN if all are, and without images."""
    parts = normalised_slabs(matrices.fields, matrices.images_per_label)
    sums = [normalised[~silent].sum(axis=0) for normalised, silent, _ in parts if not silent.all()]
    return np.sum(sums, axis=0) if sums else np.full(matrices.fields.shape[1:], np.nan)


def paper_of(params: Params) -> Paper:
    """What the paper reports of the network; nothing on other images than CIFAR-10, nor with output biases."""
    as_the_papers = params.chosen_dataset.source == "cifar10" and not params.chosen_arch.backbone.output_bias
    return paper_values(params.arch) if as_the_papers else {}


def paper_removal(params: Params, layers: pd.DataFrame, paper: Paper) -> tuple[int, float] | None:
    """How many of the last layer's filters the paper removes at random, and the success rate that is left.

    It does so with vgg16's layer 13 alone, which then does as well as the network (Discussion).
    """
    last = layers.iloc[-1]
    if not paper or params.arch != "vgg16" or last["layer"] != 13:
        return None
    return round(int(last["filters"]) * REMOVED_SHARE), paper[None, "accuracy"]


def write(name: str, figure: Figure) -> str:
    """Write a figure in both forms; give its part of the file of captions."""
    for form in ("png", "svg"):
        with replacing(path_of("figure", figure=name, form=form)) as path:
            save(figure, path, form)
    return caption_text(name, figure)


if __name__ == "__main__":
    run(main)
