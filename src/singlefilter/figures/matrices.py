"""Matrices of single filters: what each decides, and the fields that it induces (Figs. 3B and 4)."""

from collections.abc import Collection, Mapping, Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure, SubFigure
from matplotlib.gridspec import GridSpec
from numpy.typing import NDArray

from singlefilter.figures.axes import chosen_text, layer_name
from singlefilter.figures.labels import (
    label_axis,
    label_texts,
    largest_labels,
    numbered_names,
    others_text,
    with_others,
)
from singlefilter.figures.numbers import UNKNOWN
from singlefilter.figures.style import WIDTH, font_size, new_figure, say_why_empty, title, wrap
from singlefilter.filters.clusters import clip, clusters, decision_shares, noise, order
from singlefilter.pipeline.params import LayerName

ROW_HEIGHT, SILENT_HEIGHT = 2.3, 0.4  # inches of a filter's matrices, and of the word that there is none
DARK, NOISE, CLUSTER = "#33334D", "#F0C419", "#FFFFFF"  # a deeper yellow than the palette's, apart from white
FIELDS = matplotlib.colormaps["RdBu_r"].with_extremes(bad="#A0A0A0")  # white is 0, and grey no field
NUMBERED_LABELS = 10  # up to so many labels, the cells of decisions bear their numbers

_CHOICE = "First sample; of each layer the filter closest to the median noise, cluster count and cluster size."

_ONE_POSITION = (
    "A filter with one position adds to each output its activation there, which is never below 0, times a weight:",
    "the output with the largest weight has the largest field, whatever the image.",
)

# layer -> a filter's number and (K, K) matrix; None: all are silent
Shown = Mapping[LayerName, tuple[int, NDArray] | None]


def representative_filters(filters: pd.DataFrame) -> dict[LayerName, int | None]:
    """Choose one filter per layer by rule: of those that are not silent, the one closest to the layer's median.

    Close in noise, cluster count and mean cluster size (0 without a cluster): the least sum of absolute differences,
    each over the layer's standard deviation; of filters as close, the lowest index.

    Args:
        filters: filters.csv, the rows of one sample; one row per filter.

    Returns:
        For each layer the filter's index, or None where all are silent.
    """
    return {layer: _closest_to_median(rows) for layer, rows in filters.groupby("layer", sort=False)}


def plot_decisions(shown: Shown, single: Collection[LayerName], class_names: Sequence[str], heading: str) -> Figure:
    """Draw what one filter per layer decides, alone, for the images of each label (Fig. 3B).

    Args:
        shown: For each layer the filter's number and its counts of decisions, int (K, K), input label by output label;
            None where all filters are silent.
        single: The layers whose filters have a single position: what these decide depends on no image.
        class_names: K names.
        heading: What the run is.
    """
    width = WIDTH if len(shown) > 1 else WIDTH * 0.65
    figure = new_figure(6.5 if any(shown.values()) else 1.8, width, compress=True)  # the squares beside each other
    title(
        figure,
        "Decisions of one filter alone",
        heading,
        "The first and the last examined layer.",
        _CHOICE,
        f"Decided are the images whose fields are not all zero; {UNKNOWN}: no image of the label is.",
        *(_ONE_POSITION if single else ()),
        others_text(len(class_names)),
    )
    panels = figure.subplots(1, len(shown), squeeze=False)[0]
    mesh = None
    for axes, (layer, counts) in zip(panels, shown.items(), strict=True):
        if counts is None:
            axes.axis("off")
            say_why_empty(axes, f"{layer_name(layer)}:\nall filters are silent")
        else:
            mesh = _draw_decisions(axes, layer, *counts, layer in single, class_names)
    if mesh:
        next(axes for axes in panels if axes.axison).set_ylabel("input label")
        label = "share of the input label's decided images"
        figure.colorbar(mesh, ax=list(panels), location="bottom", shrink=0.6, aspect=40, label=label)
        figure.draw_without_rendering()  # lays the figure out: squares as wide as the page, with space over and under
        figure.set_figheight(figure.get_tightbbox().height + 0.15)
    return figure


