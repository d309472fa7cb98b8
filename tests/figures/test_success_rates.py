"""Success rates and training curves."""

import numpy as np
import pandas as pd
import pytest

from singlefilter.figures.success_rates import plot_success_rates, plot_training
from tests.figures.tables import HEADING, Tables, legend, rendered


@pytest.fixture
def layers() -> pd.DataFrame:
    columns = {"layer": [2, 4, 7], "samples": 2, "accuracy_mean": [0.5, 0.6, 0.7], "accuracy_std": 0.01}
    columns |= {"train_accuracy_mean": [0.8, 0.9, 1.0], "train_accuracy_std": 0.02}
    return pd.DataFrame(columns | {"validation_accuracy_mean": np.nan, "validation_accuracy_std": np.nan})


@pytest.fixture
def history() -> pd.DataFrame:
    """Two samples, whose last epochs have 0.6 and 0.7; an earlier one has more."""
    rows = [(0, 0, 0.1), (0, 1, 0.99), (0, 2, 0.6), (1, 0, 0.1), (1, 1, 0.2), (1, 2, 0.7)]
    return pd.DataFrame(rows, columns=["seed", "epoch", "test_accuracy"])


def test_success_rates_show_both_sets_and_the_networks_last_accuracy(layers, history):
    (axes,) = plot_success_rates(layers, history, {}, HEADING).axes
    test, train = axes.containers
    np.testing.assert_allclose(test.lines[0].get_xydata(), [[2, 0.5], [4, 0.6], [7, 0.7]])
    np.testing.assert_allclose(train.lines[0].get_xydata(), [[2, 0.8], [4, 0.9], [7, 1.0]])
    np.testing.assert_allclose(test.lines[2][0].get_segments()[1], [[4, 0.59], [4, 0.61]])
    (network,) = [line for line in axes.lines if line.get_linestyle() == "--"]
    np.testing.assert_allclose(network.get_ydata(), 0.65)
    assert legend(axes.figure) == ["test set", "training set", "whole network, test set: 0.650 ± 0.071"]
    assert axes.get_xticks().tolist() == [2, 4, 7]
    assert train.lines[0].get_markersize() > test.lines[0].get_markersize() + 2  # seen where both agree
    # Lowest is 0.49, the first layer's bar, and the highest 1.02; matplotlib leaves a twentieth below: 0.4635.
    name, start = axes.get_ylabel().rsplit(maxsplit=1)
    assert name == "success rate (fraction)\naxis starts at" and float(start) == pytest.approx(0.4635, abs=0.001)
    assert "Bars: standard deviation" in axes.figure.get_label()


def test_success_rates_show_the_validation_set_if_there_is_one(layers, history):
    layers = layers.assign(validation_accuracy_mean=[0.3, 0.4, 0.45], validation_accuracy_std=0.02)
    figure = plot_success_rates(layers, history, {}, HEADING)
    curves = figure.axes[0].containers
    np.testing.assert_allclose(curves[2].lines[0].get_xydata(), [[2, 0.3], [4, 0.4], [7, 0.45]])
    np.testing.assert_allclose(curves[2].lines[2][0].get_segments()[1], [[4, 0.38], [4, 0.42]])
    assert len({curve.lines[0].get_color() for curve in curves}) == 3
    assert len({curve.lines[0].get_marker() for curve in curves}) == 3
    assert "validation set" in legend(figure)


def test_one_sample_has_no_bars_and_no_deviation(layers, history):
    layers = layers.assign(samples=1, accuracy_std=np.nan, train_accuracy_std=np.nan)
    figure = plot_success_rates(layers, history[history["seed"] == 0], {}, HEADING)
    assert not any(container.has_yerr for container in figure.axes[0].containers)
    assert "whole network, test set: 0.600" in legend(figure)
    assert "Bars" not in figure.get_label()


def test_success_rates_show_the_papers_beside(layers, history):
    paper = {(None, "accuracy"): 0.94, (7, "train_accuracy"): 0.999, (7, "accuracy"): 0.93, (13, "accuracy"): 0.94}
    figure = plot_success_rates(layers, history, paper, HEADING)
    marks = {line.get_marker(): line.get_xydata().tolist() for line in figure.axes[0].lines}
    assert (marks["x"], marks["+"]) == ([[7, 0.93]], [[7, 0.999]])
    entries = ["paper (CIFAR-10), test set", "paper (CIFAR-10), training set"]
    assert legend(figure)[-3:] == [*entries, "paper (CIFAR-10), whole network: 0.94"]


def test_training_has_a_curve_for_each_sample_and_one_entry_for_all():
    figure = plot_training(Tables(samples=3, epochs=4).history, HEADING)
    loss, accuracies, rates = figure.axes
    assert (len(loss.lines), len(accuracies.lines), len(rates.lines)) == (3, 6, 6)
    # The first sample's: 2 / (epoch + 1); nothing before training.
    np.testing.assert_allclose(loss.lines[0].get_ydata(), [np.nan, 1, 2 / 3, 0.5, 0.4])
    assert legend(figure) == ["test set", "training set", "rate, convolutional", "rate, fully connected"]
    assert accuracies.get_ylim()[0] == 0 and accuracies.get_ylabel() == "success rate (fraction)"
    assert rates.get_yscale() == "log"
    below, above = rates.lines[0], rates.lines[-1]  # seen where both agree
    assert below.get_linewidth() > 2 * above.get_linewidth() and above.get_linestyle() == "--"
    np.testing.assert_allclose(rates.lines[0].get_ydata(), [np.nan, 0.028, 0.028, 0.028, 0.0168])
    rendered(figure)
    assert "0.01" in [text.get_text() for text in rates.get_yticklabels()]  # no formula


def test_training_shows_validation_and_removed_biases_if_there_are_any():
    history = Tables(samples=1, validation=True).history.assign(test_accuracy_without_bias=0.5)
    entries = legend(plot_training(history, HEADING))
    assert entries[:4] == ["test set", "training set", "validation set", "test set, output biases removed"]


def test_training_takes_a_history_without_these_columns():
    history = Tables(samples=1).history.drop(columns=["validation_accuracy", "test_accuracy_without_bias"])
    assert legend(plot_training(history, HEADING))[:2] == ["test set", "training set"]


def test_a_network_without_training_has_its_first_accuracy_alone():
    figure = plot_training(Tables(samples=2, epochs=0).history, HEADING)
    loss, accuracies, rates = figure.axes
    assert [axes.texts[0].get_text() for axes in (loss, rates)] == ["no training"] * 2
    assert accuracies.lines[0].get_xydata().tolist() == [[0, pytest.approx(0.1)]]
    assert legend(figure) == ["test set"]


def test_rates_that_are_all_zero_need_no_logarithm():
    history = Tables(samples=1).history
    names = ["learning_rate_convolutional", "learning_rate_fully_connected"]
    history[names] = history[names] * 0
    figure = plot_training(history, HEADING)
    assert figure.axes[2].get_yscale() == "linear"
    rendered(figure)
