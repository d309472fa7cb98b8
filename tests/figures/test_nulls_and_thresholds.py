"""Nulls and robustness."""

import numpy as np
import pandas as pd

from singlefilter.figures.nulls_and_thresholds import plot_nulls, plot_thresholds
from tests.figures.tables import HEADING, Tables, legend, texts, ticks


def null_rows() -> pd.DataFrame:
    rows = [
        (layer, null, statistic, layer + number, 10 + layer, 0.5, -12.34 if null == "ones" else np.nan)
        for layer in (2, 13)
        for null in ("ones", "columns", "labels")
        for number, statistic in enumerate(("noise", "clusters", "cluster_size"))
    ]
    return pd.DataFrame(rows, columns=["layer", "null", "statistic", "measured", "null_mean", "null_std", "z"])


def test_nulls_stand_beside_the_measured_with_their_deviations():
    figure = plot_nulls(null_rows(), 0.3, HEADING)
    for number, axes in enumerate(figure.axes):
        measured = axes.lines[0]
        np.testing.assert_allclose(measured.get_ydata(), [2 + number, 13 + number])
        assert len(axes.containers) == 3
        for container in axes.containers:
            np.testing.assert_allclose(container.lines[0].get_ydata(orig=False), [12, 23])
            np.testing.assert_allclose(container.lines[2][0].get_segments()[0][:, 1], [11.5, 12.5])
        places = [measured.get_xdata(), *(container.lines[0].get_xdata(orig=False) for container in axes.containers)]
        assert len({round(place[0], 6) for place in places}) == 4  # none hides another
    assert len({container.lines[0].get_marker() for container in figure.axes[0].containers}) == 3
    assert legend(figure)[0] == "measured" and len(legend(figure)) == 4


def test_nulls_are_named_in_words_and_their_z_is_left_to_the_table():
    figure = plot_nulls(null_rows(), 0.3, HEADING)
    assert [texts(axes) for axes in figure.axes] == [[]] * 3
    assert legend(figure) == [
        "measured",
        "as many fields above threshold, at random places",
        "those of each column, shuffled within it",
        "input labels permuted against the outputs",
    ]
    assert figure.axes[0].get_ylabel() == "noise (fields above\nthreshold outside of\nclusters, per filter)"
    assert ticks(figure.axes[2].xaxis) == ["2", "13"] and figure.axes[2].get_xlabel() == "layer"
    assert "clipped at 0.3" in figure.get_label()


def test_nulls_of_silent_layers_leave_a_gap_or_say_so():
    axes = plot_nulls(Tables(layers=(2, 13), silent=(2,)).nulls, 0.3, HEADING).axes[0]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [np.nan, 1.5])
    axes = plot_nulls(Tables(layers=(2, 13), silent=(2, 13)).nulls, 0.3, HEADING).axes[0]
    assert axes.texts[-1].get_text() == "no such number"


def threshold_rows(deviation: float = 0.1) -> pd.DataFrame:
    kinds = {("test", "forward"): 0, ("test", "reversed"): 100, ("train", "forward"): 200}
    rows = [
        (layer, split, walk, threshold, *np.ravel([(start + layer + number, deviation) for number in range(3)]))
        for layer in (2, 13)
        for (split, walk), start in kinds.items()
        for threshold in (0.6, 0.3)
    ]
    names = [f"{name}_{kind}" for name in ("noise", "clusters", "cluster_size") for kind in ("mean", "std")]
    return pd.DataFrame(rows, columns=["layer", "split", "walk", "threshold", *names])


def test_thresholds_show_the_three_kinds_of_every_layer():
    figure = plot_thresholds(threshold_rows(), HEADING)
    for number, axes in enumerate(figure.axes):
        first, last = axes.containers
        np.testing.assert_allclose(first.lines[0].get_xydata(), [[0.3, 2 + number], [0.6, 2 + number]])
        np.testing.assert_allclose(last.lines[0].get_ydata(orig=False), 13 + number)
        np.testing.assert_allclose(first.lines[2][0].get_segments()[0][:, 1], [1.9 + number, 2.1 + number])
        assert first.lines[0].get_marker() != last.lines[0].get_marker()
        size = first.lines[0].get_markersize()
        for marker, expected in (("x", 202 + number), ("o", 102 + number)):
            marks = [line for line in axes.lines if line.get_fillstyle() == "none" and line.get_marker() == marker]
            np.testing.assert_allclose([line.get_ydata() for line in marks], [[expected] * 2, [expected + 11] * 2])
            assert {line.get_linestyle() for line in marks} == {"None"}
            assert all(line.get_markersize() > size + 2 for line in marks)  # seen around a point that they agree with
        assert axes.get_ylim()[0] == 0
    assert legend(figure) == ["layer 2", "layer 13", "test set", "training set", "test set, reversed walk"]
    assert "Bars" in figure.get_label()


def test_thresholds_of_one_sample_have_no_bars():
    figure = plot_thresholds(threshold_rows(np.nan), HEADING)
    assert not any(container.has_yerr for axes in figure.axes for container in axes.containers)
    assert "Bars" not in figure.get_label()


def test_thresholds_of_many_layers_are_those_of_seven():
    figure = plot_thresholds(Tables(layers=tuple(range(1, 14))).thresholds, HEADING)
    assert legend(figure)[:7] == [f"layer {layer}" for layer in (1, 3, 5, 7, 9, 11, 13)]
    assert figure.get_label().endswith("Shown are 7 of the 13 examined layers.")
