"""What is wrong with a figure: texts that overlap or are cut off, legends over its data, "nan" as a text."""

import re
from collections.abc import Iterator
from unittest.mock import patch

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text

NO_NUMBER = re.compile(r"\b(nan|inf)\b", re.IGNORECASE)


def flaws(figure: Figure) -> Iterator[str]:
    """Say in words what is wrong with a figure's layout; nothing if it is as it should be."""
    texts = drawn_texts(figure)
    yield from (f"{first!r} lies over {second!r}" for first, second in overlaps(texts))
    yield from ("a legend lies over the data" for axes in figure.axes if legend_over(axes, figure))
    yield from (f"says {text!r}" for text, _ in texts if NO_NUMBER.search(text))
    content, whole = figure.get_tightbbox(), figure.bbox_inches
    if min(content.x0, content.y0) < 0 or content.x1 > whole.x1 or content.y1 > whole.y1:
        yield "is cut off"


def drawn_texts(figure: Figure) -> list[tuple[str, np.ndarray]]:
    """The texts that are drawn and their corners, in pixels."""
    found = []
    draw = Text.draw

    def record(self, renderer):
        if self.get_visible() and self.get_text().strip():
            found.append((self.get_text(), self.get_window_extent(renderer).get_points()))
        draw(self, renderer)

    figure.draw_without_rendering()  # lays the figure out
    figure.set_layout_engine("none")
    with patch.object(Text, "draw", record):
        figure.draw_without_rendering()
    return found


def overlaps(texts: list[tuple[str, np.ndarray]]) -> list[tuple[str, str]]:
    """The pairs of texts that share more than a pixel's breadth."""
    corners = np.array([points for _, points in texts])  # (texts, 2, 2)
    low, high = corners[:, 0], corners[:, 1]
    shared = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)  # (texts, texts, 2)
    first, second = np.nonzero(np.triu((shared > 1).all(axis=2), k=1))
    return [(texts[a][0], texts[b][0]) for a, b in zip(first, second, strict=True)]


def legend_over(axes: Axes, figure: Figure) -> bool:
    """Whether a legend lies over the axes, where the data are."""
    inside = axes.get_window_extent().padded(-2)
    return any(inside.overlaps(found.get_window_extent()) for found in figure.findobj(Legend))
