"""Success rates of the layers and of the whole network, and the network's training (Figs. 2 and 7B)."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from singlefilter.figures.style import (
    NETWORK,
    OTHER,
    PAPER_NAME,
    TEST,
    TRAIN,
    VALIDATION,
    Paper,
    draw_curve,
    draw_paper_line,
    label_epochs,
    label_layers,
    legend_below,
    log_axis,
    mark_paper,
    mean_text,
    network_accuracy,
    new_figure,
    say_nothing,
    title,
    with_bars,
)

# column of a history -> colour, line and name
_ACCURACIES = {
    "train_accuracy": (TRAIN, "--", "training set"),
    "test_accuracy": (TEST, "-", "test set"),
    "validation_accuracy": (VALIDATION, ":", "validation set"),
    "test_accuracy_without_bias": (OTHER, "-.", "test set, output biases removed"),
}
_RATES = {
    "learning_rate_convolutional": (NETWORK, "-", "rate, convolutional"),
    "learning_rate_fully_connected": (OTHER, ":", "rate, fully connected"),
}


def success_rates(layers: pd.DataFrame, history: pd.DataFrame, paper: Paper, heading: str) -> Figure:
    """Draw the success rate of the head on each examined layer beside the whole network's (Figs. 2 and 7B).

    Args:
        layers: layers.csv; a row a layer.
        history: The samples' training histories, with a column `seed`.
        paper: What the paper gives.
        heading: What the run is.
    """
    figure = new_figure(3.8)
    title(figure, "Success rate of the head on each layer", with_bars(heading, layers["samples"].max()))
    axes = figure.subplots()
    train = draw_curve(axes, layers, "train_accuracy", color=TRAIN, marker="s", fillstyle="none", label="training set")
    curves = [draw_curve(axes, layers, "accuracy", color=TEST, marker="o", zorder=3, label="test set"), train]
    if layers["validation_accuracy_mean"].notna().any():
        look = {"color": VALIDATION, "marker": "^", "fillstyle": "none", "linestyle": ":"}
        curves.append(draw_curve(axes, layers, "validation_accuracy", **look, label="validation set"))
    accuracy, deviation = network_accuracy(history)
    network = axes.axhline(accuracy, color=NETWORK, linestyle="--")
    network.set_label(f"whole network, test set: {mean_text(accuracy, deviation, 3)}")
    marks = mark_paper(axes, layers["layer"], paper, "accuracy", label=f"{PAPER_NAME}, test set")
    look = {"marker": "+", "color": TRAIN, "label": f"{PAPER_NAME}, training set"}
    marks += mark_paper(axes, layers["layer"], paper, "train_accuracy", **look)
    line = draw_paper_line(axes, paper.get((None, "accuracy")))
    for entry in line:
        entry.set_label(f"{PAPER_NAME}, whole network: {paper[None, 'accuracy']:g}")
    axes.set_ylabel("success rate (fraction)")
    label_layers(axes, layers["layer"])
    legend_below(figure, [*curves, network, *marks, *line])
    return figure


def training(history: pd.DataFrame, heading: str) -> Figure:
    """Draw loss, accuracies and learning rates of every sample's backbone over the epochs.

    Args:
        history: The samples' training histories, with a column `seed`; epoch 0 is before any training.
        heading: What the run is.
    """
    figure = new_figure(3.4)
    lines = " (a line for each sample)" if history["seed"].nunique() > 1 else ""
    title(figure, f"Training of the network{lines}", heading)
    left, middle, right = figure.subplots(1, 3)
    _draw_histories(left, history, {"loss": (TRAIN, "--", "training set")})
    left.set_ylabel("loss (cross-entropy, nats)")
    accuracies = _draw_histories(middle, history, _ACCURACIES)
    middle.set_ylabel("success rate (fraction)")
    rates = _draw_histories(right, history, _RATES)
    right.set_ylabel("learning rate")
    if (history[[*_RATES]] > 0).any(axis=None):
        log_axis(right)
    for axes in (left, middle, right):
        label_epochs(axes, history["epoch"].max())
        axes.grid(True)
    legend_below(figure, [*accuracies, *rates])
    return figure


def _draw_histories(axes: Axes, history: pd.DataFrame, columns: dict[str, tuple[str, str, str]]) -> list:
    """Draw columns of every sample's history; give an entry for the legend for each that holds anything."""
    marker = "." if history["epoch"].max() <= 30 else ""
    entries = []
    for column, (color, linestyle, name) in columns.items():
        if column not in history or history[column].isna().all():
            continue
        for _, sample in history.groupby("seed"):
            look = {"color": color, "linestyle": linestyle, "marker": marker, "linewidth": 1, "alpha": 0.8}
            (line,) = axes.plot(sample["epoch"], sample[column], label=name, **look)
        entries.append(line)
    if not entries:
        say_nothing(axes, "no training")
    return entries
