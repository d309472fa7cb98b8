"""Success rates of the layers and of the whole network, and the network's training (Figs. 2 and 7B)."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from singlefilter.figures.axes import (
    PAPER_NAME,
    draw_curve,
    draw_paper_line,
    label_epochs,
    label_layers,
    label_success_rates,
    log_axis,
    mark_paper,
)
from singlefilter.figures.numbers import mean_last_accuracy, mean_text
from singlefilter.figures.style import (
    NETWORK,
    OTHER,
    OTHERS,
    TEST,
    TRAIN,
    VALIDATION,
    Paper,
    bars_text,
    enlarged,
    legend_below,
    new_figure,
    say_why_empty,
    title,
)

# column of a history -> colour, line, its width and name
_ACCURACIES = {
    "test_accuracy": (TEST, "-", 1, "test set"),  # first: the others have gaps, so that it is seen under them
    "train_accuracy": (TRAIN, "--", 1, "training set"),
    "validation_accuracy": (VALIDATION, ":", 1, "validation set"),
    "test_accuracy_without_bias": (OTHER, "-.", 1, "test set, output biases removed"),
}
_RATES = {
    "learning_rate_convolutional": (OTHERS, "-", 3, "rate, convolutional"),
    "learning_rate_fully_connected": (OTHER, "--", 1, "rate, fully connected"),
}


def plot_success_rates(layers: pd.DataFrame, history: pd.DataFrame, paper: Paper, heading: str) -> Figure:
    """Draw the success rate of the head on each examined layer beside the whole network's (Figs. 2 and 7B).

    Args:
        layers: layers.csv; one row per layer.
        history: The samples' training histories, with a column `seed`.
        paper: What the paper gives.
        heading: What the run is.
    """
    figure = new_figure(3.8)
    title(
        figure,
        "Success rates of the heads",
        heading,
        "A head is a linear layer, trained on the outputs of one layer of the frozen network.",
        "The training set is measured on plain images.",
        bars_text(layers["samples"].max()),
    )
    axes = figure.subplots()
    curves = [draw_curve(axes, layers, "accuracy", color=TEST, marker="o", label="test set")]
    look = {"color": TRAIN, "marker": "s", "fillstyle": "none", "markersize": 7 * enlarged(), "linestyle": "-."}
    curves.append(draw_curve(axes, layers, "train_accuracy", **look, label="training set"))
    if layers["validation_accuracy_mean"].notna().any():
        look = {"color": VALIDATION, "marker": "^", "fillstyle": "none", "markersize": 9 * enlarged(), "linestyle": ":"}
        curves.append(draw_curve(axes, layers, "validation_accuracy", **look, label="validation set"))
    accuracy, deviation = mean_last_accuracy(history)
    network = axes.axhline(accuracy, color=NETWORK, linestyle="--")
    network.set_label(f"whole network, test set: {mean_text(accuracy, deviation, 3)}")
    marks = mark_paper(axes, layers["layer"], paper, "accuracy", label=f"{PAPER_NAME}, test set")
    look = {"marker": "+", "color": TRAIN, "label": f"{PAPER_NAME}, training set"}
    marks += mark_paper(axes, layers["layer"], paper, "train_accuracy", **look)
    line = draw_paper_line(axes, paper.get((None, "accuracy")))
    for entry in line:
        entry.set_label(f"{PAPER_NAME}, whole network: {paper[None, 'accuracy']:g}")
    label_success_rates(axes)
    label_layers(axes, layers["layer"])
    legend_below(figure, [*curves, network, *marks, *line])
    return figure


def plot_training(history: pd.DataFrame, heading: str) -> Figure:
    """Draw loss, accuracies and learning rates of every sample's backbone over the epochs.

    Args:
        history: The samples' training histories, with a column `seed`; epoch 0 is before any training.
        heading: What the run is.
    """
    figure = new_figure(3.4)
    title(
        figure,
        "Training of the network",
        heading,
        "A line for each sample; epoch 0 is before training.",
        "Loss and success rate of the training set are over augmented images, while the weights change.",
    )
    left, middle, right = figure.subplots(1, 3)
    _draw_histories(left, history, {"loss": (TRAIN, "--", 1, "training set")})
    left.set_ylabel("loss (cross-entropy, nats)")
    accuracies = _draw_histories(middle, history, _ACCURACIES)
    middle.set_ylim(bottom=0)
    label_success_rates(middle)
    rates = _draw_histories(right, history, _RATES)
    right.set_ylabel("learning rate")
    if (history[[*_RATES]] > 0).any(axis=None):
        log_axis(right)
    for axes in (left, middle, right):
        label_epochs(axes, history["epoch"].max())
        axes.grid(True)
    legend_below(figure, [*accuracies, *rates])
    return figure


def _draw_histories(axes: Axes, history: pd.DataFrame, columns: dict[str, tuple[str, str, float, str]]) -> list:
    """Draw columns of every sample's history; give an entry for the legend for each that holds anything."""
    marker = "." if history["epoch"].max() <= 30 else ""
    entries = []
    for column, (color, linestyle, width, name) in columns.items():
        if column not in history or history[column].isna().all():
            continue
        for _, sample in history.groupby("seed"):
            look = {"color": color, "linestyle": linestyle, "marker": marker, "linewidth": width, "alpha": 0.8}
            (line,) = axes.plot(sample["epoch"], sample[column], label=name, **look)
        entries.append(line)
    if not entries:
        say_why_empty(axes, "no training")
    return entries
