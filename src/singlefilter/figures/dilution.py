"""Success rates of heads of which filters or weights are removed (Discussion)."""

from collections.abc import Sequence
from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from singlefilter.figures.axes import layer_name, mark_points
from singlefilter.figures.labels import label_axis, label_texts, largest_labels, others_text, with_others
from singlefilter.figures.numbers import mean_text
from singlefilter.figures.style import (
    NETWORK,
    OTHERS,
    TEST,
    TRAIN,
    VALIDATION,
    legend_above,
    legend_below,
    new_figure,
    title,
)

# kinds of which filters are drawn at random -> colour, marker, line and name
_RANDOM = {
    "random": (TEST, "o", "-", "head as trained"),
    "random_retrained": (TRAIN, "s", "--", "head trained anew on the others"),
}
_MARKERS_OF_OTHERS = "v^D<>Pp*"  # of the layers other than the last
# kinds by weights that are left -> name
_WEIGHTS = {
    "none": "all",
    "clusters": "those of\nclusters",
    "magnitude": "as many,\nthe largest",
    "random_weights": "as many,\nat random",
}
# kinds by filters that are silenced for a label -> colour, marker and name
_LABELS = {
    "label": (TEST, "o", "filters with a cluster that the label is in"),
    "label_largest": (TRAIN, "s", "as many, with the largest weights for the label"),
    "label_random": (VALIDATION, "^", "as many, at random"),
}


def plot_dilution(
    table: pd.DataFrame, class_names: Sequence[str], paper: tuple[int, float] | None, heading: str
) -> Figure:
    """Draw the success rates of heads without some of their filters or weights, the last layer's in full (Discussion).

    Args:
        table: The samples' dilution tables, one after the other; one row per measurement, the last layer's last.
        class_names: K names.
        paper: How many filters of this layer the paper removes, and the success rate that it finds then.
        heading: What the run is.
    """
    layer = table["layer"].iloc[-1]
    rows = table[table["layer"] == layer]
    figure = new_figure(6.8)
    title(
        figure,
        f"Dilution of the head on {layer_name(layer)}",
        heading,
        "Success rates on the test set; a filter is silenced by setting all of its weights in the head to 0.",
        "Upper left: filters drawn at random.",
        "Upper right: weights; those of clusters lead from a filter to the labels that are in its clusters.",
        "Below: for each label the filters that have a cluster with it, and as many others;",
        "left the success rate on the label's own images, right on all other images.",
        "Clusters are those of the training set. Bars: standard deviation over samples, above over draws, too.",
        others_text(len(class_names)),
    )
    grid = figure.add_gridspec(2, 2)
    _draw_random(figure.add_subplot(grid[0, 0]), rows, table[table["layer"] != layer], paper)
    _draw_weights(figure.add_subplot(grid[0, 1]), rows)
    for place, name, images in ((0, "label_accuracy", "its own images"), (1, "rest_accuracy", "all other images")):
        axes = figure.add_subplot(grid[1, place])
        axes.set_title(f"filters of one label silenced:\n{images}")
        entries = _draw_labels(axes, rows, class_names, name)
    legend_below(figure, entries)
    return figure


def means_over_samples(rows: pd.DataFrame, by: str, name: str = "accuracy") -> pd.DataFrame:
    """Average measurements over samples.

    Args:
        rows: Measurements of one kind; a row for each sample and value of `by`.
        by: The column that tells measurements apart.
        name: The success rate to average.

    Returns:
        mean and std, by `by`. std joins the deviation over samples and the mean one over a sample's draws as roots of
        summed squares; NaN for one sample without draws.
    """
    groups = rows.groupby(by)
    over_samples = groups[name].var(ddof=1)
    over_draws = groups["accuracy_std"].agg(lambda deviations: (deviations**2).mean())
    variance = over_samples.add(over_draws, fill_value=0) if name == "accuracy" else over_samples
    return pd.DataFrame({"mean": groups[name].mean(), "std": np.sqrt(variance)})