def plot_filters(
    shown: Shown, examined: Sequence[LayerName], class_names: Sequence[str], threshold: float, heading: str
) -> Figure:
    """Draw of one filter per layer the fields, the clipped and the permuted matrix (Fig. 4).

    Args:
        shown: For each layer the filter's number and its normalised fields, float64 (K, K), input label by output
            label; None where all filters are silent.
        examined: All layers, of which some may not be shown.
        class_names: K names.
        threshold: Clips the fields.
        heading: What the run is.
    """
    heights = [SILENT_HEIGHT if filter_fields is None else ROW_HEIGHT for filter_fields in shown.values()]
    figure = new_figure(0.7 + sum(heights))
    title(
        figure,
        "Fields of one filter per layer",
        heading,
        _CHOICE,
        chosen_text([*shown], examined),
        "Fields: means over the images of each input label (grey: there is none), divided by the filter's largest; an "
        "arrow at a colour bar's end: some are below −1.",
        f"Clipped: white above the threshold, {threshold:g}, which is the line in the colour bars.",
        "Permuted: the same cells, the labels of each cluster side by side; clusters white, noise yellow.",
        others_text(len(class_names), "Of the others, the mean field, and whether any is above the threshold."),
    )
    grid = figure.add_gridspec(len(shown), 1, height_ratios=heights)
    parts = [figure.add_subfigure(place) for place in grid]
    for part, (layer, filter_fields) in zip(parts, shown.items(), strict=True):
        if filter_fields is None:
            part.suptitle(f"{layer_name(layer)}: all filters are silent", x=0.01, ha="left")
            part.subplots().axis("off")  # without axes, the layout would forget the titles
        else:
            index, fields = filter_fields
            _draw_filter(part, f"{layer_name(layer)}, filter {index}", fields, class_names, threshold)
    _name_panels([part for part in parts if part.axes[0].axison], threshold)
    _make_square(figure, grid, parts)
    return figure


def plot_one_filter(name: str, fields: NDArray[np.float64], class_names: Sequence[str], threshold: float) -> Figure:
    """Draw of one filter the fields, the clipped and the permuted matrix (Fig. 4), as plot_filters does.

    Args:
        name: What the filter is called.
        fields: Normalised, float64 (K, K), input label by output label.
        class_names: K names.
        threshold: Clips the fields.
    """
    figure = new_figure(0.3 + ROW_HEIGHT)
    grid = figure.add_gridspec(1, 1)
    part = figure.add_subfigure(grid[0])
    _draw_filter(part, name, fields, class_names, threshold)
    _name_panels([part], threshold)
    _make_square(figure, grid, [part])
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


def _draw_cells(axes: Axes, cells: NDArray, **look: object) -> ScalarMappable:
    """Draw a matrix (K, K), its first row on top; give the cells, for a colour bar."""
    axes.spines[:].set_visible(True)  # tells white cells from the page
    edges = np.arange(len(cells) + 1) - 0.5
    axes.set(xlim=edges[[0, -1]], ylim=edges[[-1, 0]])
    # Edges in the cells' colours: without, browsers let the page shine through between the cells of an SVG.
    return axes.pcolormesh(edges, edges, cells, edgecolors="face", linewidth=0.3, **look)


def _draw_filter(
    part: SubFigure, name: str, fields: NDArray[np.float64], class_names: Sequence[str], threshold: float
) -> None:
    """Draw the three panels of one filter side by side; of many labels those of its clusters and largest fields."""
    clipped = clip(fields, threshold)
    members = clusters(clipped)
    shown = _shown_labels(fields, members)
    width = part.bbox.width / part.figure.dpi
    about = _describe_filter(name, noise(clipped, members), members, class_names)
    part.suptitle(wrap(about, width, lines=2), x=0.01, ha="left")
    left, middle, right = part.subplots(1, 3)

    # Most fields lie in -1 ... 1, the largest being 1: the same scale in every row, so that rows compare.
    fields = with_others(fields, shown, np.nanmean, axes=2)
    clipped = with_others(clipped, shown, np.any, axes=2)
    places = {label: place for place, label in enumerate(shown.tolist())}
    members = [drawn for labels in members if (drawn := [places[label] for label in labels if label in places])]
    mesh = _draw_cells(left, fields, cmap=FIELDS, vmin=-1, vmax=1)
    extend = "min" if np.nanmin(fields) < -1 else "neither"
    bar = part.colorbar(mesh, ax=left, pad=0.03, extend=extend, ticks=[-1, -0.5, 0, 0.5, 1])
    bar.ax.axhline(threshold, color="white", linewidth=3)
    bar.ax.axhline(threshold, color="black", linewidth=1)
    _draw_cells(middle, clipped, cmap=ListedColormap([DARK, CLUSTER]), vmin=0, vmax=1)
    cells = permuted_cells(clipped, members)
    _draw_cells(right, cells, cmap=ListedColormap([DARK, NOISE, CLUSTER]), vmin=0, vmax=2)

    texts = label_texts(class_names, shown)
    permuted = [texts[label] for label in order(members, len(fields))]
    for axes, names in ((left, texts), (middle, texts), (right, permuted)):
        label_axis(axes, "x", names)
        label_axis(axes, "y", names)
    middle.tick_params("y", labelleft=False)  # as left
    left.set_ylabel("input label")


