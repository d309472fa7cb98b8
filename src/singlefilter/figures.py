"""Data frames and arrays -> figures, in one style."""

import textwrap
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure, SubFigure
from matplotlib.gridspec import GridSpec
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from singlefilter.clusters import clip, clusters, noise, order

WIDTH = 7.2  # inches
ROW_HEIGHT, SILENT_HEIGHT = 2.8, 0.4  # inches of a filter's matrices, and of the word that there is none
# Blue, vermilion, green and black of Okabe and Ito's palette.
TEST, TRAIN, VALIDATION, NETWORK = "#0072B2", "#D55E00", "#009E73", "#000000"
DARK, NOISE, CLUSTER = "#33334D", "#F0C419", "#FFFFFF"  # a deeper yellow than the palette's, apart from white
NAMED_LABELS = 12  # up to so many labels, ticks bear the classes' names
LONGEST_NAME = 14  # characters of a class name on an axis


def use_style(dpi: int, font_size: float, colormap: str) -> None:
    """Set matplotlib's parameters for every figure made from now on, whatever the user's own matplotlibrc says.

    Args:
        dpi: Pixels per inch.
        font_size: Of axis labels, in points.
        colormap: Of field matrices; a name that matplotlib knows.
    """
    matplotlib.rcdefaults()
    matplotlib.rcParams.update(
        {
            "figure.dpi": dpi,
            "savefig.dpi": dpi,
            "font.size": font_size,
            "axes.titlesize": font_size,
            "figure.titlesize": font_size + 1,
            "xtick.labelsize": font_size - 1,
            "ytick.labelsize": font_size - 1,
            "legend.fontsize": font_size - 1,
            "text.parse_math": False,  # a class name may hold a dollar sign
            "image.cmap": colormap,
            "image.interpolation": "nearest",
            "figure.constrained_layout.use": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.axisbelow": True,
            "grid.color": "#E0E0E0",
            "legend.edgecolor": "none",
            "lines.linewidth": 1.4,
            "lines.markersize": 4.5,
            "errorbar.capsize": 2.5,
        }
    )


def run_heading(arch: str, dataset: str, samples: int, epochs_scale: float) -> str:
    """What a run is, for the figures' titles: "vgg16 on digits, 1 sample, 0.05 of the full epochs"."""
    epochs = "the full epochs" if epochs_scale == 1 else f"{epochs_scale:g} of the full epochs"
    count = "1 sample" if samples == 1 else f"{samples} samples (bars: standard deviation)"
    return f"{arch} on {dataset}, {count}, {epochs}"


def success_rates(layers: pd.DataFrame, history: pd.DataFrame, heading: str) -> Figure:
    """Draw the success rate of the head on each examined layer beside the whole network's (Fig. 2).

    Args:
        layers: layers.csv; a row a layer.
        history: The samples' training histories, with a column `seed`.
        heading: What the run is.
    """
    figure = _new_figure(3.6)
    _title(figure, "Success rate of the head on each layer", heading)
    axes = figure.subplots()
    test = _draw_curve(axes, layers, "accuracy", color=TEST, marker="o", zorder=3, label="test set")
    train = _draw_curve(axes, layers, "train_accuracy", color=TRAIN, marker="s", fillstyle="none", label="training set")
    curves = [test, train]
    if layers["validation_accuracy_mean"].notna().any():
        look = {"color": VALIDATION, "marker": "^", "fillstyle": "none"}
        curves.append(_draw_curve(axes, layers, "validation_accuracy", **look, label="validation set"))
    accuracy = history.groupby("seed")["test_accuracy"].last().mean()
    network = axes.axhline(accuracy, color=NETWORK, linestyle="--", label=f"whole network, test set: {accuracy:.3f}")
    axes.set_ylabel("success rate (fraction)")
    _label_layers(axes, layers["layer"])
    figure.legend(handles=[*curves, network], loc="outside lower center", ncols=4)
    return figure


