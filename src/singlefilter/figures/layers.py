"""Statistics of the layers' filters: as curves, as a table, and the sizes of their clusters (Figs. 5A, 5B, 7C, 8B)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from singlefilter.figures.axes import (
    PAPER,
    PAPER_NAME,
    STATISTICS,
    choose_layers,
    chosen_text,
    draw_curve,
    draw_paper_line,
    label_layers,
    layer_name,
    layer_texts,
    layer_xs,
    mark_paper,
)
from singlefilter.figures.labels import label_axis, label_texts, largest_labels, others_text, with_others
from singlefilter.figures.numbers import UNKNOWN, mean_last_accuracy, mean_text, rounded_text
from singlefilter.figures.style import (
    NETWORK,
    OTHERS,
    TEST,
    TRAIN,
    WIDTH,
    Paper,
    bars_text,
    enlarged,
    font_size,
    legend_below,
    new_figure,
    say_if_unknown,
    title,
)

TABLED_SIZES = 6  # cluster sizes with a column of their own in the table
MOST_PANELS = 6
_SHARES = "share of each cluster size"  # over the columns of the sizes


def plot_layer_statistics(layers: pd.DataFrame, threshold: float, paper: Paper, heading: str) -> Figure:
    """Draw noise, clusters per filter and cluster size of each examined layer (Figs. 5A and 7C, as curves).

    Args:
        layers: layers.csv; one row per layer.
        threshold: That the fields were clipped at.
        paper: What the paper gives.
        heading: What the run is.
    """
    figure = new_figure(6.4)
    about = f"Means over the filters of each layer, or over their clusters; test set, threshold {threshold:g}."
    title(figure, "Noise and clusters of each layer", heading, about, bars_text(layers["samples"].max()))
    panels = figure.subplots(3, sharex=True)
    look = {"color": TRAIN, "marker": "s", "markersize": 8 * enlarged(), "fillstyle": "none", "linestyle": "none"}
    clustered = draw_curve(panels[0], layers, "noise_clustered", **look, label="filters with a cluster")
    marks: list[Line2D] = []
    for axes, (name, text) in zip(panels, STATISTICS.items(), strict=True):
        curve = draw_curve(axes, layers, name, color=TEST, marker="o", zorder=3, label="filters that are not silent")
        interval = [layers[f"{name}_low"], layers[f"{name}_high"]]
        band = axes.fill_between(layer_xs(layers["layer"]), *interval, color=TEST, alpha=0.2, linewidth=0)
        marks = mark_paper(axes, layers["layer"], paper, name) or marks
        axes.set_ylabel(text)
        axes.set_ylim(0, 1.1 * axes.get_ylim()[1])
        say_if_unknown(axes, layers[f"{name}_mean"])
        label_layers(axes, layers["layer"])
        axes.label_outer()
    band.set_label("95 % interval, bootstrap over filters")
    legend_below(figure, [curve, clustered, band, *marks])
    return figure


def plot_layer_table(
    layers: pd.DataFrame, history: pd.DataFrame, threshold: float, paper: Paper, heading: str
) -> Figure:
    """Draw the table of the layers: success rate, noise, clusters, and the share of each cluster size (Fig. 5A).

    Args:
        layers: layers.csv; one row per layer.
        history: The samples' training histories, with a column `seed`.
        threshold: That the fields were clipped at.
        paper: What the paper gives; it is written in grey under what is measured.
        heading: What the run is.
    """
    head = ["layer", "filters", "silent", "success rate", "noise", "clusters\nper filter", "cluster size\n(labels)"]
    sizes = _size_names(layers)
    rows = [_table_row(row) for _, row in layers.iterrows()]
    names = ("accuracy", "noise", "clusters", "cluster_size")
    grey = [[_paper_text(paper.get((layer, name))) for name in names] for layer in layers["layer"]]
    rows.append(["network", "", "", mean_text(*mean_last_accuracy(history), 3)])
    grey.append([_paper_text(paper.get((None, "accuracy")))])

    columns = [*head, *sizes]
    letters = [_longest([name, *(row[place] for row in rows[:-1])]) + 1.5 for place, name in enumerate(columns)]
    letters[0] = max(letters[0], len("network") + 1.5)
    letters[-len(sizes) :] = np.maximum(letters[-len(sizes) :], (len(_SHARES) + 1) / len(sizes))
    size = font_size() - 1
    width = max(WIDTH, sum(letters) * 0.6 * size / 72 / enlarged())  # inches
    figure = new_figure(1.0 + (len(rows) + 2) * 2.6 * size / 72 / enlarged(), width)
    title(
        figure,
        "Statistics of the layers",
        heading,
        f"Test set, threshold {threshold:g}. Silent: filters without a positive mean field, in no number of clusters.",
        "±: standard deviation over samples." if (layers["samples"] > 1).any() else bars_text(1),
        f"{UNKNOWN}: no such number.",
    )
    _draw_table(figure.subplots(), columns, len(sizes), rows, grey, np.array(letters), size)
    return figure


def plot_cluster_sizes(layers: pd.DataFrame, threshold: float, paper: Paper, heading: str) -> Figure:
    """Draw the share of each size among the clusters of the layers, the last one darkest (Figs. 5A and 8B).

    Args:
        layers: layers.csv; one row per layer.
        threshold: That the fields were clipped at.
        paper: What the paper gives; the layers' mean sizes are written.
        heading: What the run is.
    """
    chosen = choose_layers(layers["layer"].tolist(), MOST_PANELS)
    shares = layers.set_index("layer").loc[chosen, _share_columns(layers)].to_numpy()  # (layers, K)
    drawn = np.flatnonzero((shares >= 0.0005).any(axis=0))  # a share that can be seen
    largest = max(int(drawn[-1]) + 1 if drawn.size else 1, min(4, shares.shape[1]))
    columns = min(3, len(chosen))
    rows = -(-len(chosen) // columns)
    figure = new_figure(1.1 + 2.1 * rows)
    about = f"Shares of the layer's clusters, and their mean size; test set, threshold {threshold:g}."
    means = "Means over samples." if (layers["samples"] > 1).any() else ""
    title(figure, "Cluster sizes of each layer", heading, about, means, chosen_text(chosen, layers["layer"]))
    panels = list(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat)
    for axes, layer, of_layer in zip(panels, chosen, shares, strict=False):
        mean = layers.set_index("layer").loc[layer]
        _draw_sizes(axes, of_layer[:largest], last=layer == chosen[-1])
        text = mean_text(mean["cluster_size_mean"], mean["cluster_size_std"], 2)
        axes.set_title(f"{layer_name(layer)}: mean {text}{_below(paper.get((layer, 'cluster_size')))}")
    for axes in panels[len(chosen) :]:
        axes.remove()
    figure.supxlabel("cluster size (labels)", fontsize=font_size())
    figure.supylabel("share of the layer's clusters", fontsize=font_size())
    return figure


def plot_label_appearances(labels: pd.DataFrame, threshold: float, paper: Paper, heading: str) -> Figure:
    """Draw how many clusters each label is in, and the mean over labels, of the last layer and one before it (Fig. 5B).

    The one before is the layer of which the paper gives the mean, else the middle one.

    Args:
        labels: labels.csv; a row for each seed, layer and label.
        threshold: That the fields were clipped at.
        paper: What the paper gives.
        heading: What the run is.
    """
    layers = [*dict.fromkeys(labels["layer"])]
    given = [layer for layer in layers[:-1] if (layer, "appearances") in paper]
    before = given[-1] if given else layers[(len(layers) - 1) // 2]
    chosen = [*dict.fromkeys([before, layers[-1]])]
    figure = new_figure(3.9)
    which = ("The examined layer", "The last examined layer, and one before it")[len(chosen) - 1]
    about = (
        f"{which}: in how many clusters of the layer each label is, mean over samples; "
        f"test set, threshold {threshold:g}."
    )
    bars = bars_text(labels["seed"].nunique())
    title(figure, "Clusters that each label is in", heading, about, bars, others_text(labels["label"].nunique()))
    panels = figure.subplots(1, len(chosen), squeeze=False)[0]
    marks: list[Line2D] = []
    last = labels[labels["layer"] == layers[-1]].groupby("label")["appearances"].mean()
    shown = largest_labels(last.to_numpy())
    for axes, layer in zip(panels, chosen, strict=True):
        mean = _draw_appearances(axes, labels[labels["layer"] == layer], shown)
        number = paper.get((layer, "appearances"))
        marks = draw_paper_line(axes, number) or marks
        axes.set_ylim(0, max(axes.get_ylim()[1], 1))
        axes.set_title(f"{axes.get_title()}{_below(number)}")
    panels[0].set_ylabel("clusters that the label is in")
    legend_below(figure, [mean, *marks])
    return figure


def layers_text(layers: pd.DataFrame) -> str:
    """Write the table of layers for the terminal, one line per layer (as Fig. 5A, with Fig. 2's accuracies).

    Args:
        layers: As layers_table gives them, or read from their file.
    """
    width = max(map(len, ["layer", *layers["layer"].astype(str)]))
    lines = [
        f"{'layer':>{width}}  {'accuracy':>15}  {'noise':>7}  {'clusters per filter':>19}  {'cluster size':>12}  "
        "silent or faded"
    ]
    for row in layers.itertuples():
        unusable = f"{row.silent_filters_mean + row.faded_filters_mean:g} of {row.filters:g}"
        lines.append(
            f"{row.layer:>{width}}  {mean_text(row.accuracy_mean, row.accuracy_std, 4):>15}  "
            f"{rounded_text(row.noise_mean, 2):>7}  {rounded_text(row.clusters_mean, 2):>19}  "
            f"{rounded_text(row.cluster_size_mean, 2):>12}  {unusable:>15}"
        )
    return "\n".join(lines)


def _draw_appearances(axes: Axes, labels: pd.DataFrame, shown: NDArray[np.int64]) -> Line2D:
    """Draw the bars of one layer's labels, those that are shown and the mean of all others; give the mean's line."""
    by_label = labels.groupby("label").agg({"class_name": "first", "appearances": ["mean", "std"]})
    means, deviations = by_label["appearances"]["mean"], by_label["appearances"]["std"]
    heights = with_others(means.to_numpy(), shown, np.nanmean, axes=1)
    bars = np.append(deviations.to_numpy()[shown], [np.nan] * (len(heights) - len(shown)))  # none of a mean over labels
    thin = {"ecolor": "#333333", "elinewidth": 1, "capsize": 2.5}
    colours = [TEST] * len(shown) + [OTHERS] * (len(heights) - len(shown))
    bars = bars if labels["seed"].nunique() > 1 else None
    axes.bar(range(len(heights)), heights, yerr=bars, color=colours, width=0.8, error_kw=thin)
    axes.set_title(f"{layer_name(labels['layer'].iloc[0])}: mean {rounded_text(means.mean(), 1)}")
    axes.set_xlabel("label")
    axes.set_xlim(-0.6, len(heights) - 0.4)
    label_axis(axes, "x", label_texts(by_label["class_name"]["first"].tolist(), shown, names=True))
    return axes.axhline(means.mean(), color=NETWORK, linestyle="--", label="mean over labels")


def _draw_sizes(axes: Axes, shares: np.ndarray, last: bool) -> None:
    """Draw the shares of the sizes 1, 2, … of one layer."""
    if np.isnan(shares).all():
        axes.text(0.5, 0.5, "no cluster", ha="center", va="center", transform=axes.transAxes)
    else:
        axes.bar(range(1, len(shares) + 1), shares, color=TEST, alpha=1 if last else 0.6)
    axes.set_xlim(0.4, len(shares) + 0.6)
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True, min_n_ticks=1))
    axes.tick_params("both", labelbottom=True)
    axes.yaxis.grid(True)


def _share_columns(layers: pd.DataFrame) -> list[str]:
    return [name for name in layers if name.startswith("size_share_")]


def _size_names(layers: pd.DataFrame) -> list[str]:
    """The table's columns of cluster sizes: 1 … 6, and one for all above if there are any."""
    labels = len(_share_columns(layers))
    sizes = [str(size) for size in range(1, min(labels, TABLED_SIZES) + 1)]
    return sizes + ([f">{TABLED_SIZES}"] if labels > TABLED_SIZES else [])


def _table_row(row: pd.Series) -> list[str]:
    shares = row.filter(regex="^size_share_").to_numpy(dtype=np.float64)
    if len(shares) > TABLED_SIZES:
        shares = np.append(shares[:TABLED_SIZES], shares[TABLED_SIZES:].sum())
    return [
        *layer_texts([row["layer"] if isinstance(row["layer"], str) else int(row["layer"])]),
        f"{row['filters']:.0f}",
        f"{round(row['silent_filters_mean'], 1):g}",
        mean_text(row["accuracy_mean"], row["accuracy_std"], 3),
        *(mean_text(row[f"{name}_mean"], row[f"{name}_std"], 2) for name in ("noise", "clusters", "cluster_size")),
        *(rounded_text(share, 2) for share in shares),
    ]


def _draw_table(
    axes: Axes,
    columns: Sequence[str],
    sizes: int,
    rows: Sequence[Sequence[str]],
    grey: Sequence[Sequence[str]],
    letters: np.ndarray,
    size: float,
) -> None:
    """Draw a table whose columns are as wide as their letters; the grey texts stand under those from the 4th column."""
    axes.axis("off")
    axes.set(xlim=(0, letters.sum()), ylim=(len(rows), -2))
    centers = np.cumsum(letters) - letters / 2
    look = {"ha": "center", "va": "center", "fontsize": size}
    for x, name in zip(centers, columns, strict=True):
        axes.text(x, -0.6, name, **look)
    axes.text(letters[:-sizes].sum() + letters[-sizes:].sum() / 2, -1.5, _SHARES, **look)
    axes.plot([letters[:-sizes].sum() + 0.5, letters.sum()], [-1.15] * 2, color="black", linewidth=0.5)
    if any(map(any, grey)):
        axes.text(0.5, -1.5, f"grey: {PAPER_NAME}", **look | {"ha": "left"}, color=PAPER)
    for y, (row, texts) in enumerate(zip(rows, grey, strict=True)):
        for place, (x, text) in enumerate(zip(centers, row, strict=False)):
            below = texts[place - 3] if 3 <= place < 3 + len(texts) else ""
            axes.text(x, y + (0.32 if below else 0.5), text, **look)
            axes.text(x, y + 0.74, below, **look, color=PAPER)
    for y, width in ((-2, 1.2), (0, 0.8), (len(rows) - 1, 0.5), (len(rows), 1.2)):
        axes.axhline(y, color="black", linewidth=width, clip_on=False)


def _longest(texts: Sequence[str]) -> int:
    return max(len(line) for text in texts for line in text.split("\n"))


def _paper_text(number: float | None) -> str:
    return "" if number is None else f"{number:g}"


def _below(number: float | None) -> str:
    return "" if number is None else f"\npaper: {number:g}"
