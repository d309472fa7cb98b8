"""The labels in figures: what they are called, and which are drawn where they are many."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from singlefilter.figures.style import drawable, font_size

NAMED_LABELS = 12  # up to so many labels, axes bear the classes' names, however long they are
SHOWN_LABELS = 20  # of more, those that matter most are drawn, and all others together
OTHER_LABELS = "others"
LONGEST_NAME = 14  # characters of a class name on an axis


def label_axis(axes: Axes, which: str, texts: Sequence[str]) -> None:
    """Write the labels at an axis, smaller where they are many."""
    many = len(texts) > NAMED_LABELS
    upright = which == "x" and (many or max(map(len, texts)) > 3)
    axes.set(**{f"{which}ticks": range(len(texts)), f"{which}ticklabels": texts})
    size = font_size() * (0.62 if many else 1) - (0 if many else 1)
    axes.tick_params(which, length=2, rotation=90 if upright else 0, labelsize=size)


def named_on_axes(class_names: Sequence[str]) -> bool:
    """Tell whether axes bear the classes' names: where they are few, or as short as numbers, which they may be."""
    labels = len(class_names)
    return labels <= NAMED_LABELS or max(map(len, drawable_names(class_names))) <= len(str(labels - 1))


def label_texts(class_names: Sequence[str], shown: Sequence[int], names: bool = False) -> list[str]:
    """What stands for each label that is drawn: its name if axes bear names, else its number.

    Args:
        class_names: K names.
        shown: The labels that are drawn; a last text stands for all others, if there are any.
        names: Whether names are written, however many the labels are.
    """
    named = names or named_on_axes(class_names)
    texts = drawable_names(class_names) if named else [*map(str, range(len(class_names)))]
    if len(shown) == len(class_names):
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
    names = [_shorten(name) if drawable(name) else f"label {label}" for label, name in enumerate(class_names)]
    return [f'"{name}"' if "," in name else name for name in names]


def numbered_names(class_names: Sequence[str]) -> list[str]:
    """The classes' names for a heading, with their numbers before them where axes bear these."""
    names = drawable_names(class_names)
    return names if named_on_axes(class_names) else [f"{label} {name}" for label, name in enumerate(names)]


def _shorten(name: str) -> str:
    """Names that are alike differ at their end as often as at their beginning: both are kept."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 6]}…{name[-5:]}"
