"""Draw the figures from the tables and matrices."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from singlefilter import figures
from singlefilter.clusters import normalise_fields
from singlefilter.errors import unusable
from singlefilter.files import read_hdf5, replacing
from singlefilter.params import Params
from singlefilter.statistics import layers_text
from stages import run


def main(params: Params) -> None:
    layers = read_table(Path("metrics/layers.csv"), "cluster_stats")
    filters = read_table(Path("metrics/filters.csv"), "cluster_stats", dtype={"labels": str})
    labels = read_table(Path("metrics/labels.csv"), "cluster_stats", dtype={"class_name": str}, keep_default_na=False)
    history = pd.concat(
        read_table(Path(f"metrics/history/seed{seed}.csv"), f"train_backbone@{seed}").assign(seed=seed)
        for seed in params.seeds
    )
    seed = params.seeds[0]
    first = filters[filters["seed"] == seed]
    if first.empty:
        raise unusable(Path("metrics/filters.csv"), f"has no sample {seed}", "cluster_stats")
    shown, class_names = read_filters(seed, figures.representative_filters(first))

    figures.use_style(params.figures.dpi, params.figures.font_size, params.figures.colormap)
    heading = figures.run_heading(params.arch, params.dataset, len(params.seeds), params.epochs_scale)
    write("success_rates", figures.success_rates(layers, history, heading))
    write("layer_statistics", figures.layer_statistics(layers, params.threshold, heading))
    write("filters", figures.filter_matrices(shown, class_names, params.threshold, heading))
    write("training", figures.training(history, heading))
    write("label_appearances", figures.label_appearances(labels, params.threshold, heading))
    print(layers_text(layers))
    print(f"figures: {Path('plots').resolve()}/*.png")


def read_table(path: Path, made_by: str, **options: object) -> pd.DataFrame:
    try:
        return pd.read_csv(path, **options)
    except (OSError, ValueError) as error:
        raise unusable(path, f"is missing or not whole ({error})", made_by) from error


def read_filters(
    seed: int, chosen: Mapping[int, int | None]
) -> tuple[dict[int, tuple[int, np.ndarray] | None], list[str]]:
    """The chosen filters' indices and normalised fields, a layer each, and the class names."""
    path, made_by = Path(f"metrics/filters/seed{seed}.h5"), f"filter_matrices@{seed}"
    with read_hdf5(path, made_by) as file:
        images_per_label = file["test/images_per_label"][:]
        shown = {}
        for layer, index in chosen.items():
            if index is None:
                shown[layer] = None
                continue
            if f"layer{layer}" not in file:
                raise unusable(path, f"has no layer{layer}", made_by)
            normalised, _ = normalise_fields(file[f"layer{layer}/test/fields"][[index]], images_per_label)
            shown[layer] = (index, normalised[0])
        return shown, list(file.attrs["class_names"])


def write(name: str, figure: Figure) -> None:
    with replacing(Path(f"plots/{name}.png")) as path:
        figure.savefig(path, format="png", metadata={"Software": None})  # the version would change the bytes


if __name__ == "__main__":
    run(main)