def layer_statistics(layers: pd.DataFrame, threshold: float, heading: str) -> Figure:
    """Draw noise, clusters per filter and cluster size of each examined layer (Fig. 5A, as curves).

    Args:
        layers: layers.csv; a row a layer.
        threshold: That the fields were clipped at.
        heading: What the run is.
    """
    figure = _new_figure(6)
    _title(figure, f"Statistics of the filters of each layer, test set, threshold {threshold:g}", heading)
    top, middle, bottom = figure.subplots(3, sharex=True)
    _draw_curve(top, layers, "noise", color=TEST, marker="o", zorder=3, label="all filters that are not silent")
    _draw_curve(top, layers, "noise_clustered", color=TRAIN, marker="s", fillstyle="none", label="those with a cluster")
    top.set_ylabel("noise (ones outside\nclusters per filter)")
    top.legend()
    _draw_curve(middle, layers, "clusters", color=TEST, marker="o")
    middle.set_ylabel("clusters\nper filter")
    _draw_curve(bottom, layers, "cluster_size", color=TEST, marker="o")
    bottom.set_ylabel("cluster size\n(labels, mean)")
    for axes in (top, middle, bottom):
        axes.set_ylim(0, 1.1 * axes.get_ylim()[1])
        _label_layers(axes, layers["layer"])
        axes.label_outer()
    return figure


