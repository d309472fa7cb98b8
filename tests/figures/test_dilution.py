"""Heads without some of their filters or weights."""

import numpy as np
import pandas as pd
import pytest

from singlefilter.figures.dilution import means_over_samples, plot_dilution
from tests.figures.tables import HEADING, Tables, legend, rendered, texts, ticks


def measurements(samples: int = 2, retrained: bool = False, layers: tuple[int, ...] = (13,)) -> pd.DataFrame:
    """Sample k has 0.1·k more of everything; of three labels the last has no image."""
    rows = []
    for seed in range(samples):
        for layer in layers:
            more = 0.1 * seed
            rows += [
                (seed, layer, "none", None, 0, 1, 0.8 + more, None, None, None),
                (seed, layer, "random", None, 0, 1, 0.8 + more, 0.0, None, None),
                (seed, layer, "random", None, 8, 0.5, 0.4 + more, 0.03, None, None),
                (seed, layer, "clusters", None, None, 0.25, 0.7 + more, None, None, None),
                (seed, layer, "magnitude", None, None, 0.25, 0.6 + more, None, None, None),
                (seed, layer, "random_weights", None, None, 0.25, 0.3 + more, 0.04, None, None),
            ]
            rows += [(seed, layer, "label", label, 4, 0.7, 0.7, None, 0.2 + more, 0.75) for label in (0, 1)]
            rows.append((seed, layer, "label", 2, 4, 0.7, 0.7, None, None, 0.75))
            if retrained:
                rows.append((seed, layer, "random_retrained", None, 8, 0.5, 0.75 + more, None, None, None))
    names = ["seed", "layer", "kind", "label", "removed_filters", "weights_kept", "accuracy", "accuracy_std"]
    table = pd.DataFrame(rows, columns=[*names, "label_accuracy", "rest_accuracy"])
    return table.astype({"label": "Int64", "removed_filters": "Int64", "accuracy_std": float, "label_accuracy": float})


def draw(table: pd.DataFrame, paper=None):
    return plot_dilution(table, ("a", "b", "c"), paper, HEADING)


def test_means_join_the_deviations_over_samples_and_over_draws():
    # 8 removed: accuracies 0.4 and 0.5, variance 0.005; draws' variance 0.03² = 0.0009.
    found = means_over_samples(measurements().query("kind == 'random'"), "removed_filters")
    np.testing.assert_allclose(found.loc[8].tolist(), [0.45, 0.0059**0.5])
    np.testing.assert_allclose(found.loc[0].tolist(), [0.85, 0.005**0.5])


def test_one_sample_has_its_draws_deviation_alone_or_none():
    table = measurements(samples=1)
    found = means_over_samples(table.query("kind == 'random'"), "removed_filters")
    np.testing.assert_allclose(found["std"].tolist(), [0, 0.03])
    assert means_over_samples(table.query("kind == 'clusters'"), "kind")["std"].isna().all()
    assert means_over_samples(table.query("kind == 'label'"), "label", "label_accuracy")["std"].isna().all()


def test_the_deviation_of_a_labels_accuracy_is_over_samples():
    found = means_over_samples(measurements().query("kind == 'label'"), "label", "label_accuracy")
    np.testing.assert_allclose(found.loc[0].tolist(), [0.25, 0.005**0.5])


def test_the_last_layer_in_the_networks_order_is_drawn_in_full_whatever_its_name():
    table = measurements(layers=(1, 2)).replace({"layer": {1: "layer4", 2: "avgpool"}})
    assert "Dilution of the head on avgpool" in "".join(texts(draw(table)))


def test_random_removal_is_drawn_against_the_number_of_filters():
    figure = draw(measurements(retrained=True), paper=(5, 0.94))
    axes = figure.axes[0]
    kept, anew = axes.containers
    np.testing.assert_allclose(kept.lines[0].get_xydata().astype(float), [[0, 0.85], [8, 0.45]])
    np.testing.assert_allclose(anew.lines[0].get_xydata().astype(float), [[8, 0.8]])
    (mark,) = [line for line in axes.lines if line.get_marker() == "x"]
    assert mark.get_xydata().tolist() == [[5, 0.94]]
    assert legend(axes) == [
        "head as trained",
        "head trained anew on the others",
        "whole head, all images: 0.850",
        "paper (CIFAR-10)",
    ]
    assert legend(draw(measurements()).axes[0]) == ["head as trained", "whole head, all images: 0.850"]


