"""The house style of the figures: letters, colours, layout, legends and files."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.transforms import Bbox

from singlefilter.pipeline.params import LayerName

# What the paper gives: (layer, statistic) -> number; None for the whole network, statistics as in layers.csv.
Paper = Mapping[tuple[LayerName | None, str], float]

WIDTH = 7.2  # inches
FONT = "DejaVu Sans"  # comes with matplotlib, so that every machine draws the same letters
# Blue, vermilion, green, purple and black of Okabe and Ito's palette.
TEST, TRAIN, VALIDATION, OTHER, NETWORK = "#0072B2", "#D55E00", "#009E73", "#AA4499", "#000000"
OTHERS = "#B8CFE0"  # bars beside the one in question
DIGITS = 6  # of positions, fractions of the figure: a thousandth of a pixel


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
    if engine := figure.get_layout_engine():
        engine.execute(figure)
        figure.set_layout_engine(None)  # with any engine, each writing would draw the figure twice
    figure.savefig(path, format=form, metadata=metadata)


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


def legend_above(axes: Axes, handles: Sequence[Artist]) -> None:
    """Write a legend over its axes, where several axes of a figure have their own."""
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)


def say_why_empty(axes: Axes, why: str) -> None:
    """Write across empty axes why they are empty."""
    axes.text(0.5, 0.5, why, ha="center", va="center", transform=axes.transAxes)
    axes.set_yticks([])


def say_if_unknown(axes: Axes, values: pd.DataFrame | pd.Series) -> None:
    """Write across the axes that there is nothing to draw, if all values are unknown."""
    if values.isna().all(axis=None):
        say_why_empty(axes, "no such number")


def _enlargement(points: float) -> float:
    return max(1, points / 9)


def drawable(text: str) -> bool:
    """Whether the font has all letters of a text."""
    font = get_font(findfont(FONT))
    return all(font.get_char_index(ord(character)) for character in text)


def _replace_undrawable(text: str) -> str:
    return "".join(character if drawable(character) else "?" for character in text)
