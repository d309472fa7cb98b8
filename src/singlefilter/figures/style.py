"""The house style of the figures: letters, colours, axes, legends and files. The other modules are the figures."""

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from singlefilter.pipeline.params import LayerName

# What the paper gives: (layer, statistic) -> number; None for the whole network, statistics as in layers.csv.
Paper = Mapping[tuple[LayerName | None, str], float]

WIDTH = 7.2  # inches
FONT = "DejaVu Sans"  # comes with matplotlib, so that every machine draws the same letters
# Blue, vermilion, green, purple and black of Okabe and Ito's palette.
TEST, TRAIN, VALIDATION, OTHER, NETWORK = "#0072B2", "#D55E00", "#009E73", "#AA4499", "#000000"
OTHERS = "#B8CFE0"  # bars beside the one in question
PAPER = "#7A7A7A"  # of all that is the paper's, and of nothing else
PAPER_NAME = "paper (CIFAR-10)"
NAMED_LABELS = 12  # up to so many labels, axes bear the classes' names
SHOWN_LABELS = 20  # of more, those that matter most are drawn, and all others together
OTHER_LABELS = "others"
DIGITS = 6  # of positions, fractions of the figure: a thousandth of a pixel
LONGEST_NAME = 14  # characters of a class name on an axis
LONGEST_NUMBER = 3  # characters of a layer that are written level on an axis
LONGEST_LAYER = 24  # of its name there
UNKNOWN = "n/a"
# What the figures show of each layer, as columns of layers.csv -> name at an axis
STATISTICS = {
    "noise": "noise (fields above\nthreshold outside of\nclusters, per filter)",
    "clusters": "clusters\nper filter",
    "cluster_size": "cluster size\n(labels, mean)",
}


def use_style(dpi: int, font_size: float, colormap: str) -> None:
    """Set matplotlib's parameters for every figure made from now on, whatever the user's own matplotlibrc says.

    Args:
        dpi: Pixels per inch.
        font_size: Of axis labels, in points.
        colormap: Of matrices; a name that matplotlib knows.
    """
    matplotlib.rcdefaults()
    larger = _enlargement(font_size)
    matplotlib.rcParams.update(
        {
            "figure.dpi": dpi,
            "savefig.dpi": dpi,
            "font.family": [FONT],
            "font.size": font_size,
            "axes.titlesize": font_size,
            "figure.titlesize": font_size + 1,
            "xtick.labelsize": font_size - 1,
            "ytick.labelsize": font_size - 1,
            "legend.fontsize": font_size - 1,
            "text.parse_math": False,  # a class name may hold a dollar sign
            "image.cmap": colormap,
            "figure.constrained_layout.w_pad": 0.07,  # inches; axes that grow may get longer numbers at their ticks
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.axisbelow": True,
            "grid.color": "#E0E0E0",
            "axes.linewidth": 0.8 * larger,
            "grid.linewidth": 0.8 * larger,
            "hatch.linewidth": 0.6 * larger,
            "legend.edgecolor": "none",
            "lines.linewidth": 1.4 * larger,
            "lines.markersize": 4.5 * larger,
            "errorbar.capsize": 2.5 * larger,
            "svg.fonttype": "path",
            "svg.hashsalt": "singlefilter",  # else the names of clips and markers are random
        }
    )


def bars_text(samples: int) -> str:
    """The caption's sentence on bars that are standard deviations over samples; one sample has none."""
    return "Bars: standard deviation over samples." if samples > 1 else "One sample has no standard deviation."


class RoundedLayout(ConstrainedLayoutEngine):
    """Constrained layout with rounded positions.

    Its solver orders variables by their addresses in memory. So the last digits of the positions that it finds vary
    from process to process, and with them coordinates in an SVG, names of its clipping paths, and pixels.
    """

    def execute(self, fig: Figure) -> None:
        """Lay the figure out, and round where its parts, axes and titles are."""
        super().execute(fig)
        for part in fig.subfigs:
            part.bbox_relative.set_points(part.bbox_relative.get_points().round(DIGITS))
        for axes in fig.axes:
            # The public set_position would take the axes out of the layout.
            axes._set_position(Bbox(axes.get_position(original=True).get_points().round(DIGITS)))
        for text in [text for part in (fig, *fig.subfigs) for text in part.texts]:
            text.set_position(np.round(text.get_position(), DIGITS))