def test_weights_are_compared_at_equal_numbers():
    axes = draw(measurements()).axes[1]
    np.testing.assert_allclose([bar.get_height() for bar in axes.patches], [0.85, 0.75, 0.65, 0.35])
    assert texts(axes) == ["0.850", "0.750", "0.650", "0.350"]
    assert axes.get_xlabel() == "weights kept (in the right three: 25 %)"
    assert ticks(axes.xaxis) == ["all", "those of\nclusters", "as many,\nthe largest", "as many,\nat random"]


def test_every_label_has_its_own_rate_and_the_others():
    figure = draw(measurements())
    for axes, images, expected in zip(
        figure.axes[2:], ("its own images", "all other images"), ([0.25, 0.25, np.nan], [0.75] * 3), strict=True
    ):
        (found,) = axes.containers
        np.testing.assert_allclose(found.lines[0].get_xdata().astype(float), [0, 1, 2])
        np.testing.assert_allclose(found.lines[0].get_ydata().astype(float), expected)
        assert axes.get_title() == f"filters of one label silenced:\n{images}"
        assert ticks(axes.xaxis) == ["a", "b", "c"]
    assert legend(figure) == ["filters with a cluster that the label is in", "whole head, all images: 0.850"]


def test_controls_of_a_label_stand_beside_it():
    table = measurements(samples=1)
    of_labels = table[table["kind"] == "label"]
    controls = [of_labels.assign(kind="label_random", label_accuracy=0.6, rest_accuracy=0.7)]
    controls.append(of_labels.assign(kind="label_largest", label_accuracy=0.1, rest_accuracy=0.8))
    figure = draw(pd.concat([table, *controls]))
    for axes, expected in ((figure.axes[2], (0.2, 0.1, 0.6)), (figure.axes[3], (0.75, 0.8, 0.7))):
        drawn = [found.lines[0] for found in axes.containers]
        assert [line.get_ydata()[0] for line in drawn] == pytest.approx(expected)
        assert [line.get_xdata()[1] for line in drawn] == pytest.approx((0.75, 1, 1.25))
        assert len({line.get_marker() for line in drawn}) == 3
    assert legend(figure)[:3] == [
        "filters with a cluster that the label is in",
        "as many, with the largest weights for the label",
        "as many, at random",
    ]


def test_one_sample_without_draws_has_no_bars():
    figure = draw(measurements(samples=1))
    assert not any(container.has_yerr for container in figure.axes[2].containers)
    rendered(figure)


def test_the_last_layer_is_shown():
    table = measurements(layers=(2, 13))
    table.loc[table["layer"] == 2, "accuracy"] = 0.1
    figure = draw(table)
    assert "layer 13" in figure.get_suptitle()
    assert legend(figure.axes[0])[-1] == "whole head, all images: 0.850"


def test_of_a_thousand_labels_those_that_lose_most_are_shown_and_the_mean_of_the_others():
    names = tuple(f"class {label}" for label in range(1000))
    table = Tables(layers=(13,), samples=2, class_names=names).dilution
    of_label = table["kind"] == "label"
    table.loc[of_label, "label_accuracy"] = np.where(table.loc[of_label, "label"] % 50 == 7, 0.1, 0.6)
    figure = plot_dilution(table, names, None, HEADING)
    for axes in figure.axes[2:4]:
        assert ticks(axes.xaxis) == [*(f"class {label}" for label in range(7, 1000, 50)), "others"]
    shown = figure.axes[2].containers[0].lines[0].get_ydata()
    assert shown == pytest.approx([0.1] * 20 + [0.6])
    assert "Of 1,000 labels the 20 that matter most are drawn" in figure.get_label()


def test_other_diluted_layers_have_curves_beside_the_last_ones():
    axes = draw(measurements(retrained=True, layers=(10, 13))).axes[0]
    assert legend(axes)[:2] == ["layer 10, head as trained", "layer 10, head trained anew on the others"]
    first = next(line for line in axes.lines if line.get_label() == "layer 10, head as trained")
    np.testing.assert_allclose(first.get_xydata().astype(float), [[0, 0.85], [8, 0.45]])
    assert len(axes.containers) == 2  # those of the last layer alone have bars


def test_each_diluted_layer_has_a_marker_of_its_own():
    axes = draw(measurements(retrained=True, layers=(4, 7, 10, 13))).axes[0]
    markers = {}
    for line in axes.lines:
        if str(line.get_label()).startswith("layer "):
            markers.setdefault(line.get_label().split(",")[0], set()).add(line.get_marker())
    assert all(len(of_layer) == 1 for of_layer in markers.values())
    assert len(set.union(*markers.values())) == len(markers) == 3
