"""Success rates of heads of which filters or weights are removed (Discussion)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from singlefilter.figures.style import (
    MANY_LABELS,
    NETWORK,
    OTHERS,
    TEST,
    TRAIN,
    label_axis,
    label_texts,
    legend_above,
    mark_points,
    mean_text,
    new_figure,
    title,
)

# kinds of which filters are drawn at random -> colour, marker, line and name
_RANDOM = {
    "random": (TEST, "o", "-", "head as trained"),
    "random_retrained": (TRAIN, "s", "--", "head trained anew"),
}
# kinds by weights that are left -> name
_WEIGHTS = {
    "none": "all\nweights",
    "clusters": "those of\nclusters",
    "magnitude": "as many,\nlargest",
    "random_weights": "as many,\nrandom",
}


def dilution(table: pd.DataFrame, class_names: Sequence[str], paper: tuple[int, float] | None, heading: str) -> Figure:
    """Draw the success rates of heads without some of their filters or weights, the last layer's in full (Discussion).

    Args:
        table: The samples' dilution tables, one after the other; a row a measurement.
        class_names: K names.
        paper: How many filters of this layer the paper removes, and the success rate that it finds then.
        heading: What the run is.
    """
    layer = table["layer"].max()
    rows = table[table["layer"] == layer]
    figure = new_figure(6.8)
    title(
        figure,
        f"Head on layer {layer} without some of its filters or weights, test set",
        "Bars: standard deviation over samples and draws.",
        heading,
    )
    grid = figure.add_gridspec(2, 2, height_ratios=[1, 1])
    _draw_random(figure.add_subplot(grid[0, 0]), rows, table[table["layer"] != layer], paper)
    _draw_weights(figure.add_subplot(grid[0, 1]), rows)
    _draw_labels(figure.add_subplot(grid[1, :]), rows, class_names)
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
    for (layer, kind), of_layer in others[others["kind"].isin(_RANDOM)].groupby(["layer", "kind"]):
        _, marker, line, name = _RANDOM[kind]
        means = means_over_samples(of_layer, "removed_filters")["mean"]
        look = {"color": OTHERS, "marker": marker, "linestyle": line, "linewidth": 1, "markersize": 3}
        entries += axes.plot(means.index, means, label=f"layer {layer}, {name}", **look)
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
    axes.set_title(f"right three: {100 * kept:.0f} % of the weights")
    axes.set_xticks(places, list(_WEIGHTS.values()))
    axes.set_ylabel("success rate (fraction)")
    axes.set_ylim(0, 1.12)


def _draw_labels(axes: Axes, rows: pd.DataFrame, class_names: Sequence[str]) -> None:
    """Draw for each label what silencing all filters whose clusters include it leaves of its images, and of others."""
    of_labels = rows[rows["kind"] == "label"]
    entries: list[Artist] = []
    for name, colour, marker, text in (
        ("label_accuracy", TEST, "o", "images of the label"),
        ("rest_accuracy", TRAIN, "s", "all other images"),
    ):
        found = means_over_samples(of_labels, "label", name)
        look = {"color": colour, "marker": marker, "linestyle": "none", "fillstyle": "none", "label": text}
        if len(class_names) > MANY_LABELS:
            look |= {"markersize": 1, "elinewidth": 0, "capsize": 0}
        entries.append(axes.errorbar(found.index, found["mean"], yerr=_bars(found), **look))
    entries.append(_draw_whole(axes, rows))
    legend_above(axes, entries, columns=3)
    axes.set_ylabel("success rate (fraction)")
    axes.set_ylim(-0.03, 1.05)
    axes.set_xlabel("label whose filters are silenced: those with a cluster that it is in")
    axes.set_xlim(-0.6, len(class_names) - 0.4)
    label_axis(axes, "x", label_texts(class_names))
    axes.grid(True)


def _draw_whole(axes: Axes, rows: pd.DataFrame) -> Artist:
    accuracy = rows.loc[rows["kind"] == "none", "accuracy"].mean()
    return axes.axhline(accuracy, color=NETWORK, linestyle="--", label=f"whole head: {accuracy:.3f}")


def _bars(found: pd.DataFrame) -> pd.Series | None:
    return found["std"] if found["std"].notna().any() else None
