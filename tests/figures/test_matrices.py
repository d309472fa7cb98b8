"""Matrices of single filters."""

import numpy as np
import pandas as pd
import pytest

from singlefilter.figures.matrices import permuted_cells, plot_decisions, plot_filters, representative_filters
from tests.figures.tables import HEADING, Tables, rendered, texts, ticks

# Ones of a 6-label filter. Walk: 0 starts, 3 joins (0-3, 3-0, 3-3); 1 starts, alone. Label 4's and 5's diagonal is 0.
ONES = [(0, 0), (0, 3), (3, 0), (3, 3), (1, 1), (0, 1), (4, 1), (5, 0)]
NAMES = list("abcdef")


def fields_of(ones, labels=6) -> np.ndarray:
    fields = np.full((labels, labels), -0.2)
    fields[tuple(np.transpose(ones))] = 1
    return fields


def cells(axes) -> np.ndarray:
    """The matrix drawn in some axes."""
    return (axes.collections or axes.get_images())[0].get_array()


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
    assert representative_filters(table) == {1: 3, 2: 0, 3: None}


def test_representative_filter_weighs_each_number_by_its_spread():
    # Medians: noise 60, clusters 2, size 1; standard deviations: √1184 = 34.4, √1.04 = 1.02, 0.
    # Filters 1 and 3: 20/34.4 = 0.58. Filter 2: 2/1.02 = 1.96, though nearest by plain differences.
    rows = [(0, 20, 1, "0"), (1, 40, 2, "0;1"), (2, 60, 4, "0;1;2;3"), (3, 80, 2, "0;1"), (4, 120, 3, "0;1;2")]
    table = pd.DataFrame(rows, columns=["filter", "noise", "clusters", "labels"]).assign(layer=7, silent=False)
    assert representative_filters(table) == {7: 1}


def test_permuted_cells_tell_clusters_from_noise():
    found = permuted_cells(fields_of(ONES) > 0.3, [(0, 3), (1,)])
    # Order 0 3 1 2 4 5. Noise: 0-1, 4-1 and 5-0.
    expected = [
        [2, 2, 1, 0, 0, 0],
        [2, 2, 0, 0, 0, 0],
        [0, 0, 2, 0, 0, 0],
        [0, 0, 0, 0, 0, 0],
        [0, 0, 1, 0, 0, 0],
        [1, 0, 0, 0, 0, 0],
    ]
    assert found.tolist() == expected


def test_filters_show_fields_clipped_and_permuted_with_their_labels():
    fields = fields_of(ONES)
    figure = plot_filters({2: None, 7: (5, fields)}, [2, 4, 7], NAMES, 0.3, HEADING)
    silent, shown = figure.subfigs
    assert "Shown are 2 of the 3 examined layers." in figure.get_label()
    assert silent.get_suptitle() == "layer 2: all filters are silent"
    assert shown.get_suptitle() == "layer 7, filter 5: noise 3, clusters (a, d), (b)"
    left, middle, right = shown.axes[:3]
    np.testing.assert_array_equal(cells(left), fields)
    assert cells(middle).sum() == len(ONES)
    assert (cells(right) == 2).sum() == 5 and (cells(right) == 1).sum() == 3
    assert ticks(left.xaxis) == ticks(left.yaxis) == ticks(middle.xaxis) == list("abcdef")
    assert ticks(right.xaxis) == ticks(right.yaxis) == list("adbcef")
    assert not any(label.get_visible() for label in middle.get_yticklabels())  # as left
    assert [axes.get_title() for axes in (left, middle, right)] == ["normalised fields", "clipped at 0.3", "permuted"]


def test_the_first_row_of_a_matrix_is_on_top():
    for labels, places in ((6, 6), (20, 20), (60, 21)):
        fields = fields_of([(0, 5)], labels)
        axes = plot_filters({7: (5, fields)}, [7], [str(label) for label in range(labels)], 0.3, HEADING).axes[0]
        assert axes.get_ylim() == (places - 0.5, -0.5) and axes.get_xlim() == (-0.5, places - 0.5)


def test_filters_paint_clusters_white_noise_yellow_and_the_rest_dark():
    figure = plot_filters({7: (5, fields_of(ONES))}, [7], NAMES, 0.3, HEADING)
    mesh = figure.axes[2].collections[0]
    dark, noise, cluster = mesh.cmap(mesh.norm(np.array([0, 1, 2])))[:, :3]
    assert cluster.tolist() == [1, 1, 1]
    assert noise[0] > 0.9 and noise[1] > 0.7 and noise[2] < 0.3
    assert dark.max() < 0.4


