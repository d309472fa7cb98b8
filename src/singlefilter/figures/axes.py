"""Axes of curves: statistics over layers, success rates over epochs, and the paper's numbers on them."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from singlefilter.figures.style import Paper, enlarged
from singlefilter.pipeline.params import LayerName, layer_text

PAPER = "#7A7A7A"  # of all that is the paper's, and of nothing else
PAPER_NAME = "paper (CIFAR-10)"
LONGEST_NUMBER = 3  # characters of a layer that are written level on an axis
LONGEST_LAYER = 24  # of its name there
# What the figures show of each layer, as columns of layers.csv -> name at an axis
STATISTICS = {
    "noise": "noise (fields above\nthreshold outside of\nclusters, per filter)",
    "clusters": "clusters\nper filter",
    "cluster_size": "cluster size\n(labels, mean)",
}


def draw_curve(axes: Axes, layers: pd.DataFrame, name: str, **look: object) -> ErrorbarContainer:
    """Draw a statistic's mean against the layer; bars of one standard deviation if there is more than one sample."""
    bars = layers[f"{name}_std"] if (layers["samples"] > 1).any() else None
    return axes.errorbar(layer_xs(layers["layer"]), layers[f"{name}_mean"], yerr=bars, **look)


def mark_paper(axes: Axes, layers: pd.Series, paper: Paper, statistic: str, **look: object) -> list[Line2D]:
    """Mark what the paper gives of the drawn layers; give the legend's entry, or none where it gives nothing."""
    return mark_points(
        axes, [(layer, paper[layer, statistic]) for layer in layers if (layer, statistic) in paper], **look
    )


def mark_points(axes: Axes, points: Sequence[tuple[float, float]], **look: object) -> list[Line2D]:
    """Mark numbers of the paper's at (x, y); give the legend's entry, or none where there is no number."""
    if not points:
        return []
    return axes.plot(*zip(*points, strict=True), **{"linestyle": "none", "label": PAPER_NAME, **paper_look(), **look})


def paper_look() -> dict[str, object]:
    """How a number of the paper's is marked."""
    return {
        "color": PAPER,
        "marker": "x",
        "markersize": 7 * enlarged(),
        "markeredgewidth": 1.8 * enlarged(),
        "zorder": 5,
    }


def draw_paper_line(axes: Axes, value: float | None) -> list[Line2D]:
    """Draw a number of the paper's across the axes; give the legend's entry, or none where there is no number."""
    if value is None:
        return []
    return [axes.axhline(value, color=PAPER, linestyle=":", label=PAPER_NAME)]


def layer_xs(layers: pd.Series) -> list[float]:
    """Give where layers are on an axis: at their numbers, or, those with names, one after the other."""
    return layers.tolist() if pd.api.types.is_numeric_dtype(layers) else [*range(1, len(layers) + 1)]


def label_layers(axes: Axes, layers: pd.Series) -> None:
    """Put a tick at each examined layer."""
    places = layer_xs(layers)
    axes.set_xlabel("layer")
    tick_layers(axes, places, layers)
    axes.set_xlim(min(places) - 0.7, max(places) + 0.7)
    axes.grid(True)


def tick_layers(axes: Axes, places: Sequence[float], layers: Iterable[LayerName]) -> None:
    """Write layers at their places on the x axis, names upright."""
    texts = layer_texts(layers)
    axes.set_xticks(places, texts)
    if max(map(len, texts)) > LONGEST_NUMBER:
        axes.tick_params("x", rotation=90)


def layer_name(layer: LayerName) -> str:
    """Name a layer in a text, as layer_text does; of a long name the end."""
    return layer_text(layer_texts([layer])[0] if isinstance(layer, str) else layer)


def layer_texts(layers: Iterable[LayerName]) -> list[str]:
    """Give what layers are called; of a long name the end, which tells it from others."""
    texts = [str(layer) for layer in layers]
    return [text if len(text) <= LONGEST_LAYER else f"…{text[1 - LONGEST_LAYER :]}" for text in texts]


def choose_layers(layers: Sequence[LayerName], most: int = 5) -> list[LayerName]:
    """Choose layers to show: all if they are few, else the first, the last, and others evenly between."""
    if len(layers) <= most:
        return list(layers)
    return [layers[place] for place in np.linspace(0, len(layers) - 1, most).round().astype(int)]


def chosen_text(chosen: Sequence[LayerName], layers: Sequence[LayerName]) -> str:
    """The caption's sentence on layers that are not shown, if there are any."""
    return f"Shown are {len(chosen)} of the {len(layers)} examined layers." if len(chosen) < len(layers) else ""


def label_success_rates(axes: Axes) -> None:
    """Name the axis of success rates that are drawn, and say where it starts if it is above 0."""
    low = axes.get_ylim()[0]
    axes.set_ylabel("success rate (fraction)" + (f"\naxis starts at {low:.3g}" if low > 0 else ""))


def label_epochs(axes: Axes, last: int) -> None:
    """Write whole epochs at the x axis."""
    axes.set_xlabel("epoch")
    axes.set_xlim(-0.5, last + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))


def log_axis(axes: Axes) -> None:
    """Make the vertical axis logarithmic, with plain numbers at 1, 2 and 5."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(lambda number, _: f"{number:g}")  # the library's own writes formulas
    axes.yaxis.set_minor_locator(NullLocator())