def training(history: pd.DataFrame, heading: str) -> Figure:
    """Draw loss and accuracy of every sample's backbone over the epochs.

    Args:
        history: The samples' training histories, with a column `seed`; epoch 0 is before any training.
        heading: What the run is.
    """
    figure = _new_figure(3.2)
    _title(figure, "Training of the network", heading)
    left, right = figure.subplots(1, 2)
    epochs = history["epoch"].max()
    look = {"marker": "." if epochs <= 30 else "", "linewidth": 1, "alpha": 0.7}
    for number, (_, sample) in enumerate(history.groupby("seed")):
        left.plot(sample["epoch"], sample["loss"], color=TRAIN, **look)
        for column, color, name in (("train_accuracy", TRAIN, "training set"), ("test_accuracy", TEST, "test set")):
            label = name if number == 0 else None  # one entry for all samples
            right.plot(sample["epoch"], sample[column], color=color, label=label, **look)
    if epochs == 0:
        left.text(0.5, 0.5, "no training", ha="center", transform=left.transAxes)
        left.set_yticks([])
    left.set_ylabel("loss (cross-entropy, nats)")
    right.set_ylabel("accuracy (fraction)")
    right.legend()
    for axes in (left, right):
        axes.set_xlabel("epoch")
        axes.set_xlim(-0.5, epochs + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(True)
    return figure


def label_appearances(labels: pd.DataFrame, threshold: float, heading: str) -> Figure:
    """Draw how many clusters of the last examined layer each label is in, and the mean over labels (Fig. 5B).

    Args:
        labels: labels.csv; a row for each seed, layer and label.
        threshold: That the fields were clipped at.
        heading: What the run is.
    """
    last = labels[labels["layer"] == labels["layer"].max()]
    by_label = last.groupby("label").agg({"class_name": "first", "appearances": ["mean", "std"]})
    means, deviations = by_label["appearances"]["mean"], by_label["appearances"]["std"]
    figure = _new_figure(3.4)
    layer = last["layer"].iloc[0]
    _title(figure, f"Appearances of each label in the clusters of layer {layer}, threshold {threshold:g}", heading)
    axes = figure.subplots()
    axes.bar(range(len(means)), means, color=TEST, yerr=deviations if last["seed"].nunique() > 1 else None)
    axes.axhline(means.mean(), color=NETWORK, linestyle="--", label=f"mean over labels: {means.mean():.1f}")
    axes.set_ylabel("appearances in clusters")
    axes.set_xlabel("label")
    axes.set_xlim(-0.6, len(means) - 0.4)
    _label_axis(axes, "x", by_label["class_name"]["first"].tolist(), range(len(means)))
    axes.margins(y=0.2)  # room for the legend
    axes.legend(loc="upper right")
    return figure


def representative_filters(filters: pd.DataFrame) -> dict[int, int | None]:
    """Choose one filter a layer by rule: of those that are not silent, the one closest to the layer's median.

    Close in noise, cluster count and mean cluster size (0 without a cluster): the least sum of absolute differences,
    each over the layer's standard deviation; of filters as close, the lowest index.

    Args:
        filters: filters.csv, the rows of one sample; a row a filter.

    Returns:
        For each layer the filter's index, or None where all are silent.
    """
    return {int(layer): _closest_to_median(rows) for layer, rows in filters.groupby("layer")}


def filter_matrices(
    shown: Mapping[int, tuple[int, NDArray[np.float64]] | None],
    class_names: Sequence[str],
    threshold: float,
    heading: str,
) -> Figure:
    """Draw of one filter a layer the fields, the clipped and the permuted matrix (Fig. 4).

    Args:
        shown: For each layer the filter's index and its normalised fields, float64 (K, K), input label by output
            label; None where all filters are silent.
        class_names: K names.
        threshold: Clips the fields.
        heading: What the run is.
    """
    heights = [SILENT_HEIGHT if filter_fields is None else ROW_HEIGHT for filter_fields in shown.values()]
    figure = _new_figure(0.7 + sum(heights))
    _title(
        figure,
        "First sample; of each layer the filter closest to the median noise, cluster count and size.",
        f"Permuted: clusters white, noise yellow. Line in the colour bars: the threshold, {threshold:g}.",
        heading,
    )
    grid = figure.add_gridspec(len(shown), 1, height_ratios=heights)
    parts = [figure.add_subfigure(place) for place in grid]
    for part, (layer, filter_fields) in zip(parts, shown.items(), strict=True):
        if filter_fields is None:
            part.suptitle(f"layer {layer}: all filters are silent", x=0.01, ha="left")
        else:
            _draw_filter(part, layer, *filter_fields, class_names, threshold)
    _make_square(figure, grid, parts)
    return figure


def permuted_cells(clipped: NDArray[np.bool_], members: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """Put the labels of each cluster side by side and tell cluster ones from noise (Fig. 4, right).

    Args:
        clipped: bool (K, K), input label by output label.
        members: The labels of each cluster.

    Returns:
        int64 (K, K): 2 in a cluster's block, 1 for any other one, 0 elsewhere; rows and columns as `order` gives them.
    """
    cells = clipped.astype(np.int64)
    for labels in members:
        cells[np.ix_(labels, labels)] = 2
    permutation = order(members, len(clipped))
    return cells[np.ix_(permutation, permutation)]


def _closest_to_median(rows: pd.DataFrame) -> int | None:
    rows = rows[~rows["silent"].astype(bool)].sort_values("filter")
    if rows.empty:
        return None
    sizes = [_mean_cluster_size(labels) for labels in rows["labels"].fillna("")]
    values = np.column_stack([rows["noise"], rows["clusters"], sizes]).astype(np.float64)  # (F, 3)
    spread = values.std(axis=0)
    distances = np.abs(values - np.median(values, axis=0)) / np.where(spread > 0, spread, 1)
    # Rounded, so that a tie is one whatever the order of the sums.
    return int(rows["filter"].iloc[np.argmin(distances.sum(axis=1).round(9))])


def _mean_cluster_size(labels: str) -> float:
    """The mean size of the clusters written as "0 4 9;1 2 5"; 0 if there is none."""
    return float(np.mean([len(members.split()) for members in labels.split(";")]))


def _draw_curve(axes: Axes, layers: pd.DataFrame, name: str, **look: object) -> ErrorbarContainer:
    """Draw a statistic's mean against the layer; bars of one standard deviation if there is more than one sample."""
    deviations = layers.get(f"{name}_std")
    bars = deviations if deviations is not None and (layers["samples"] > 1).any() else None
    return axes.errorbar(layers["layer"], layers[f"{name}_mean"], yerr=bars, **look)


def _label_layers(axes: Axes, layers: pd.Series) -> None:
    axes.set_xlabel("layer")
    axes.set_xticks(layers)
    axes.set_xlim(layers.min() - 0.7, layers.max() + 0.7)
    axes.grid(True)


def _label_axis(axes: Axes, which: str, class_names: Sequence[str], labels: Sequence[int]) -> None:
    """Write the labels at the ticks of an axis: their names if they are few, else the indices of some."""
    step = 1 if len(labels) <= NAMED_LABELS else -(-len(labels) // 10)
    texts = [_shorten(class_names[label]) if step == 1 else str(label) for label in labels[::step]]
    upright = which == "x" and max(map(len, texts)) > 3
    axes.set(**{f"{which}ticks": range(0, len(labels), step), f"{which}ticklabels": texts})
    axes.tick_params(which, length=2, rotation=90 if upright else 0)


def _shorten(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def _draw_filter(
    part: SubFigure,
    layer: int,
    index: int,
    fields: NDArray[np.float64],
    class_names: Sequence[str],
    threshold: float,
) -> None:
    """Draw the three panels of one filter side by side."""
    clipped = clip(fields, threshold)
    members = clusters(clipped)
    part.suptitle(_describe_filter(layer, index, noise(clipped, members), members, class_names), x=0.01, ha="left")
    left, middle, right = part.subplots(1, 3)
    plain, permuted = range(len(fields)), order(members, len(fields))

    # Most fields lie in -1 ... 1, the largest being 1: the same scale in every row, so that rows compare.
    image = left.imshow(fields, vmin=-1, vmax=1, aspect="auto")
    extend = "min" if np.nanmin(fields) < -1 else "neither"
    bar = part.colorbar(image, ax=left, pad=0.03, extend=extend, ticks=[-1, -0.5, 0, 0.5, 1])
    bar.ax.axhline(threshold, color="white", linewidth=3)
    bar.ax.axhline(threshold, color="black", linewidth=1)
    middle.imshow(clipped, cmap=ListedColormap([DARK, CLUSTER]), vmin=0, vmax=1, aspect="auto")
    cells = permuted_cells(clipped, members)
    right.imshow(cells, cmap=ListedColormap([DARK, NOISE, CLUSTER]), vmin=0, vmax=2, aspect="auto")

    titles = "normalised fields", f"clipped at {threshold:g}", "permuted"
    for axes, title, labels in zip((left, middle, right), titles, (plain, plain, permuted), strict=True):
        axes.set_title(title)
        axes.set_xlabel("output label")
        axes.spines[:].set_visible(True)  # tells white cells from the page
        _label_axis(axes, "x", class_names, labels)
        _label_axis(axes, "y", class_names, labels)
    left.set_ylabel("input label")
    middle.tick_params("y", labelleft=False)


def _make_square(figure: Figure, grid: GridSpec, parts: Sequence[SubFigure]) -> None:
    """Give each row the height that makes its matrices square: constrained layout overlaps axes of equal aspect."""
    figure.draw_without_rendering()  # lays the figure out
    before = [part.bbox.height / figure.dpi for part in parts]  # inches
    after = list(before)
    for row, part in enumerate(parts):
        if part.axes:
            matrix = part.axes[0].get_window_extent()
            after[row] += (matrix.width - matrix.height) / figure.dpi
    grid.set_height_ratios(after)
    figure.set_figheight(figure.get_figheight() + sum(after) - sum(before))


def _describe_filter(
    layer: int, index: int, ones_outside: int, members: Sequence[Sequence[int]], class_names: Sequence[str]
) -> str:
    names = [f"({', '.join(class_names[label] for label in labels)})" for labels in members]
    listed = ", ".join(names) if names else "none"
    text = f"layer {layer}, filter {index}: noise {ones_outside}, clusters {listed}"
    return _wrap(text, lines=2)


def _new_figure(height: float) -> Figure:
    """Make a figure of so many inches; letters beyond 12 points enlarge it, so that they find their place."""
    return Figure(figsize=(WIDTH * _enlarged(), height * _enlarged()))


def _enlarged() -> float:
    return max(1, matplotlib.rcParams["font.size"] / 12)


def _title(figure: Figure, *lines: str) -> None:
    figure.suptitle("\n".join(_wrap(line) for line in lines))


def _wrap(text: str, lines: int | None = None) -> str:
    """Break a title into lines that a figure's width holds; leave out what goes beyond so many lines."""
    letter = 0.61 * matplotlib.rcParams["font.size"] / 72  # inches, on average
    return "\n".join(textwrap.wrap(text, width=int(WIDTH * _enlarged() / letter), max_lines=lines, placeholder=" …"))
