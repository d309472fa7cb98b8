import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from singlefilter.filters.clusters import (
    clip,
    cluster_sizes,
    clusters,
    decision_shares,
    noise,
    normalise_fields,
    number_clusters,
    order,
)
from singlefilter.pipeline.errors import InputError


def blocks_and_extras(label_count, blocks, extras):
    matrix = np.zeros((label_count, label_count), dtype=bool)
    for labels in blocks:
        matrix[np.ix_(labels, labels)] = True
    for element in extras:
        matrix[element] = True
    return matrix


# The six extra elements are in no block: (1, 9) and (9, 1) link two clusters, but not all of their labels.
FIGURE_4B = blocks_and_extras(10, [(0, 4, 9), (1, 2, 5), (7,), (8,)], [(7, 8), (1, 9), (9, 1), (3, 6), (6, 0), (5, 8)])


def plain_clusters(matrix, reverse=False):
    """The SI's words, one by one: run along the diagonal, append what completes the cluster, go to the next."""
    diagonal = [label for label in range(len(matrix)) if matrix[label][label]]
    if reverse:
        diagonal.reverse()
    found = []
    while diagonal:
        members = [diagonal[0]]
        for candidate in diagonal[1:]:
            block = [*members, candidate]
            if all(matrix[row][column] for row in block for column in block):
                members.append(candidate)
        found.append(tuple(members))
        diagonal = [label for label in diagonal if label not in members]
    return tuple(found)


def plain_noise(matrix, found):
    in_a_block = {(row, column) for labels in found for row in labels for column in labels}
    size = range(len(matrix))
    return sum(matrix[row][column] and (row, column) not in in_a_block for row in size for column in size)


@st.composite
def layers(draw, max_filters=1):
    """Boolean matrices (F, K, K), sparse or dense, half of them with a full diagonal."""
    filters, labels = draw(st.integers(1, max_filters)), draw(st.integers(1, 9))
    quarter = draw(arrays(np.uint8, (filters, labels, labels), elements=st.integers(0, 3), fill=st.nothing()))
    layer = quarter < draw(st.integers(1, 4))
    return layer | (np.eye(labels, dtype=bool) & draw(st.booleans()))


def test_figure_4b_has_four_clusters_and_six_noise_elements():
    found = clusters(FIGURE_4B)
    assert found == ((0, 4, 9), (1, 2, 5), (7,), (8,))
    assert noise(FIGURE_4B, found) == 6
    assert order(found, 10) == [0, 4, 9, 1, 2, 5, 7, 8, 3, 6]


def test_figure_4a_has_one_cluster_and_no_noise():
    matrix = blocks_and_extras(10, [(1, 5, 8)], [])
    assert clusters(matrix) == ((1, 5, 8),)
    assert noise(matrix, clusters(matrix)) == 0
    assert order(clusters(matrix), 10) == [1, 5, 8, 0, 2, 3, 4, 6, 7, 9]


def test_two_full_columns_are_mostly_noise_as_in_figure_4c():
    matrix = np.zeros((10, 10), dtype=bool)
    matrix[:, [2, 6]] = True
    assert clusters(matrix) == ((2, 6),)
    assert noise(matrix, clusters(matrix)) == 16


def test_the_direction_of_the_walk_can_turn_sizes_3_and_1_into_2_and_2():
    # SI: sizes 3 × 3 and 1 × 1 "can yield in certain very rare scenarios, two clusters of size 2 × 2".
    matrix = blocks_and_extras(4, [(0, 1, 2), (2, 3)], [])
    assert clusters(matrix) == ((0, 1, 2), (3,))
    assert clusters(matrix, reverse=True) == ((3, 2), (1, 0))


def test_a_label_joins_only_if_both_directions_are_above_threshold():
    assert clusters(np.array([[True, True], [False, True]])) == ((0,), (1,))
    assert clusters(np.array([[True, False], [True, True]])) == ((0,), (1,))


@pytest.mark.parametrize("label_count", [1, 2, 10, 100])
def test_all_ones_are_one_cluster_and_all_zeros_none(label_count):
    ones = np.ones((label_count, label_count), dtype=bool)
    assert clusters(ones) == (tuple(range(label_count)),)
    assert noise(ones, clusters(ones)) == 0
    assert clusters(~ones) == ()
    assert noise(~ones, ()) == 0
    assert order((), label_count) == list(range(label_count))


@settings(deadline=None)
@given(layers())
def test_clusters_and_noise_are_those_of_the_plain_version(layer):
    found = clusters(layer[0])
    assert found == plain_clusters(layer[0].tolist())
    assert clusters(layer[0], reverse=True) == plain_clusters(layer[0].tolist(), reverse=True)
    assert noise(layer[0], found) == plain_noise(layer[0].tolist(), found)


@pytest.mark.parametrize("density", [0.05, 0.3, 0.9])
@pytest.mark.parametrize("reverse", [False, True])
def test_clusters_of_100_labels_are_those_of_the_plain_version(density, reverse):
    random = np.random.default_rng(0)
    half = random.random((100, 100)) < density
    matrix = (half | half.T) ^ (random.random((100, 100)) < 0.01)
    assert clusters(matrix, reverse) == plain_clusters(matrix.tolist(), reverse)


