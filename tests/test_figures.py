import io
import subprocess
import sys
import warnings
from pathlib import Path

import h5py
import matplotlib
import numpy as np
import pandas as pd
import pytest

from singlefilter import figures
from singlefilter.errors import InputError
from singlefilter.params import Params, load_params

HEADING = "vgg16 on digits, 1 sample, 0.05 of the full epochs"
ROOT = Path(__file__).parents[1]

# Ones of a 6-label filter. Walk: 0 starts, 3 joins (0-3, 3-0, 3-3); 1 starts, alone. Label 4's and 5's diagonal is 0.
ONES = [(0, 0), (0, 3), (3, 0), (3, 3), (1, 1), (0, 1), (4, 1), (5, 0)]


@pytest.fixture(autouse=True)
def style():
    with warnings.catch_warnings(), matplotlib.rc_context():
        warnings.simplefilter("error")
        figures.use_style(dpi=60, font_size=9, colormap="viridis")
        yield


def png(figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()


def layers_table(layers, samples) -> pd.DataFrame:
    table = pd.DataFrame({"layer": layers, "filters": 64, "samples": samples, "silent_filters_mean": 0.0})
    statistics = ("accuracy", 0.5), ("train_accuracy", 0.6), ("noise", 8), ("clusters", 1.2), ("cluster_size", 2.1)
    for number, (name, mean) in enumerate(statistics):
        table[f"{name}_mean"] = mean + 0.01 * np.arange(len(layers))
        table[f"{name}_std"] = 0.01 * (number + 1) if samples > 1 else np.nan
    table = table.assign(noise_clustered_mean=table["noise_mean"] - 1, noise_clustered_std=np.nan)
    return table.assign(validation_accuracy_mean=np.nan, validation_accuracy_std=np.nan)


def history_table(samples, epochs) -> pd.DataFrame:
    sample = pd.DataFrame({"epoch": range(epochs + 1)})
    sample["loss"] = (2.3 / (sample["epoch"] + 1)).where(sample["epoch"] > 0)
    sample["train_accuracy"] = (1 - 1 / (sample["epoch"] + 1)).where(sample["epoch"] > 0)
    sample["test_accuracy"] = 0.1 + 0.08 * sample["epoch"] / max(epochs, 1)
    return pd.concat(sample.assign(seed=seed, test_accuracy=sample["test_accuracy"] + seed) for seed in range(samples))


def labels_table(layers, samples, labels) -> pd.DataFrame:
    index = pd.MultiIndex.from_product([range(samples), layers, range(labels)], names=["seed", "layer", "label"])
    table = index.to_frame(index=False)
    return table.assign(
        class_name=class_names(labels) * (samples * len(layers)),
        appearances=table["layer"] + table["label"] + 10 * table["seed"],
    )


def class_names(labels) -> list[str]:
    return [f"$\\class_{label}$" for label in range(labels)]  # no formula, though it looks like one


def random_fields(labels, seed=0) -> np.ndarray:
    fields = np.random.default_rng(seed).normal(size=(labels, labels))
    return fields / fields.max()


def fields_of(ones, labels=6) -> np.ndarray:
    fields = np.full((labels, labels), -0.2)
    fields[tuple(np.transpose(ones))] = 1
    return fields


def images(figure) -> list[np.ndarray]:
    """The matrices drawn, from top left to bottom right, without colour bars."""
    return [image.get_array() for axes in figure.axes for image in axes.get_images()]


def ticks(axis) -> list[str]:
    return [label.get_text() for label in axis.get_ticklabels()]


def all_figures(layers, samples, epochs, labels):
    table, history = layers_table(layers, samples), history_table(samples, epochs)
    shown = {layer: (layer, random_fields(labels, layer)) for layer in layers}
    if len(layers) > 1:
        shown[layers[0]] = None
    return [
        figures.success_rates(table, history, HEADING),
        figures.layer_statistics(table, 0.3, HEADING),
        figures.training(history, HEADING),
        figures.label_appearances(labels_table(layers, samples, labels), 0.3, HEADING),
        figures.filter_matrices(shown, class_names(labels), 0.3, HEADING),
    ]


@pytest.mark.parametrize(
    ("layers", "samples", "epochs", "labels"),
    [([2, 13], 1, 10, 10), ([13], 5, 0, 2), ([1, 2], 5, 40, 100)],
    ids=["10 labels, 1 sample", "2 labels, 5 samples, one layer, no training", "100 labels, 5 samples"],
)
def test_every_figure_renders_without_warning_and_twice_to_the_same_bytes(layers, samples, epochs, labels):
    first, second = (list(map(png, all_figures(layers, samples, epochs, labels))) for _ in range(2))
    assert first == second
    assert len(set(first)) == 5


def test_statistics_of_a_layer_of_silent_filters_leave_a_gap():
    table = layers_table([1, 2], 1)
    table.loc[0, ["noise_mean", "noise_clustered_mean", "clusters_mean", "cluster_size_mean"]] = np.nan
    png(figures.layer_statistics(table, 0.3, HEADING))
    png(figures.layer_statistics(table.iloc[:1], 0.3, HEADING))


def test_nothing_of_a_figure_is_cut_off_even_with_the_largest_letters():
    figures.use_style(dpi=50, font_size=24, colormap="gray")
    for figure in all_figures([2, 13], 2, 3, 10):
        figure.draw_without_rendering()
        content, whole = figure.get_tightbbox(), figure.bbox_inches
        assert content.x0 >= 0 and content.y0 >= 0
        assert content.x1 <= whole.x1 and content.y1 <= whole.y1


def test_success_rates_show_both_sets_and_the_networks_last_accuracy():
    # Last epochs of the two samples: 0.18 and 1.18, so 0.68 on average, whatever an earlier epoch's.
    history = history_table(2, 10)
    history.loc[history["epoch"] == 5, "test_accuracy"] = 3
    (axes,) = figures.success_rates(layers_table([2, 4, 7], 2), history, HEADING).axes
    test, train = axes.containers
    np.testing.assert_allclose(test.lines[0].get_xydata(), [[2, 0.50], [4, 0.51], [7, 0.52]])
    np.testing.assert_allclose(train.lines[0].get_xydata(), [[2, 0.60], [4, 0.61], [7, 0.62]])
    bars = test.lines[2][0].get_segments()
    np.testing.assert_allclose(bars[1], [[4, 0.50], [4, 0.52]])
    (network,) = [line for line in axes.lines if line.get_linestyle() == "--"]
    np.testing.assert_allclose(network.get_ydata(), 0.68)
    legend = [text.get_text() for text in axes.figure.legends[0].get_texts()]
    assert legend == ["test set", "training set", "whole network, test set: 0.680"]


def test_success_rates_show_the_validation_set_if_there_is_one():
    table = layers_table([2, 4, 7], 2).assign(validation_accuracy_mean=[0.3, 0.4, 0.45], validation_accuracy_std=0.02)
    figure = figures.success_rates(table, history_table(2, 10), HEADING)
    (axes,) = figure.axes
    test, train, validation = axes.containers
    np.testing.assert_allclose(test.lines[0].get_xydata(), [[2, 0.50], [4, 0.51], [7, 0.52]])
    np.testing.assert_allclose(train.lines[0].get_xydata(), [[2, 0.60], [4, 0.61], [7, 0.62]])
    np.testing.assert_allclose(validation.lines[0].get_xydata(), [[2, 0.3], [4, 0.4], [7, 0.45]])
    np.testing.assert_allclose(validation.lines[2][0].get_segments()[1], [[4, 0.38], [4, 0.42]])
    assert len({curve.lines[0].get_color() for curve in (test, train, validation)}) == 3
    legend = [text.get_text() for text in axes.figure.legends[0].get_texts()]
    assert legend == ["test set", "training set", "validation set", "whole network, test set: 0.680"]
    png(figure)


def test_one_sample_has_no_bars_of_standard_deviation():
    for axes in figures.layer_statistics(layers_table([2, 4], 1), 0.3, HEADING).axes:
        assert not any(container.has_yerr for container in axes.containers)


def test_layer_statistics_share_the_layers_and_begin_at_zero():
    figure = figures.layer_statistics(layers_table([2, 4, 13], 3), 0.3, HEADING)
    for axes, mean in zip(figure.axes, (8, 1.2, 2.1), strict=True):
        np.testing.assert_allclose(axes.containers[0].lines[0].get_ydata(orig=False), [mean, mean + 0.01, mean + 0.02])
        assert axes.containers[0].has_yerr
        assert axes.get_ylim()[0] == 0 and axes.get_ylim()[1] > mean + 0.02
        assert axes.get_xticks().tolist() == [2, 4, 13]


def test_training_has_a_curve_for_each_sample_and_one_entry_a_set():
    left, right = figures.training(history_table(3, 4), HEADING).axes
    assert len(left.lines) == 3 and len(right.lines) == 6
    np.testing.assert_allclose(left.lines[0].get_ydata(), [np.nan, 1.15, 2.3 / 3, 0.575, 0.46])
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["training set", "test set"]


def test_label_appearances_are_the_last_layers_averaged_over_samples():
    # Layer 4, samples 0 and 1: 4 + label + 0 or 10, so 9, 10, 11 on average, and 10 over the labels.
    (axes,) = figures.label_appearances(labels_table([2, 4], 2, 3), 0.3, HEADING).axes
    assert [bar.get_height() for bar in axes.patches] == [9, 10, 11]
    (mean,) = [line for line in axes.lines if line.get_linestyle() == "--"]
    np.testing.assert_allclose(mean.get_ydata(), 10)
    assert ticks(axes.xaxis) == class_names(3)


def test_representative_filter_is_the_one_closest_to_the_median():
    # Layer 1, medians of those not silent: noise 4, clusters 1, size 2. Filter 3 has just these; 5 has them too, later.
    # Layer 2, two filters as far from the medians (3, 0.5, 0.5): the first. Layer 3: silent.
    rows = [
        (1, 0, 4, 2, False, "0 1;2"),
        (1, 1, 9, 1, False, "0 1 2"),
        (1, 2, np.nan, 0, True, ""),
        (1, 5, 4, 1, False, "3 4"),
        (1, 3, 4, 1, False, "0 1"),
        (1, 4, 0, 1, False, "0"),
        (2, 0, 2, 1, False, "0"),
        (2, 1, 4, 0, False, np.nan),
        (3, 0, np.nan, 0, True, np.nan),
    ]
    table = pd.DataFrame(rows, columns=["layer", "filter", "noise", "clusters", "silent", "labels"])
    assert figures.representative_filters(table) == {1: 3, 2: 0, 3: None}


def test_representative_filter_weighs_each_number_by_its_spread():
    # Medians: noise 60, clusters 2, size 1; standard deviations: √1184 = 34.4, √1.04 = 1.02, 0.
    # Filters 1 and 3: 20/34.4 = 0.58. Filter 2: 2/1.02 = 1.96, though nearest by plain differences.
    rows = [(0, 20, 1, "0"), (1, 40, 2, "0;1"), (2, 60, 4, "0;1;2;3"), (3, 80, 2, "0;1"), (4, 120, 3, "0;1;2")]
    table = pd.DataFrame(rows, columns=["filter", "noise", "clusters", "labels"]).assign(layer=7, silent=False)
    assert figures.representative_filters(table) == {7: 1}


def test_permuted_cells_tell_clusters_from_noise():
    clipped = fields_of(ONES) > 0.3
    cells = figures.permuted_cells(clipped, [(0, 3), (1,)])
    # Order 0 3 1 2 4 5. Noise: 0-1, 4-1 and 5-0.
    expected = [
        [2, 2, 1, 0, 0, 0],
        [2, 2, 0, 0, 0, 0],
        [0, 0, 2, 0, 0, 0],
        [0, 0, 0, 0, 0, 0],
        [0, 0, 1, 0, 0, 0],
        [1, 0, 0, 0, 0, 0],
    ]
    assert cells.tolist() == expected


def test_filter_matrices_show_fields_clipped_and_permuted_with_their_labels():
    fields = fields_of(ONES)
    figure = figures.filter_matrices({2: None, 7: (5, fields)}, list("abcdef"), 0.3, HEADING)
    silent, shown = figure.subfigs
    assert silent.get_suptitle() == "layer 2: all filters are silent"
    assert shown.get_suptitle() == "layer 7, filter 5: noise 3, clusters (a, d), (b)"
    drawn_fields, clipped, permuted = images(shown)[:3]
    np.testing.assert_array_equal(drawn_fields, fields)
    assert clipped.sum() == len(ONES)
    assert (permuted == 2).sum() == 5 and (permuted == 1).sum() == 3
    left, middle, right = shown.axes[:3]
    assert ticks(left.xaxis) == ticks(left.yaxis) == ticks(middle.xaxis) == list("abcdef")
    assert ticks(right.xaxis) == ticks(right.yaxis) == list("adbcef")


def test_filter_matrices_paint_clusters_white_noise_yellow_and_the_rest_dark():
    figure = figures.filter_matrices({7: (5, fields_of(ONES))}, list("abcdef"), 0.3, HEADING)
    image = figure.axes[2].get_images()[0]
    dark, noise, cluster = image.cmap(image.norm(np.array([0, 1, 2])))[:, :3]
    assert cluster.tolist() == [1, 1, 1]
    assert noise[0] > 0.9 and noise[1] > 0.7 and noise[2] < 0.3
    assert dark.max() < 0.4


def test_filter_matrices_are_square():
    shown = {1: None, 2: (0, random_fields(10)), 4: (1, fields_of(ONES, 10))}
    figure = figures.filter_matrices(shown, class_names(10), 0.3, HEADING)
    figure.draw_without_rendering()
    for part in figure.subfigs[1:]:
        for axes in part.axes[:3]:
            extent = axes.get_window_extent()
            assert extent.width == pytest.approx(extent.height, rel=0.03)
            assert extent.width > 0.15 * figure.bbox.width


def test_many_labels_have_few_ticks_and_those_of_the_permuted_panel_are_permuted():
    fields = np.full((100, 100), -1.5)
    fields[np.ix_([50, 99], [50, 99])] = 1
    figure = figures.filter_matrices({1: (0, fields)}, class_names(100), 0.3, HEADING)
    left, _, right = figure.axes[:3]
    assert ticks(left.xaxis) == [str(label) for label in range(0, 100, 10)]
    # Order 50 99 0 1 … 49 51 …: place 10 has label 8, place 60 label 59.
    assert ticks(right.xaxis) == ["50", "8", "18", "28", "38", "48", "59", "69", "79", "89"]


def test_colour_bar_says_where_fields_are_below_its_scale():
    for lowest, extend in ((-1.5, "min"), (-1.0, "neither")):
        fields = fields_of(ONES)
        fields[2, 2] = lowest
        figure = figures.filter_matrices({1: (0, fields)}, list("abcdef"), 0.3, HEADING)
        assert figure.axes[0].get_images()[0].colorbar.extend == extend


def test_fields_of_a_label_without_images_are_left_blank():
    fields = fields_of(ONES)
    fields[5] = np.nan
    fields[2, 2] = -1.5
    figure = figures.filter_matrices({1: (0, fields)}, list("abcdef"), 0.3, HEADING)
    assert figure.axes[0].get_images()[0].colorbar.extend == "min"
    png(figure)
    assert "noise 2" in figure.subfigs[0].get_suptitle()


def test_run_heading_counts_samples_and_epochs():
    assert figures.run_heading("vgg16", "digits", 1, 0.05) == HEADING
    assert (
        figures.run_heading("vgg6", "cifar10", 4, 1)
        == "vgg6 on cifar10, 4 samples (bars: standard deviation), the full epochs"
    )


def test_importing_the_module_imports_neither_pyplot_nor_torch():
    code = "import sys, singlefilter.figures; print([m for m in ('matplotlib.pyplot', 'torch') if m in sys.modules])"
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, env={"PYTHONPATH": str(ROOT / "src")}, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


# --- the stage ---


@pytest.fixture
def params(tmp_path, monkeypatch) -> Params:
    """Parameters of two samples and two layers, in a folder with all that the stage reads."""
    loaded = load_params(ROOT / "params.yaml")
    monkeypatch.chdir(tmp_path)
    Path("metrics/history").mkdir(parents=True)
    Path("metrics/filters").mkdir()
    layers_table([1, 2], 2).to_csv("metrics/layers.csv", index=False)
    # One cluster of one label in every filter: read without care, the column would be numbers.
    rows = [(seed, layer, index, 3, 1, False, "0") for seed in (3, 4) for layer in (1, 2) for index in range(2)]
    columns = ["seed", "layer", "filter", "noise", "clusters", "silent", "labels"]
    pd.DataFrame(rows, columns=columns).to_csv("metrics/filters.csv", index=False)
    # A class may be called "nan" or "1".
    labels_table([1, 2], 2, 2).assign(class_name=["nan", "1"] * 4).to_csv("metrics/labels.csv", index=False)
    for seed in (3, 4):
        history_table(1, 2).drop(columns="seed").to_csv(f"metrics/history/seed{seed}.csv", index=False)
    with h5py.File("metrics/filters/seed3.h5", "w") as file:
        file.attrs["class_names"] = ["nan", "1"]
        file["test/images_per_label"] = np.array([1, 2])
        for layer in (1, 2):
            file[f"layer{layer}/test/fields"] = np.array([[[2.0, 0.0], [1.0, -4.0]]] * 2)
    return loaded.model_copy(update={"seeds": (3, 4)})


def run_stage(params):
    from stages.figures import main

    main(params)


def test_stage_draws_every_figure_and_says_where(params, capsys):
    run_stage(params)
    written = sorted(path.name for path in Path("plots").iterdir())
    names = ["filters", "label_appearances", "layer_statistics", "success_rates", "training"]
    assert written == [f"{name}.png" for name in names]
    output = capsys.readouterr().out
    assert "0.5000" in output and str(Path("plots").resolve()) in output
    before = [path.read_bytes() for path in sorted(Path("plots").iterdir())]
    run_stage(params)
    assert before == [path.read_bytes() for path in sorted(Path("plots").iterdir())]


def test_stage_takes_class_names_that_are_numbers(params):
    labels_table([1, 2], 2, 2).assign(class_name=["0", "1"] * 4).to_csv("metrics/labels.csv", index=False)
    run_stage(params)


def test_stage_reads_the_chosen_filters_as_means_over_images(params):
    from stages.figures import read_filters

    shown, names = read_filters(3, {1: 1, 2: None})
    assert names == ["nan", "1"] and shown[2] is None
    index, fields = shown[1]
    # Sums 2, 0 of one image and 1, -4 of two, so means 2, 0, 0.5, -2; over the largest: 1, 0, 0.25, -1.
    assert index == 1 and fields.tolist() == [[1, 0], [0.25, -1]]


@pytest.mark.parametrize(
    ("missing", "made_by"),
    [
        ("metrics/layers.csv", "cluster_stats"),
        ("metrics/history/seed4.csv", "train_backbone@4"),
        ("metrics/filters/seed3.h5", "filter_matrices@3"),
    ],
)
def test_stage_names_a_missing_file_and_the_way_out(params, missing, made_by):
    Path(missing).unlink()
    with pytest.raises(InputError, match=f"{missing}.*{made_by}"):
        run_stage(params)


def test_stage_refuses_tables_of_other_samples_or_layers(params):
    with h5py.File("metrics/filters/seed3.h5", "a") as file:
        del file["layer2"]
    with pytest.raises(InputError, match=r"seed3\.h5 has no layer2\. Make it again: .*--single-item filter_matrices@3"):
        run_stage(params)
    table = pd.read_csv("metrics/filters.csv")
    table[table["seed"] == 4].to_csv("metrics/filters.csv", index=False)
    with pytest.raises(
        InputError, match=r"filters\.csv has no sample 3\. Make it again: .*--single-item cluster_stats"
    ):
        run_stage(params)
