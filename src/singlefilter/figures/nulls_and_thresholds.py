"""The layers' statistics against their nulls, and against other thresholds, walks and images (method, section 5)."""

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from singlefilter.figures.axes import STATISTICS, choose_layers, chosen_text, layer_name, tick_layers
from singlefilter.figures.style import (
    NETWORK,
    OTHER,
    TEST,
    TRAIN,
    VALIDATION,
    bars_text,
    enlarged,
    legend_below,
    new_figure,
    say_if_unknown,
    title,
)

# nulls.csv's null -> what it is, colour and marker
_NULLS = {
    "ones": ("as many fields above threshold, at random places", TRAIN, "s"),
    "columns": ("those of each column, shuffled within it", VALIDATION, "^"),
    "labels": ("input labels permuted against the outputs", OTHER, "D"),
}
_MARKERS = "os^Dv*P"
MOST_LAYERS = len(_MARKERS)  # whose curves can be told apart
_MOST_STEPS = 0.82  # of the colour map, whose last colours are too light for lines


def plot_nulls(table: pd.DataFrame, threshold: float, heading: str) -> Figure:
    """Draw each layer's noise, clusters and cluster size beside their values under the nulls (method, section 5).

    Args:
        table: nulls.csv; one row per layer, null and statistic.
        threshold: That the fields were clipped at.
        heading: What the run is.
    """
    figure = new_figure(6.4)
    title(
        figure,
        "Layers beside their nulls",
        heading,
        f"Measured: of the test set's fields, clipped at {threshold:g}.",
        "Nulls: of matrices that chance has made of them; mean and standard deviation over draws.",
        "A bar that is not seen is shorter than its marker.",
    )
    panels = figure.subplots(3, sharex=True)
    for axes, (statistic, name) in zip(panels, STATISTICS.items(), strict=True):
        entries = _draw_nulls(axes, table[table["statistic"] == statistic])
        axes.set_ylabel(name)
        say_if_unknown(axes, table.loc[table["statistic"] == statistic, "measured"])
    panels[-1].set_xlabel("layer")
    legend_below(figure, entries)
    return figure


def plot_thresholds(table: pd.DataFrame, heading: str) -> Figure:
    """Draw noise, clusters and cluster size of each layer against the threshold (SI, Robustness).

    Args:
        table: thresholds.csv; one row per layer, split, walk and threshold.
        heading: What the run is.
    """
    examined = [*dict.fromkeys(table["layer"])]
    layers = choose_layers(examined, MOST_LAYERS)
    figure = new_figure(4.6)
    title(
        figure,
        "Robustness of noise and clusters",
        heading,
        "Each layer's statistics at other thresholds, of the training set's fields,",
        "and with clusters searched from the last label to the first (reversed walk).",
        bars_text(2 if table["noise_std"].notna().any() else 1),
        chosen_text(layers, examined),
    )
    panels = figure.subplots(1, 3)
    colours = matplotlib.colormaps[matplotlib.rcParams["image.cmap"]](np.linspace(0, _MOST_STEPS, len(layers)))
    entries: list = []
    for number, (layer, colour) in enumerate(zip(layers, colours, strict=True)):
        rows = table[table["layer"] == layer]
        marker = _MARKERS[number]
        for axes, statistic in zip(panels, STATISTICS, strict=True):
            entry = _draw_thresholds(axes, rows, statistic, colour, marker)
        entry.set_label(f"{layer_name(layer)}")
        entries.append(entry)
    for axes, (statistic, name) in zip(panels, STATISTICS.items(), strict=True):
        axes.set_ylabel(name)
        say_if_unknown(axes, table[f"{statistic}_mean"])
        axes.set_xlabel("threshold")
        axes.set_xlim(table["threshold"].min() - 0.02, table["threshold"].max() + 0.02)
        axes.set_ylim(0, 1.05 * axes.get_ylim()[1])
        axes.grid(True)
    legend_below(figure, entries + _kinds())
    return figure


def _draw_nulls(axes: Axes, rows: pd.DataFrame) -> list:
    """Draw one statistic, the layers side by side; give the legend's entries."""
    layers = [*dict.fromkeys(rows["layer"])]
    places = np.arange(len(layers))
    measured = rows.groupby("layer")["measured"].first().loc[layers]
    look = {"color": TEST, "marker": "o", "markersize": 6 * enlarged(), "linewidth": 0.8, "zorder": 3}
    axes.plot(places - 0.3, measured, **look | {"linestyle": "none"})
    axes.hlines(measured, places - 0.3, places + 0.35, color=TEST, linewidth=0.8)
    entries: list = [Line2D([], [], **look, label="measured")]
    for number, (null, (name, colour, marker)) in enumerate(_NULLS.items()):
        of_null = rows[rows["null"] == null].set_index("layer").reindex(layers)
        look = {"color": colour, "marker": marker, "fillstyle": "none", "linestyle": "none"}
        shift = 0.2 * number - 0.1
        entries.append(
            axes.errorbar(places + shift, of_null["null_mean"], yerr=of_null["null_std"], **look, label=name)
        )
    tick_layers(axes, places, layers)
    axes.set_xlim(-0.6, len(layers) - 0.4)
    axes.set_ylim(0, 1.1 * axes.get_ylim()[1])
    axes.yaxis.grid(True)
    return entries


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
    axes.plot(train["threshold"], train[mean], color=colour, **_look("x", 8))
    axes.plot(reverse["threshold"], reverse[mean], color=colour, **_look("o", 7))
    return axes.errorbar(forward["threshold"], forward[mean], yerr=bars, color=colour, marker=marker)


def _look(marker: str, size: float) -> dict[str, object]:
    """The look of what may agree with the test set's curve: marks that stand out from under its markers."""
    sizes = {"markersize": size * enlarged(), "markeredgewidth": 0.8 * enlarged()}
    return {"marker": marker, "fillstyle": "none", "linestyle": "none", **sizes}


def _kinds() -> list[Line2D]:
    """The legend's entries for the three kinds of curves."""
    return [
        Line2D([], [], color=NETWORK, label="test set"),
        Line2D([], [], color=NETWORK, **_look("x", 8), label="training set"),
        Line2D([], [], color=NETWORK, **_look("o", 7), label="test set, reversed walk"),
    ]
