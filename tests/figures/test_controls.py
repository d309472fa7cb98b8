"""Nulls and robustness."""

import numpy as np
import pandas as pd

from singlefilter.figures.controls import nulls, thresholds
from tests.figures.tables import HEADING, Tables, legend, texts


def null_rows() -> pd.DataFrame:
    rows = [
        (layer, null, statistic, layer + number, 10 + layer, 0.5, -12.34 if null == "ones" else np.nan)
        for layer in (2, 13)
        for null in ("ones", "columns", "labels")
        for number, statistic in enumerate(("noise", "clusters", "cluster_size"))
    ]
    return pd.DataFrame(rows, columns=["layer", "null", "statistic", "measured", "null_mean", "null_std", "z"])


def test_nulls_stand_beside_the_measured_with_their_deviations():
    figure = nulls(null_rows(), 0.3, HEADING)
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


def test_nulls_have_their_z_written_and_a_dash_where_there_is_none():
    for axes in nulls(null_rows(), 0.3, HEADING).axes:
        written = texts(axes)
        assert written == ["z, ones", "−12.3", "−12.3", "z, columns", "n/a", "n/a", "z, labels", "n/a", "n/a"]


def test_large_z_are_whole_numbers():
    table = null_rows().assign(z=[1234.5, -99.96, 0.04] * 6)
    written = {text.get_text() for axes in nulls(table, 0.3, HEADING).axes for text in axes.texts}
    assert {"+1234", "−100.0", "+0.0"} <= written


def test_nulls_of_many_layers_are_named_by_number_alone():
    for layers, name in (((2, 13), "layer 2"), (tuple(range(2, 14)), "2")):
        axes = nulls(Tables(layers=layers).nulls, 0.3, HEADING).axes[0]
        assert axes.get_xticklabels()[0].get_text() == name


def test_nulls_of_silent_layers_leave_a_gap_or_say_so():
    axes = nulls(Tables(layers=(2, 13), silent=(2,)).nulls, 0.3, HEADING).axes[0]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [np.nan, 1.5])
    axes = nulls(Tables(layers=(2, 13), silent=(2, 13)).nulls, 0.3, HEADING).axes[0]
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
    figure = thresholds(threshold_rows(), HEADING)
    for number, axes in enumerate(figure.axes):
        first, last = axes.containers
        np.testing.assert_allclose(first.lines[0].get_xydata(), [[0.3, 2 + number], [0.6, 2 + number]])
        np.testing.assert_allclose(last.lines[0].get_ydata(orig=False), 13 + number)
        np.testing.assert_allclose(first.lines[2][0].get_segments()[0][:, 1], [1.9 + number, 2.1 + number])
        assert first.lines[0].get_marker() != last.lines[0].get_marker()
        (train, _) = [line for line in axes.lines if line.get_linestyle() == "--"]
        np.testing.assert_allclose(train.get_ydata(), 202 + number)
        reverse = [line for line in axes.lines if line.get_linestyle() == "None" and line.get_fillstyle() == "none"]
        np.testing.assert_allclose(reverse[0].get_ydata(), 102 + number)
        assert axes.get_ylim()[0] == 0
    assert legend(figure) == ["layer 2", "layer 13", "test set", "training set", "test set, reversed walk"]
    assert "bars" in figure.get_suptitle()


def test_thresholds_of_one_sample_have_no_bars():
    figure = thresholds(threshold_rows(np.nan), HEADING)
    assert not any(container.has_yerr for axes in figure.axes for container in axes.containers)
    assert "bars" not in figure.get_suptitle()


def test_thresholds_of_many_layers_are_those_of_seven():
    entries = legend(thresholds(Tables(layers=tuple(range(1, 14))).thresholds, HEADING))
    assert entries[:7] == [f"layer {layer}" for layer in (1, 3, 5, 7, 9, 11, 13)]