def new_figure(height: float, width: float = WIDTH, compress: bool = False) -> Figure:
    """Make a figure of so many inches; letters beyond 9 points enlarge it, so that they find their place.

    Args:
        height: Of the figure.
        width: Of the figure.
        compress: Whether to remove the space between axes of fixed aspect.
    """
    layout = RoundedLayout(compress=compress)
    return Figure(figsize=(width * enlarged(), height * enlarged()), layout=layout)


def enlarged() -> float:
    """By how much a figure grows for its letters."""
    return _enlargement(font_size())


def font_size() -> float:
    """The size of axis labels, in points."""
    return matplotlib.rcParams["font.size"]


def save(figure: Figure, path: Path, form: str) -> None:
    """Write a figure; the same figure gives the same bytes.

    Args:
        figure: The figure. Its first writing lays it out, and its later ones keep that layout.
        path: The file.
        form: "png" or "svg".
    """
    # The library's version and the date would change the bytes.
    metadata = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}[form]
    figure.savefig(path, format=form, metadata=metadata)
    figure.set_layout_engine("none")


def title(figure: Figure, what: str, heading: str, *caption: str) -> None:
    """Write a figure's title, one line unless names are long, and keep its caption, which goes to a file of its own.

    Args:
        figure: The figure; its label, which matplotlib does not draw, becomes the caption.
        what: What it shows.
        heading: What the run is.
        caption: Sentences.
    """
    figure.suptitle(wrap(_replace_undrawable(f"{what}: {heading}"), figure.get_figwidth()))
    figure.set_label(" ".join(filter(None, caption)))


def caption_text(name: str, figure: Figure) -> str:
    """A figure's part of the file of captions, in Markdown: its name, itself, and its caption."""
    return f"## {name}\n\n![{name}]({name}.png)\n\n{figure.get_label()}\n"


def wrap(text: str, width: float, lines: int | None = None) -> str:
    """Break a text of the title's size into lines of so many inches; leave out what goes beyond so many lines."""
    letter = 0.61 * font_size() / 72  # inches, on average
    return "\n".join(textwrap.wrap(text, width=max(int(width / letter), 8), max_lines=lines, placeholder=" …"))


def legend_below(figure: Figure, handles: Sequence[Artist]) -> None:
    """Write a legend under all axes, in as many columns as the figure holds."""
    for columns in range(len(handles), 0, -1):
        legend = figure.legend(handles=handles, loc="outside lower center", ncols=columns)
        if columns == 1 or legend.get_window_extent().width <= figure.bbox.width:
            return
        legend.remove()


def legend_above(axes: Axes, handles: Sequence[Artist], columns: int = 1) -> None:
    """Write a legend over its axes, where several axes of a figure have their own."""
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, ncols=columns)


def say_nothing(axes: Axes, why: str) -> None:
    """Write across empty axes why they are empty."""
    axes.text(0.5, 0.5, why, ha="center", va="center", transform=axes.transAxes)
    axes.set_yticks([])


def say_if_unknown(axes: Axes, values: pd.DataFrame | pd.Series) -> None:
    """Write across the axes that there is nothing to draw, if all values are unknown."""
    if values.isna().all(axis=None):
        say_nothing(axes, "no such number")


def draw_curve(axes: Axes, layers: pd.DataFrame, name: str, **look: object) -> ErrorbarContainer:
    """Draw a statistic's mean against the layer; bars of one standard deviation if there is more than one sample."""
    deviations = layers.get(f"{name}_std")
    bars = deviations if deviations is not None and (layers["samples"] > 1).any() else None
    return axes.errorbar(layer_places(layers["layer"]), layers[f"{name}_mean"], yerr=bars, **look)


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


def layer_places(layers: pd.Series) -> list[float]:
    """Give where layers are on an axis: at their numbers, or, those with names, one after the other."""
    return layers.tolist() if pd.api.types.is_numeric_dtype(layers) else [*range(1, len(layers) + 1)]


def label_layers(axes: Axes, layers: pd.Series) -> None:
    """Put a tick at each examined layer."""
    places = layer_places(layers)
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
    """Name a layer in a text: "layer 13", or its own name."""
    return layer_texts([layer])[0] if isinstance(layer, str) else f"layer {layer}"


def layer_texts(layers: Iterable[LayerName]) -> list[str]:
    """Give what layers are called; of a long name the end, which tells it from others."""
    texts = [str(layer) for layer in layers]
    return [text if len(text) <= LONGEST_LAYER else f"…{text[1 - LONGEST_LAYER :]}" for text in texts]