def test_filters_are_square():
    shown = {1: None, 2: (0, Tables().fields(2)), 4: (1, fields_of(ONES, 10))}
    figure = plot_filters(shown, [*shown], Tables().class_names, 0.3, HEADING)
    figure.draw_without_rendering()
    for part in figure.subfigs[1:]:
        for axes in part.axes[:3]:
            extent = axes.get_window_extent()
            assert extent.width == pytest.approx(extent.height, rel=0.03)
            assert extent.width > 0.2 * figure.bbox.width


def test_only_the_first_filters_panels_are_named_and_only_the_last_ones_have_a_label_below():
    shown = {layer: (0, fields_of(ONES)) for layer in (1, 2, 3)} | {4: None}
    figure = plot_filters(shown, [*shown], NAMES, 0.3, HEADING)
    drawn = figure.subfigs[:3]
    assert [part.axes[1].get_title() for part in drawn] == ["clipped at 0.3", "", ""]
    assert [part.axes[1].get_xlabel() for part in drawn] == ["", "", "output label"]


def test_of_many_labels_those_of_clusters_and_of_the_largest_fields_are_shown_and_the_others_together():
    fields = np.full((100, 100), -0.5)
    fields[np.ix_([50, 99], [50, 99])] = 0.35
    fields[50, 50] = 1
    for label in range(60, 78):  # 18 more, by noise on the output 50
        fields[label, 50] = 0.9
    fields[3, 4] = 0.2  # not above the threshold
    fields[5, 6] = 0.4  # above it, and less than those that are shown
    figure = plot_filters({1: (0, fields)}, [1], [f"class {label}" for label in range(100)], 0.3, HEADING)
    left, middle, right = figure.axes[:3]
    shown = [50, *range(60, 78), 99]
    assert ticks(left.xaxis) == ticks(left.yaxis) == [*map(str, shown), "others"]
    assert ticks(right.xaxis) == ["50", "99", *map(str, range(60, 78)), "others"]
    drawn, clipped, permuted = (cells(axes) for axes in (left, middle, right))
    assert drawn[0, 19] == 0.35 and drawn[1, 0] == 0.9 and drawn[1, 20] == -0.5
    assert drawn[20, 20] == pytest.approx((-0.5 * (80 * 80 - 2) + 0.2 + 0.4) / 6400)  # the mean of 80 by 80
    assert clipped[20, 20] == 1 and clipped[20, :20].sum() == 0
    assert permuted[:2, :2].tolist() == [[2, 2], [2, 2]] and permuted[20, 20] == 1
    assert "Of 100 labels the 20 that matter most are drawn" in figure.get_label()
    assert "Shown are" not in figure.get_label()
    about = "noise 19, clusters (50 class 50, 99 class 99)"  # with the numbers, which the axes bear
    assert figure.subfigs[0].get_suptitle() == f"layer 1, filter 0: {about}"


def test_colour_bar_says_where_fields_are_below_its_scale():
    for lowest, extend in ((-1.5, "min"), (-1.0, "neither")):
        fields = fields_of(ONES)
        fields[2, 2] = lowest
        figure = plot_filters({1: (0, fields)}, [1], NAMES, 0.3, HEADING)
        assert figure.axes[0].collections[0].colorbar.extend == extend


def test_fields_of_a_label_without_images_are_left_blank():
    fields = fields_of(ONES)
    fields[5] = np.nan
    fields[2, 2] = -1.5
    figure = plot_filters({1: (0, fields)}, [1], NAMES, 0.3, HEADING)
    assert figure.axes[0].collections[0].colorbar.extend == "min"
    assert cells(figure.axes[0]).mask[5].all() and cells(figure.axes[0]).mask.sum() == 6
    rendered(figure)
    assert "noise 2" in figure.subfigs[0].get_suptitle()


def test_names_with_a_comma_are_in_quotes():
    figure = plot_filters({1: (0, fields_of(ONES))}, [1], ["a, b", "犬", "c", "d", "e", "f"], 0.3, HEADING)
    assert ticks(figure.axes[0].yaxis)[:3] == ['"a, b"', "label 1", "c"]
    assert figure.subfigs[0].get_suptitle() == 'layer 1, filter 0: noise 3, clusters ("a, b", d), (label 1)'


