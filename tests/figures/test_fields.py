"""Fields below the threshold, and signal to noise."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from singlefilter.figures.fields import plot_field_histograms, plot_signal_to_noise
from singlefilter.figures.style import TEST
from tests.figures.tables import HEADING, Tables, legend, rendered, ticks


def histograms(below: int = 0) -> pd.DataFrame:
    """Three bins and the one below them, of the rows of cluster labels and of the others; of layer 2, none."""
    rows = []
    for layer in (2, 13):
        for kind, counts in (("cluster", (below, 0, 3, 1)), ("other", (0, 0, 0, 8))):
            for low, high, count in zip((np.nan, -1, -0.98, 0.28), (-1, -0.98, 0.28, 0.3), counts, strict=True):
                rows.append((layer, kind, low, high, count * (layer == 13), count / 10 if layer == 13 else np.nan))
    return pd.DataFrame(rows, columns=["layer", "rows", "low", "high", "count", "share"])


def layers(samples: int = 1) -> pd.DataFrame:
    return Tables(layers=(2, 13), samples=samples).layers_table


def test_histograms_are_the_last_layers_with_its_means():
    cluster, other = plot_field_histograms(histograms(), layers(), 0.3, HEADING).axes
    assert [(bar.get_x(), bar.get_height()) for bar in cluster.patches[:3]] == [(-1, 0), (-0.98, 0.3), (0.28, 0.1)]
    np.testing.assert_allclose([bar.get_width() for bar in cluster.patches[:3]], [0.02, 1.26, 0.02])
    assert [bar.get_height() for bar in other.patches[:3]] == [0, 0, 0.8]
    assert cluster.get_title() == "input labels in the filter's clusters:\nmean −0.150"
    assert other.get_title() == "the other input labels:\nmean −0.006"
    for axes, mean in ((cluster, -0.15), (other, -0.006)):
        (line,) = axes.lines
        np.testing.assert_allclose(line.get_xdata(), mean)
    assert legend(cluster.figure) == ["mean"]
    assert "layer 13" in cluster.figure.get_suptitle()


def test_fields_below_minus_one_are_a_bar_apart_that_is_named():
    cluster, other = plot_field_histograms(histograms(below=2), layers(), 0.3, HEADING).axes
    below = cluster.patches[-1]
    assert below.get_height() == 0.2 and below.get_x() + below.get_width() < -1 and below.get_hatch()
    assert ticks(other.xaxis)[0] == "< −1"
    assert other.get_xlim()[0] < below.get_x()


def test_histograms_show_no_more_than_is_filled():
    cluster, _ = plot_field_histograms(histograms(), layers(), 0.3, HEADING).axes
    assert cluster.get_xlim() == pytest.approx((-0.1, 0.32))


def test_histograms_of_nothing_say_so():
    tables = Tables(layers=(2, 13), silent=(13,))
    figure = plot_field_histograms(tables.histograms, tables.layers_table, 0.3, HEADING)
    assert [axes.texts[0].get_text() for axes in figure.axes] == ["no such field"] * 2
    assert [axes.get_title().split("\n")[1] for axes in figure.axes] == ["mean n/a"] * 2
    assert figure.legends == []
    rendered(figure)


def test_the_means_lie_in_both_panels_or_in_the_one_that_has_one():
    tables = Tables(layers=(2, 13), clusterless=(13,), samples=1)
    figure = plot_field_histograms(tables.histograms, tables.layers_table, 0.3, HEADING)
    assert [len(axes.lines) for axes in figure.axes] == [0, 1]
    assert legend(figure) == ["mean"]


def test_signal_to_noise_shows_the_counted_and_the_measured_of_every_layer():
    ratios, measured, counted, _ = plot_signal_to_noise(layers(2), np.eye(10), list("abcdefghij"), {}, HEADING).axes
    drawn = [curve.lines[0].get_xydata().tolist() for curve in ratios.containers]
    np.testing.assert_allclose(drawn, [[[2, 5.5], [13, 4.8]], [[2, 1.2], [13, 3.7]], [[2, 0.8], [13, 3.1]]])
    drawn = [curve.lines[0].get_ydata().tolist() for axes in (measured, counted) for curve in axes.containers]
    np.testing.assert_allclose(drawn, [[15, 90], [20, 29], [-2, -10], [-8, -80], [22, 147], [4, 31], [14, 8.5]])
    assert legend(ratios) == ["counted: S / I", "counted: S / (I + E)", "measured: own output / rms of others"]
    assert [text.split(":")[0] for text in legend(measured)] == ["signal", "first noise", "first noise", "second noise"]
    assert [text.split(",")[0] for text in legend(counted)] == ["S", "I", "E"]
    for axes in (ratios, measured, counted):
        looks = {(found.lines[0].get_color(), found.lines[0].get_marker()) for found in axes.containers}
        assert len(looks) == len(axes.containers)


def test_the_papers_counted_ratio_is_marked_and_no_other():
    paper = {(13, "snr"): 5, (13, "snr_counted"): 4.8, (7, "snr_counted"): 3}
    ratios = plot_signal_to_noise(layers(), np.eye(10), list("abcdefghij"), paper, HEADING).axes[0]
    marks = [line.get_xydata().tolist() for line in ratios.lines if line.get_marker() == "x"]
    assert marks == [[[13, 4.8]]]
    assert legend(ratios)[3:] == ["paper (CIFAR-10), counted: 4.8"]


def test_one_input_label_is_shown_whose_own_field_is_closest_to_the_median():
    # Own fields 10, 30, 20: median 20, so label 2. Its others: 3 and -4, root mean square √12.5.
    totals = np.array([[10.0, 0, 0], [0, 30, 0], [3, -4, 20]])
    axes = plot_signal_to_noise(layers(), totals, ["a", "b", "nan"], {}, HEADING).axes[3]
    assert [bar.get_height() for bar in axes.patches] == [3, -4, 20]
    own = axes.patches[2]
    assert (own.get_height(), own.get_x() + own.get_width() / 2, to_hex(own.get_facecolor())) == (20, 2, TEST.lower())
    (noise,) = [line for line in axes.lines if line.get_linestyle() == "--"]
    np.testing.assert_allclose(noise.get_ydata(), 12.5**0.5)
    assert legend(axes)[0] == "layer 13, first sample,\ninput label nan"
    assert ticks(axes.xaxis) == ["a", "b", "nan"]


def test_of_many_outputs_the_largest_fields_are_shown_and_the_mean_of_the_others():
    totals = np.diag(np.full(30, 50.0)) - np.diag(np.ones(30))
    totals[0, 1:] = [9.0] * 19 + [-2.0] * 10
    axes = plot_signal_to_noise(layers(), totals, [f"class {label}" for label in range(30)], {}, HEADING).axes[3]
    assert [bar.get_height() for bar in axes.patches] == [49.0] + [9.0] * 19 + [-2.0]
    assert ticks(axes.xaxis) == [*(f"class {label}" for label in range(20)), "others"]
    (noise,) = [line for line in axes.lines if line.get_linestyle() == "--"]
    np.testing.assert_allclose(noise.get_ydata(), ((19 * 81 + 10 * 4) / 29) ** 0.5)  # of all others


def test_labels_without_images_are_not_the_one_shown():
    totals = np.array([[np.nan] * 3, [0, 30, 1], [3, -4, 20]])
    axes = plot_signal_to_noise(layers(), totals, ["a", "b", "c"], {}, HEADING).axes[3]
    assert legend(axes)[0].endswith("input label b")


def test_a_layer_of_silent_filters_has_no_input_label():
    axes = plot_signal_to_noise(layers(), np.full((3, 3), np.nan), ["a", "b", "c"], {}, HEADING).axes[3]
    assert axes.texts[0].get_text() == "all filters are silent"


def test_ratios_are_on_a_logarithmic_axis_unless_one_is_not_positive():
    table = layers()
    ratios, sums, *_ = plot_signal_to_noise(table, np.eye(10), list("abcdefghij"), {}, HEADING).axes
    assert (ratios.get_yscale(), sums.get_yscale()) == ("log", "linear")
    table["snr_rms_mean"] = [-1.15, 2]
    table["signal_mean"] = [-30, 50]
    ratios, sums, *_ = plot_signal_to_noise(table, np.eye(10), list("abcdefghij"), {}, HEADING).axes
    assert ratios.get_yscale() == "linear"
    assert ratios.get_ylim()[0] < -1.15 and sums.get_ylim()[0] < -30