def label_axis(axes: Axes, which: str, texts: Sequence[str]) -> None:
    """Write the labels at an axis, smaller where they are many."""
    many = len(texts) > NAMED_LABELS
    upright = which == "x" and (many or max(map(len, texts)) > 3)
    axes.set(**{f"{which}ticks": range(len(texts)), f"{which}ticklabels": texts})
    size = font_size() * (0.62 if many else 1) - (0 if many else 1)
    axes.tick_params(which, length=2, rotation=90 if upright else 0, labelsize=size)


def label_texts(class_names: Sequence[str], shown: Sequence[int] | None = None, names: bool = False) -> list[str]:
    """What stands for each label that is drawn: its name if labels are few, else its number.

    Args:
        class_names: K names.
        shown: The labels that are drawn, by default all; a last text stands for all others, if there are any.
        names: Whether names are written, however many the labels are.
    """
    few = names or len(class_names) <= NAMED_LABELS
    texts = drawable_names(class_names) if few else [*map(str, range(len(class_names)))]
    if shown is None or len(shown) == len(class_names):
        return texts
    return [*(texts[label] for label in shown), OTHER_LABELS]


def largest_labels(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Choose the labels that are drawn of K: all if they are few, else those of the largest values, in their order."""
    if len(values) <= SHOWN_LABELS:
        return np.arange(len(values))
    return np.sort(np.argsort(-np.nan_to_num(values, nan=-np.inf), kind="stable")[:SHOWN_LABELS])


def with_others(values: NDArray, shown: NDArray[np.int64], gather: Callable[..., NDArray], axes: int) -> NDArray:
    """Gather the values of all labels that are not drawn into one that follows those that are.

    Args:
        values: (K, …), or (K, K, …).
        shown: The labels that are drawn.
        gather: How, such as numpy.sum.
        axes: How many of the first axes are labels.
    """
    others = np.setdiff1d(np.arange(len(values)), shown)
    for axis in range(axes if len(others) else 0):
        rest = gather(values.take(others, axis), axis=axis, keepdims=True)
        values = np.concatenate([values.take(shown, axis), rest], axis)
    return values


def others_text(labels: int, more: str = "") -> str:
    """The caption's sentences on labels that are not drawn one by one, if there are any."""
    if labels <= SHOWN_LABELS:
        return ""
    text = f"Of {labels:,} labels the {SHOWN_LABELS} that matter most are drawn; the last place is of all others."
    return f"{text} {more}".strip()


def drawable_names(class_names: Sequence[str]) -> list[str]:
    """The classes' names, long ones without their middle, in quotes with a comma; "label 3" if the font lacks one."""
    names = [_shorten(name) if _drawable(name) else f"label {label}" for label, name in enumerate(class_names)]
    return [f'"{name}"' if "," in name else name for name in names]


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


def choose_layers(layers: Sequence[LayerName], most: int = 5) -> list[LayerName]:
    """Choose layers to show: all if they are few, else the first, the last, and others evenly between."""
    if len(layers) <= most:
        return list(layers)
    return [layers[place] for place in np.linspace(0, len(layers) - 1, most).round().astype(int)]


def mean_last_accuracy(history: pd.DataFrame) -> tuple[float, float]:
    """The whole network's success rate on the test set after the last epoch: mean and standard deviation over samples.

    Args:
        history: The samples' training histories, with a column `seed`.
    """
    last = history.groupby("seed")["test_accuracy"].last()
    return float(last.mean()), float(last.std(ddof=1))


def rounded_text(value: float | None, digits: int) -> str:
    """A number for the reader; a dash where there is none."""
    return UNKNOWN if value is None or pd.isna(value) else f"{value:.{digits}f}".replace("-", "−")


def mean_text(mean: float, deviation: float | None, digits: int) -> str:
    """A mean over samples, with the standard deviation where there is one: "0.888 ± 0.002"."""
    text = rounded_text(mean, digits)
    if text == UNKNOWN or deviation is None or pd.isna(deviation):
        return text
    return f"{text} ± {rounded_text(deviation, digits)}"


def _enlargement(points: float) -> float:
    return max(1, points / 9)


def _shorten(name: str) -> str:
    """Names that are alike differ at their end as often as at their beginning: both are kept."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 6]}…{name[-5:]}"


def _drawable(text: str) -> bool:
    font = get_font(findfont(FONT))
    return all(font.get_char_index(ord(character)) for character in text)


def _replace_undrawable(text: str) -> str:
    return "".join(character if _drawable(character) else "?" for character in text)
