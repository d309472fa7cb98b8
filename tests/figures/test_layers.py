"""Statistics of the layers, as curves, tables and bars."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PolyCollection

from singlefilter.figures.layers import (
    layers_text,
    plot_cluster_sizes,
    plot_label_appearances,
    plot_layer_statistics,
    plot_layer_table,
)
from tests.figures.tables import CIFAR10, HEADING, Tables, legend, texts, ticks

PAPER = {(13, "noise"): 1.5, (7, "clusters"): 1.3, (13, "cluster_size"): 2.88, (None, "accuracy"): 0.94}


def table_rows(figure) -> list[list[str]]:
    """The texts of a table, line by line from the top, each from left to right."""
    lines: dict[float, list[tuple[float, str]]] = {}
    for text in figure.axes[0].texts:
        if text.get_text():
            x, y = text.get_position()
            lines.setdefault(y, []).append((x, text.get_text()))
    return [[text for _, text in sorted(line)] for _, line in sorted(lines.items())]


def test_layer_statistics_begin_at_zero_and_show_intervals_and_the_papers():
    # Layers 2, 7, 13: noise 20, 10.75, 1.5 ± 0.75, between 1.5 more and less; clusters 1.9, 1.45, 1.
    figure = plot_layer_statistics(Tables(layers=(2, 7, 13)).layers_table, 0.3, PAPER, HEADING)
    noise, clusters, sizes = figure.axes
    clustered, of_all = noise.containers
    np.testing.assert_allclose(of_all.lines[0].get_xydata(), [[2, 20], [7, 10.75], [13, 1.5]])
    np.testing.assert_allclose(of_all.lines[2][0].get_segments()[0], [[2, 19.25], [2, 20.75]])
    np.testing.assert_allclose(clustered.lines[0].get_ydata(orig=False), [20.5, 11.05, 1.6])
    assert of_all.lines[0].get_markersize() + 2 < clustered.lines[0].get_markersize()  # seen where both agree
    (band,) = (path for found in noise.collections if isinstance(found, PolyCollection) for path in found.get_paths())
    assert {(2, 18.5), (2, 21.5), (13, 0), (13, 3)} <= {(x, round(y, 9)) for x, y in band.vertices}
    np.testing.assert_allclose(clusters.containers[0].lines[0].get_ydata(orig=False), [1.9, 1.45, 1])
    marks = [line.get_xydata().tolist() for axes in figure.axes for line in axes.lines if line.get_marker() == "x"]
    assert marks == [[[13, 1.5]], [[7, 1.3]], [[13, 2.88]]]
    assert all(axes.get_ylim()[0] == 0 for axes in figure.axes)
    assert legend(figure)[-1] == "paper (CIFAR-10)"
    assert noise.get_ylabel() == "noise (fields above\nthreshold outside of\nclusters, per filter)"
    assert "threshold 0.3" in figure.get_label() and "Bars" in figure.get_label()


def test_layer_statistics_of_silent_filters_leave_a_gap():
    tables = Tables(layers=(2, 7), samples=1, silent=(2,))
    noise, *_ = plot_layer_statistics(tables.layers_table, 0.3, {}, HEADING).axes
    np.testing.assert_allclose(noise.containers[1].lines[0].get_ydata(orig=False), [np.nan, 1.5])
    assert not noise.containers[1].has_yerr


def test_layer_statistics_of_nothing_say_so():
    tables = Tables(layers=(2, 7), silent=(2, 7))
    for axes in plot_layer_statistics(tables.layers_table, 0.3, {}, HEADING).axes:
        assert texts(axes) == ["no such number"]
        assert ticks(axes.yaxis) == []


def test_layer_table_has_the_papers_numbers_in_grey_under_the_measured():
    tables = Tables(layers=(7, 13), samples=2)
    table = tables.layers_table
    sizes = [f"size_share_{size}" for size in range(1, 11)]
    table.loc[0, sizes] = [0.5, 0.25, 0.125, 0.05, 0.03, 0.02, 0.01, 0.01, 0.004, 0.001]
    table["silent_filters_mean"] = [0, 1 / 6]
    figure = plot_layer_table(table, tables.history, 0.3, PAPER, HEADING)
    assert table_rows(figure) == [
        ["grey: paper (CIFAR-10)", "share of each cluster size"],
        [
            *("layer", "filters", "silent", "success rate", "noise", "clusters\nper filter", "cluster size\n(labels)"),
            *("1", "2", "3", "4", "5", "6", ">6"),
        ],
        ["1.90 ± 0.05"],
        [
            *("7", "64", "0", "0.620 ± 0.010", "20.00 ± 0.75", "1.70 ± 0.06"),
            *("0.50", "0.25", "0.12", "0.05", "0.03", "0.02", "0.03"),
        ],
        ["1.3"],
        ["1.50 ± 0.75", "2.88 ± 0.06"],
        ["13", "64", "0.2", "0.940 ± 0.010", "1.00 ± 0.05", "0.06", "0.21", "0.51", "0.15", "0.05", "0.01", "0.01"],
        ["1.5", "2.88"],
        # Last epochs 0.9 and 0.902: 0.94 - 0.84 / 21, and 0.002 more.
        ["0.901 ± 0.001"],
        ["network"],
        ["0.94"],
    ]
    grey = {text.get_text() for text in figure.axes[0].texts if text.get_color() != "black"} - {""}
    assert grey == {"grey: paper (CIFAR-10)", "1.3", "1.5", "2.88", "0.94"}
    assert "±: standard deviation" in figure.get_label()


def test_layer_table_of_one_sample_and_two_labels_has_neither_deviations_nor_larger_sizes():
    tables = Tables(layers=(7, 13), samples=1, class_names=("a", "b"), silent=(7,))
    figure = plot_layer_table(tables.layers_table, tables.history, 0.3, {}, HEADING)
    rows = table_rows(figure)
    assert rows[1][-2:] == ["1", "2"]
    assert rows[2] == ["7", "64", "64", "0.620", "n/a", "n/a", "n/a", "n/a", "n/a"]
    assert not any("±" in text for text in texts(figure.axes[0]))
    assert rows[0] == ["share of each cluster size"]
    assert "threshold 0.3" in figure.get_label() and "One sample has no standard deviation." in figure.get_label()


def test_cluster_sizes_go_from_layer_to_layer_and_end_with_the_largest_size_that_is_seen():
    tables = Tables(layers=(7, 13), samples=1)
    table = tables.layers_table
    table[[f"size_share_{size}" for size in range(1, 11)]] = 0.0
    table["size_share_1"], table["size_share_2"] = [0.75, 0.25], [0.2, 0.5]
    table["size_share_5"], table["size_share_9"] = [0.05, 0.2496], [0, 0.0004]
    table["cluster_size_mean"] = [1.4, 2.5]
    first, last = plot_cluster_sizes(table, 0.3, {(13, "cluster_size"): 2.88}, HEADING).axes
    assert [bar.get_height() for bar in last.patches] == [0.25, 0.5, 0, 0, 0.2496]
    assert [bar.get_height() for bar in first.patches] == [0.75, 0.2, 0, 0, 0.05]
    assert last.get_title() == "layer 13: mean 2.50\npaper: 2.88"
    assert first.get_title() == "layer 7: mean 1.40"


def test_cluster_sizes_of_many_layers_are_those_of_six():
    figure = plot_cluster_sizes(Tables(layers=tuple(range(1, 14))).layers_table, 0.3, {}, HEADING)
    assert [axes.get_title().split(":")[0] for axes in figure.axes] == [f"layer {n}" for n in (1, 3, 6, 8, 11, 13)]
    assert figure.get_label().endswith("Means over samples. Shown are 6 of the 13 examined layers.")


def test_cluster_sizes_without_a_cluster_say_so():
    figure = plot_cluster_sizes(Tables(layers=(2, 7), clusterless=(2, 7)).layers_table, 0.3, {}, HEADING)
    assert [axes.texts[0].get_text() for axes in figure.axes] == ["no cluster"] * 2
    assert figure.axes[0].get_title() == "layer 2: mean n/a"


def appearances(layers: tuple[int, ...], samples: int, names: tuple[str, ...]) -> pd.DataFrame:
    """Each label is in as many clusters as its layer plus its number, and 10 more in each sample after the first."""
    rows = [
        (seed, layer, label, name, layer + label + 10 * seed)
        for seed in range(samples)
        for layer in layers
        for label, name in enumerate(names)
    ]
    return pd.DataFrame(rows, columns=["seed", "layer", "label", "class_name", "appearances"])


def test_label_appearances_are_averaged_over_samples():
    # Samples 0 and 1 of layer 4: 4 + label + 0 or 10, so 9, 10, 11 on average; deviation √50.
    figure = plot_label_appearances(appearances((2, 4), 2, ("a", "b", "nan")), 0.3, {(4, "appearances"): 12}, HEADING)
    first, last = figure.axes
    assert [bar.get_height() for bar in last.patches] == [9, 10, 11]
    assert last.get_title() == "layer 4: mean 10.0\npaper: 12" and first.get_title() == "layer 2: mean 8.0"
    (mean,) = [line for line in last.lines if line.get_linestyle() == "--"]
    (paper,) = [line for line in last.lines if line.get_linestyle() == ":"]
    assert {*mean.get_ydata()} == {10} and {*paper.get_ydata()} == {12}
    np.testing.assert_allclose(last.containers[0].lines[2][0].get_segments()[0][:, 1], [9 - 50**0.5, 9 + 50**0.5])
    assert ticks(last.xaxis) == ["a", "b", "nan"]
    assert legend(figure) == ["mean over labels", "paper (CIFAR-10)"]


@pytest.mark.parametrize(
    ("layers", "paper", "shown"),
    [
        ((2, 4, 7, 10, 13), {}, [7, 13]),
        ((2, 4, 7, 8, 10, 11, 13), {(7, "appearances"): 55, (13, "appearances"): 150}, [7, 13]),
        ((1, 2, 3, 4), {}, [2, 4]),
        ((13,), {}, [13]),
    ],
)
def test_label_appearances_are_those_of_the_last_layer_and_the_papers_other_or_the_middle_one(layers, paper, shown):
    figure = plot_label_appearances(appearances(layers, 1, CIFAR10), 0.3, paper, HEADING)
    assert [axes.get_title().split(":")[0] for axes in figure.axes] == [f"layer {layer}" for layer in shown]


def test_a_mean_of_the_papers_far_above_the_bars_is_on_the_scale():
    (axes,) = plot_label_appearances(appearances((13,), 1, CIFAR10), 0.3, {(13, "appearances"): 150}, HEADING).axes
    assert axes.get_ylim()[0] == 0 and axes.get_ylim()[1] > 150


def test_labels_in_no_cluster_have_a_scale_from_zero():
    labels = appearances((2,), 1, CIFAR10).assign(appearances=0)
    (axes,) = plot_label_appearances(labels, 0.3, {}, HEADING).axes
    assert axes.get_ylim() == (0, 1)


def text_rows() -> pd.DataFrame:
    means = {"accuracy_mean": 0.91, "noise_mean": 1.5, "clusters_mean": 1.2, "cluster_size_mean": 2.5}
    unusable = {"filters": 8, "silent_filters_mean": 2.5, "faded_filters_mean": 1}
    return pd.DataFrame([{"layer": 13, "accuracy_std": 0.01414} | means | unusable])


def test_the_text_of_layers_has_a_line_a_layer():
    header, *lines = layers_text(text_rows()).splitlines()
    assert header.split() == [
        "layer",
        "accuracy",
        "noise",
        "clusters",
        "per",
        "filter",
        "cluster",
        "size",
        "silent",
        "or",
        "faded",
    ]
    assert [line.split() for line in lines] == [
        ["13", "0.9100", "±", "0.0141", "1.50", "1.20", "2.50", *"3.5 of 8".split()]
    ]
    assert len({len(header), *map(len, lines)}) == 1


def test_the_text_of_layers_leaves_out_what_does_not_exist():
    table = text_rows().assign(accuracy_std=np.nan, cluster_size_mean=np.nan)
    assert layers_text(table).splitlines()[1].split() == ["13", "0.9100", "1.50", "1.20", "n/a", "3.5", "of", "8"]
