"""The layers' statistics against their nulls, and against other thresholds, walks and images (method, section 5)."""

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from singlefilter.figures.style import (
    NETWORK,
    OTHER,
    TEST,
    TRAIN,
    UNKNOWN,
    VALIDATION,
    choose_layers,
    enlarged,
    font_size,
    legend_below,
    new_figure,
    say_if_unknown,
    title,
    with_bars,
)

_STATISTICS = {
    "noise": "noise (ones outside\nclusters per filter)",
    "clusters": "clusters\nper filter",
    "cluster_size": "cluster size\n(labels, mean)",
}
# nulls.csv's null -> what it keeps, colour and marker
_NULLS = {
    "ones": ("ones: as many, anywhere", TRAIN, "s"),
    "columns": ("columns: as many in each", VALIDATION, "^"),
    "labels": ("labels: inputs permuted", OTHER, "D"),
}
_MARKERS = "os^Dv*P"
MOST_LAYERS = len(_MARKERS)  # whose curves can be told apart
_MOST_STEPS = 0.82  # of the colour map, whose last colours are too light for lines


def nulls(table: pd.DataFrame, threshold: float, heading: str) -> Figure:
    """Draw each layer's noise, clusters and cluster size beside their values under the nulls (method, section 5).

    Args:
        table: nulls.csv; a row a layer, null and statistic.
        threshold: That the fields were clipped at.
        heading: What the run is.
    """
    figure = new_figure(8.2)
    title(
        figure,
        f"Layers against nulls, test set, threshold {threshold:g}",
        "Bars: standard deviation over draws. z: measured less the null's mean, over that deviation.",
        heading,
    )
    panels = figure.subplots(3)
    for axes, (statistic, name) in zip(panels, _STATISTICS.items(), strict=True):
        entries = _draw_nulls(axes, table[table["statistic"] == statistic])
        axes.set_ylabel(name)
        say_if_unknown(axes, table.loc[table["statistic"] == statistic, "measured"])
    legend_below(figure, entries)
    return figure


def thresholds(table: pd.DataFrame, heading: str) -> Figure:
    """Draw noise, clusters and cluster size of each layer against the threshold (SI, Robustness).

    Args:
        table: thresholds.csv; a row a layer, split, walk and threshold.
        heading: What the run is.
    """
    layers = choose_layers(sorted(table["layer"].unique()), MOST_LAYERS)
    figure = new_figure(4.6)
    title(
        figure,
        "Robustness: other thresholds, the training set's fields, the reversed walk",
        with_bars(heading, 2 if table["noise_std"].notna().any() else 1),
    )
    panels = figure.subplots(1, 3)
    colours = matplotlib.colormaps[matplotlib.rcParams["image.cmap"]](np.linspace(0, _MOST_STEPS, len(layers)))
    entries: list = []
    for number, (layer, colour) in enumerate(zip(layers, colours, strict=True)):
        rows = table[table["layer"] == layer]
        marker = _MARKERS[number]
        for axes, statistic in zip(panels, _STATISTICS, strict=True):
            entry = _draw_thresholds(axes, rows, statistic, colour, marker)
        entry.set_label(f"layer {layer}")
        entries.append(entry)
    for axes, (statistic, name) in zip(panels, _STATISTICS.items(), strict=True):
        axes.set_ylabel(name)
        say_if_unknown(axes, table[f"{statistic}_mean"])
        axes.set_xlabel("threshold")
        axes.set_xlim(table["threshold"].min() - 0.02, table["threshold"].max() + 0.02)
        axes.set_ylim(0, 1.05 * axes.get_ylim()[1])
        axes.grid(True)
    legend_below(figure, entries + _kinds())
    return figure


def _draw_nulls(axes: Axes, rows: pd.DataFrame) -> list:
    """Draw one statistic, the layers side by side, and write the z of each null under them."""
    layers = sorted(rows["layer"].unique())
    places = np.arange(len(layers))
    measured = rows.groupby("layer")["measured"].first().loc[layers]
    look = {"color": TEST, "marker": "o", "markersize": 6 * enlarged(), "linestyle": "none", "zorder": 3}
    entries: list = axes.plot(places - 0.3, measured, **look, label="measured")
    axes.hlines(measured, places - 0.3, places + 0.35, color=TEST, linewidth=0.8)
    for number, (null, (name, colour, marker)) in enumerate(_NULLS.items()):
        of_null = rows[rows["null"] == null].set_index("layer").reindex(layers)
        look = {"color": colour, "marker": marker, "fillstyle": "none", "linestyle": "none"}
        shift = 0.2 * number - 0.1
        entries.append(
            axes.errorbar(places + shift, of_null["null_mean"], yerr=of_null["null_std"], **look, label=name)
        )
        _write_z(axes, number, f"z, {null}", of_null["z"], colour)
    axes.set_xticks(places, [f"layer {layer}" if len(layers) <= 8 else str(layer) for layer in layers])
    axes.set_xlim(-0.6, len(layers) - 0.4)
    axes.set_ylim(0, 1.1 * axes.get_ylim()[1])
    axes.yaxis.grid(True)
    return entries


def _write_z(axes: Axes, row: int, name: str, values: pd.Series, colour: str) -> None:
    """Write a row of numbers under the layers."""
    down = (0, -9 - 1.3 * (1 + row) * font_size())  # points; under the ticks and their labels
    look = {"xycoords": axes.get_xaxis_transform(), "textcoords": "offset points", "va": "top", "color": colour}
    look |= {"fontsize": font_size() - 1.5, "annotation_clip": False}
    axes.annotate(name, (-0.6, 0), down, ha="right", **look)
    for place, z in enumerate(values):
        text = UNKNOWN if pd.isna(z) else f"{round(z, 1) + 0.0:+.1f}" if abs(z) < 100 else f"{z:+.0f}"
        axes.annotate(text.replace("-", "−"), (place, 0), down, ha="center", **look)


def _draw_thresholds(
    axes: Axes, rows: pd.DataFrame, statistic: str, colour: np.ndarray, marker: str
) -> ErrorbarContainer:
    """Draw one statistic of one layer: the test set's fields, those walked in reverse, and the training set's."""
    forward, reverse, train = (
        rows[(rows["split"] == split) & (rows["walk"] == walk)].sort_values("threshold")
        for split, walk in (("test", "forward"), ("test", "reversed"), ("train", "forward"))
    )
    mean, deviation = f"{statistic}_mean", f"{statistic}_std"
    bars = forward[deviation] if forward[deviation].notna().any() else None
    axes.plot(train["threshold"], train[mean], color=colour, linestyle="--", linewidth=1)
    axes.plot(reverse["threshold"], reverse[mean], color=colour, linestyle="none", **_reversed_look())
    return axes.errorbar(forward["threshold"], forward[mean], yerr=bars, color=colour, marker=marker)


def _reversed_look() -> dict[str, object]:
    size = {"markersize": 7 * enlarged(), "markeredgewidth": 0.7 * enlarged()}
    return {"marker": "o", "fillstyle": "none", **size}


def _kinds() -> list[Line2D]:
    """The legend's entries for the three kinds of curves."""
    return [
        Line2D([], [], color=NETWORK, label="test set"),
        Line2D([], [], color=NETWORK, linestyle="--", linewidth=1, label="training set"),
        Line2D([], [], color=NETWORK, linestyle="none", **_reversed_look(), label="test set, reversed walk"),
    ]