@settings(deadline=None)
@given(layers())
def test_clusters_are_blocks_of_ones_that_no_later_free_label_could_join(layer):
    matrix = layer[0]
    free = set(np.flatnonzero(matrix.diagonal()).tolist())
    for labels in clusters(matrix):
        assert labels[0] == min(free)
        assert matrix[np.ix_(labels, labels)].all()
        free -= set(labels)
        for label in free:
            block = [*labels, label]
            assert not matrix[np.ix_(block, block)].all()
    assert not free


@settings(deadline=None)
@given(layers(), st.booleans())
def test_each_diagonal_one_is_in_exactly_one_cluster_whatever_the_walk(layer, reverse):
    members = [label for labels in clusters(layer[0], reverse) for label in labels]
    assert sorted(members) == np.flatnonzero(layer[0].diagonal()).tolist()


@settings(deadline=None)
@given(layers(), st.booleans())
def test_ones_are_blocks_plus_noise_and_noise_is_never_negative(layer, reverse):
    found = clusters(layer[0], reverse)
    amount = noise(layer[0], found)
    assert amount >= 0
    assert layer[0].sum() == sum(len(labels) ** 2 for labels in found) + amount


@settings(deadline=None)
@given(layers())
def test_the_order_is_a_permutation_that_puts_the_clusters_on_the_diagonal(layer):
    found = clusters(layer[0])
    label_count = len(layer[0])
    permutation = order(found, label_count)
    assert sorted(permutation) == list(range(label_count))
    permuted = layer[0][np.ix_(permutation, permutation)]
    start = 0
    for labels in found:
        stop = start + len(labels)
        assert permuted[start:stop, start:stop].all()
        start = stop
    assert not permuted.diagonal()[start:].any()


@settings(deadline=None)
@given(st.permutations(range(8)), st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_permuting_the_labels_of_separate_blocks_changes_only_their_names(names, sizes):
    edges = np.minimum(np.cumsum([0, *sizes]), 8)
    blocks = [names[start:stop] for start, stop in zip(edges[:-1], edges[1:], strict=True) if stop > start]
    matrix = blocks_and_extras(8, blocks, [])
    for reverse in (False, True):
        found = clusters(matrix, reverse)
        assert {frozenset(labels) for labels in found} == {frozenset(block) for block in blocks}
        assert noise(matrix, found) == 0


@settings(deadline=None)
@given(layers(max_filters=5), st.booleans())
def test_all_filters_at_once_give_what_each_gives_alone(layer, reverse):
    numbers = number_clusters(layer, reverse)
    sizes = cluster_sizes(numbers)
    for matrix, numbers_of_filter, sizes_of_filter in zip(layer, numbers, sizes, strict=True):
        found = plain_clusters(matrix.tolist(), reverse)
        expected = [-1] * len(matrix)
        for number, labels in enumerate(found):
            for label in labels:
                expected[label] = number
        assert numbers_of_filter.tolist() == expected
        assert sizes_of_filter.tolist() == [len(labels) for labels in found] + [0] * (len(matrix) - len(found))


def test_clipping_is_strict():
    fields = np.array([[[0.3, np.nextafter(0.3, 1)], [-1.0, 1.0]]])
    assert clip(fields, 0.3).tolist() == [[[False, True], [False, True]]]


def test_fields_are_averaged_over_unequal_numbers_of_images_and_divided_by_the_largest():
    sums = np.array([[[2.0, 1.0], [4.0, -8.0]]])
    fields, silent, largest = normalise_fields(sums, np.array([1, 8]))  # means 2, 1 and 0.5, -1
    assert fields.tolist() == [[[1.0, 0.5], [0.25, -0.5]]]
    assert (silent.tolist(), largest.tolist()) == ([False], [2])


@pytest.mark.parametrize("largest", [0.0, -1.0])
def test_a_filter_without_a_positive_field_is_silent_and_never_above_threshold(largest):
    sums = np.array([[[largest, -2.0], [-3.0, -4.0]], [[1.0, -2.0], [-3.0, -4.0]]])
    fields, silent, _ = normalise_fields(sums, np.array([1, 1]))
    assert silent.tolist() == [True, False]
    assert np.isnan(fields[0]).all()
    assert clip(fields, 0.3).sum(axis=(1, 2)).tolist() == [0, 1]


def test_a_label_without_images_is_in_no_cluster_and_makes_no_noise():
    sums = np.array([[[3.0, 3.0, 3.0], [0.0, 0.0, 0.0], [3.0, 3.0, 3.0]]])
    fields, silent, _ = normalise_fields(sums, np.array([3, 0, 3]))
    assert np.isnan(fields[0, 1]).all()
    assert not silent.any()
    matrix = clip(fields, 0.3)[0]
    assert clusters(matrix) == ((0, 2),)
    assert noise(matrix, clusters(matrix)) == 2  # column 1


def test_a_layer_without_any_images_is_silent():
    assert normalise_fields(np.zeros((2, 3, 3)), np.zeros(3, dtype=int))[1].tolist() == [True, True]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_fields_that_are_not_finite_are_refused(value):
    with pytest.raises(InputError, match="diverged"):
        normalise_fields(np.array([[[1.0, value], [0.0, 1.0]]]), np.array([1, 1]))


def test_decision_shares_sum_to_one_and_are_empty_for_a_label_without_decided_images():
    shares = decision_shares(np.array([[[3, 1], [0, 0]], [[0, 2], [5, 5]]]))
    np.testing.assert_array_equal(shares, [[[0.75, 0.25], [np.nan, np.nan]], [[0.0, 1.0], [0.5, 0.5]]])