def _draw_random(axes: Axes, rows: pd.DataFrame, others: pd.DataFrame, paper: tuple[int, float] | None) -> None:
    """Draw the success rate against the number of filters removed at random; thin and pale of the other layers."""
    entries: list[Artist] = []
    markers = dict(zip(others["layer"].unique(), cycle(_MARKERS_OF_OTHERS)))
    for (layer, kind), of_layer in others[others["kind"].isin(_RANDOM)].groupby(["layer", "kind"]):
        _, _, line, name = _RANDOM[kind]
        means = means_over_samples(of_layer, "removed_filters")["mean"]
        look = {"color": OTHERS, "marker": markers[layer], "linestyle": line, "linewidth": 1, "markersize": 3}
        entries += axes.plot(means.index, means, label=f"{layer_name(layer)}, {name}", **look)
    for kind, (colour, marker, line, name) in _RANDOM.items():
        of_kind = rows[rows["kind"] == kind]
        if of_kind.empty:
            continue
        found = means_over_samples(of_kind, "removed_filters")
        look = {"color": colour, "marker": marker, "fillstyle": "none", "linestyle": line, "label": name}
        entries.append(axes.errorbar(found.index, found["mean"], yerr=_bars(found), **look))
    entries.append(_draw_whole(axes, rows))
    entries += mark_points(axes, [paper] if paper else [])
    legend_above(axes, entries)
    axes.set_xlabel("filters removed at random")
    axes.set_ylabel("success rate (fraction)")
    axes.set_ylim(0, 1.05)
    axes.grid(True)


def _draw_weights(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw the success rates where only the clusters' weights are kept, and where as many others are."""
    found = means_over_samples(rows[rows["kind"].isin(_WEIGHTS)], "kind").reindex(list(_WEIGHTS))
    places = np.arange(len(found))
    axes.bar(places, found["mean"], yerr=_bars(found), color=[OTHERS, TEST, OTHERS, OTHERS], width=0.7)
    for place, (mean, deviation) in zip(places, found.to_numpy(), strict=True):
        top = mean + (0 if pd.isna(deviation) else deviation)
        axes.annotate(mean_text(mean, None, 3), (place, top), (0, 4), textcoords="offset points", ha="center")
    kept = rows.loc[rows["kind"] == "clusters", "weights_kept"].mean()
    axes.set_xticks(places, list(_WEIGHTS.values()))
    axes.set_xlabel(f"weights kept (in the right three: {100 * kept:.0f} %)")
    axes.set_ylabel("success rate (fraction)")
    axes.set_ylim(0, 1.12)


def _draw_labels(axes: Axes, rows: pd.DataFrame, class_names: Sequence[str], name: str) -> list[Artist]:
    """Draw for each label what silencing its filters, or as many others, leaves of a success rate."""
    entries: list[Artist] = []
    kinds = [kind for kind in _LABELS if (rows["kind"] == kind).any()]
    losses = -means_over_samples(rows[rows["kind"] == "label"], "label", "label_accuracy")["mean"]
    shown = largest_labels(losses.reindex(range(len(class_names))).to_numpy())
    for number, kind in enumerate(kinds):
        colour, marker, text = _LABELS[kind]
        found = means_over_samples(rows[rows["kind"] == kind], "label", name)
        found = _with_others(found.reindex(range(len(class_names))), shown)
        places = found.index + 0.25 * (number - (len(kinds) - 1) / 2)  # side by side
        look = {"color": colour, "marker": marker, "linestyle": "none", "fillstyle": "none", "label": text}
        entries.append(axes.errorbar(places, found["mean"], yerr=_bars(found), **look))
    entries.append(_draw_whole(axes, rows))
    axes.set_ylabel("success rate (fraction)")
    axes.set_ylim(-0.03, 1.05)
    axes.set_xlabel("label")
    axes.set_xlim(-0.6, len(found) - 0.4)
    label_axis(axes, "x", label_texts(class_names, shown, names=True))
    axes.yaxis.grid(True)
    return entries


def _with_others(found: pd.DataFrame, shown: NDArray[np.int64]) -> pd.DataFrame:
    """Reduce means by label to the labels that are drawn and, without deviation, the mean of all others."""
    means = with_others(found["mean"].to_numpy(), shown, np.nanmean, axes=1)
    return pd.DataFrame({"mean": pd.Series(means), "std": pd.Series(found["std"].to_numpy()[shown])})


def _draw_whole(axes: Axes, rows: pd.DataFrame) -> Artist:
    accuracy = rows.loc[rows["kind"] == "none", "accuracy"].mean()
    return axes.axhline(accuracy, color=NETWORK, linestyle="--", label=f"whole head, all images: {accuracy:.3f}")


def _bars(found: pd.DataFrame) -> pd.Series | None:
    return found["std"] if found["std"].notna().any() else None