def test_fields_are_white_at_zero_and_of_two_colours_above_and_below():
    fields = fields_of(ONES)
    fields[2] = np.nan
    figure = plot_filters({1: (0, fields)}, [1], NAMES, 0.3, HEADING)
    mesh = figure.axes[0].collections[0]
    negative, zero, positive, unknown = mesh.cmap(mesh.norm(np.ma.masked_invalid([-1, 0, 1, np.nan])))
    assert zero.min() > 0.95
    assert positive[0] > 2 * positive[2] and negative[2] > 2 * negative[0]  # red, blue
    assert np.ptp(unknown[:3]) == 0 and 0.4 < unknown[0] < 0.8 and unknown[3] == 1  # grey, apart from 0


def test_decisions_are_shares_of_each_labels_decided_images():
    # Label 0: 1 of 4 for a, 3 for b; label 1: all for b; label 2: none decided. Of all 6, 5 for b: 83 %.
    counts = np.array([[1, 3, 0], [0, 2, 0], [0, 0, 0]])
    figure = plot_decisions({2: None, 13: (5, counts)}, [13], list("abc"), HEADING)
    silent, shown = figure.axes[:2]
    assert silent.texts[0].get_text() == "layer 2:\nall filters are silent"
    np.testing.assert_array_equal(cells(shown).filled(-1), [[0.25, 0.75, 0], [0, 1, 0], [-1, -1, -1]])
    assert texts(shown) == ["0.25", "0.75", "0", "0", "1", "0", "n/a", "n/a", "n/a"]
    assert (
        shown.get_title() == "layer 13, filter 5\npicks b for 83 %\nof 6 decided images\none position: all images alike"
    )
    assert ticks(shown.yaxis) == ticks(shown.xaxis) == ["a", "b", "c"]


def test_decisions_say_of_which_layers_they_cannot_depend_on_the_image():
    counts = np.array([[0, 9], [9, 0]])
    early, last = plot_decisions({2: (0, counts), 13: (1, counts)}, [7, 13], ["a", "b"], HEADING).axes[:2]
    assert "one position" not in early.get_title() and last.get_title().endswith("\none position: all images alike")


def test_decisions_write_light_on_dark_and_dark_on_light():
    counts = np.array([[0, 9], [9, 0]])
    (axes, _) = plot_decisions({2: (0, counts)}, [], ["a", "b"], HEADING).axes
    assert [text.get_color() for text in axes.texts] == ["white", "black", "black", "white"]  # viridis: 0 dark, 1 light


def test_decisions_of_many_labels_are_those_of_the_outputs_picked_most_and_of_the_others_together():
    counts = np.zeros((30, 30), dtype=np.int64)
    counts[:, :20] = 2  # each of 20 outputs twice by each label, and another once
    counts[:, 25] = 1
    axes = plot_decisions({2: (0, counts)}, [], [str(label) for label in range(30)], HEADING).axes[0]
    assert ticks(axes.xaxis) == [*map(str, range(20)), "others"]
    np.testing.assert_allclose(cells(axes), np.tile([2 / 41] * 20 + [1 / 41], (21, 1)))


def test_decisions_of_more_than_ten_labels_are_without_numbers():
    for labels, numbers in ((10, 100), (11, 0)):
        counts = np.eye(labels, dtype=np.int64)
        axes = plot_decisions({2: (0, counts)}, [], [str(label) for label in range(labels)], HEADING).axes[0]
        assert len(axes.texts) == numbers


def test_a_filter_that_decides_nothing_says_so():
    figure = plot_decisions({2: (3, np.zeros((2, 2), dtype=np.int64))}, [], ["a", "b"], HEADING)
    assert figure.axes[0].get_title() == "layer 2, filter 3\ndecides no image"
    rendered(figure)


def test_decisions_of_two_layers_are_squares_of_the_same_size():
    tables = Tables()
    figure = plot_decisions(
        {2: (0, tables.decisions(2)), 13: (0, tables.decisions(13))}, [], tables.class_names, HEADING
    )
    figure.draw_without_rendering()
    first, last = (axes.get_window_extent() for axes in figure.axes[:2])
    for extent in (first, last):
        assert extent.width == pytest.approx(extent.height, rel=0.01)
    assert first.width == pytest.approx(last.width, rel=0.01) and first.width > 0.3 * figure.bbox.width