def _shown_labels(fields: NDArray[np.float64], members: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """Choose the labels that are drawn of a filter: those of its clusters, then those of its largest fields."""
    known = np.nan_to_num(fields, nan=-np.inf)
    importance = np.maximum(known.max(axis=0), known.max(axis=1))
    importance[[label for labels in members for label in labels]] += 2  # beyond the largest normalised field, 1
    return largest_labels(importance)


def _draw_decisions(
    axes: Axes, layer: LayerName, index: int, counts: NDArray[np.int64], single: bool, class_names: Sequence[str]
) -> ScalarMappable:
    """Draw the decisions of one filter; give the cells, for a colour bar."""
    decided = counts.sum()
    about = "decides no image"
    if decided:
        favourite = int(counts.sum(axis=0).argmax())
        share = 100 * counts[:, favourite].sum() / decided
        about = f"picks {numbered_names(class_names)[favourite]} for {share:.0f} %\nof {decided:,} decided images"
    shown = largest_labels(counts.sum(axis=0).astype(np.float64))
    shares = decision_shares(with_others(counts, shown, np.sum, axes=2))
    limit = "\none position: all images alike" if single else ""
    axes.set_title(f"{layer_name(layer)}, filter {index}\n{about}{limit}")
    mesh = _draw_cells(axes, shares, vmin=0, vmax=1)
    axes.set_aspect("equal")
    axes.set_xlabel("output label")
    for which in "xy":
        label_axis(axes, which, label_texts(class_names, shown))
    if len(counts) <= NUMBERED_LABELS:
        _write_shares(axes, shares)
    return mesh


def _write_shares(axes: Axes, shares: NDArray[np.float64]) -> None:
    """Write each cell's number, rounded, light on dark and dark on light."""
    colormap = matplotlib.colormaps[matplotlib.rcParams["image.cmap"]]
    for (row, column), share in np.ndenumerate(shares):
        unknown = np.isnan(share)
        text = UNKNOWN if unknown else f"{share:.0f}" if share in (0, 1) else f"{share:.2f}"
        dark = not unknown and np.dot(colormap(share)[:3], (0.299, 0.587, 0.114)) < 0.5  # luma of Rec. 601
        look = {"color": "white" if dark else "black", "fontsize": 0.62 * font_size(), "clip_on": True}
        axes.text(column, row, text, ha="center", va="center", **look)


def _make_square(figure: Figure, grid: GridSpec, parts: Sequence[SubFigure]) -> None:
    """Give each row the height that makes its matrices square: constrained layout overlaps axes of equal aspect."""
    figure.draw_without_rendering()  # lays the figure out
    before = [part.bbox.height / figure.dpi for part in parts]  # inches
    after = list(before)
    for row, part in enumerate(parts):
        if part.axes[0].axison:
            matrix = part.axes[0].get_window_extent()
            after[row] += (matrix.width - matrix.height) / figure.dpi
    grid.set_height_ratios(after)
    figure.set_figheight(figure.get_figheight() + sum(after) - sum(before))


def _name_panels(parts: Sequence[SubFigure], threshold: float) -> None:
    """Name the panels over the first filter's, and the columns' labels under the last one's."""
    for part in parts[:1]:
        for axes, name in zip(part.axes, ("normalised fields", f"clipped at {threshold:g}", "permuted"), strict=False):
            axes.set_title(name)
    for part in parts[-1:]:
        for axes in part.axes[:3]:
            axes.set_xlabel("output label")


def _describe_filter(name: str, ones_outside: int, members: Sequence[Sequence[int]], class_names: Sequence[str]) -> str:
    texts = numbered_names(class_names)
    names = [f"({', '.join(texts[label] for label in labels)})" for labels in members]
    return f"{name}: noise {ones_outside}, clusters {', '.join(names) or 'none'}"
