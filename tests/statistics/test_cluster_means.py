import numpy as np
import pytest

from singlefilter.filters.clusters import number_clusters
from singlefilter.filters.layer_clusters import LayerClusters
from singlefilter.statistics.cluster_means import (
    appearance_statistics,
    cluster_means,
    count_decisions,
    decision_statistics,
    layer_statistics,
)
from tests.hand_made_filters import clipped_filters, find_layer_clusters


@pytest.fixture
def layer() -> LayerClusters:
    return find_layer_clusters(clipped_filters(), np.array([False, False, False, True, False]))


def silent_layer(filters: int = 2, labels: int = 3) -> LayerClusters:
    return find_layer_clusters(np.zeros((filters, labels, labels), dtype=bool), np.ones(filters, dtype=bool))


def test_statistics_of_hand_made_filters(layer):
    assert layer_statistics(layer) == pytest.approx(
        {
            "filters": 5,
            "noise": (1 + 2 + 3 + 0) / 4,
            "noise_clustered": (1 + 2 + 0) / 3,
            "clusters": (1 + 3 + 0 + 1) / 4,
            "cluster_size": (2 + 1 + 1 + 1 + 4) / 5,
            "size_share_1": 3 / 5,
            "size_share_2": 1 / 5,
            "size_share_3": 0,
            "size_share_4": 1 / 5,
            "silent_filters": 1,
        }
    )


def test_a_layer_of_silent_filters_has_no_means_and_no_warning():
    found = layer_statistics(silent_layer())
    assert found["filters"] == found["silent_filters"] == 2
    assert all(np.isnan(value) for name, value in found.items() if name not in ("filters", "silent_filters"))


def test_a_layer_without_clusters_has_noise_but_no_cluster_size():
    found = layer_statistics(find_layer_clusters(clipped_filters()[2:3], np.array([False])))
    assert (found["noise"], found["clusters"]) == (3, 0)
    assert np.isnan([found["noise_clustered"], found["cluster_size"], found["size_share_1"]]).all()


def test_random_layers_agree_with_the_definition_of_each_statistic():
    clipped = np.random.default_rng(0).random((200, 10, 10)) < 0.3
    found = layer_statistics(find_layer_clusters(clipped, np.zeros(200, dtype=bool)))
    sizes = [np.count_nonzero(row == number) for row in number_clusters(clipped) for number in set(row) - {-1}]
    assert found["noise"] == pytest.approx((clipped.sum() - np.square(sizes).sum()) / 200)
    assert found["clusters"] == pytest.approx(len(sizes) / 200)
    # SI: the average size is the sum of the sizes times their shares.
    assert found["cluster_size"] == pytest.approx(sum(size * found[f"size_share_{size}"] for size in range(1, 11)))
    assert found["cluster_size"] == pytest.approx(np.mean(sizes))


def test_weights_are_numbers_of_copies(layer):
    weights = np.array([[1.0, 1, 1, 1, 1], [3, 0, 2, 5, 1], [0, 0, 0, 4, 0]])
    found = cluster_means(layer, weights)
    copies = layer_statistics(find_layer_clusters(clipped_filters()[[0, 0, 0, 2, 2, 4]], np.zeros(6, dtype=bool)))
    plain = layer_statistics(layer)
    for name, values in found.items():
        assert values == pytest.approx([plain[name], copies[name], np.nan], nan_ok=True), name


def test_appearances_are_counted_by_label_and_compared_over_labels(layer):
    # Clusters with label 0, 1, 2, 3: 3, 2, 2, 2; with the weights: 3, 3, 1, 1.
    found = appearance_statistics(layer, np.ones(4), np.array([[1.0, 1, 1, 1, 1], [2, 0, 1, 1, 1]]))
    assert found["appearances"] == pytest.approx([9 / 4, 2])
    assert found["appearances_variation"] == pytest.approx([np.sqrt(3 / 16) / (9 / 4), 1 / 2])
    # 4 filters that are not silent; p = 9 / 16 and 2 / 4.
    assert found["appearances_variation_independent"] == pytest.approx([np.sqrt(7 / 9 / 4), np.sqrt(1 / 4)])


def test_independent_filters_are_as_even_as_they_are_said_to_be():
    generator = np.random.default_rng(0)
    numbers = np.where(generator.random((400, 60)) < 0.3, 0, -1)  # a label is in a filter's cluster with p = 0.3
    layer = LayerClusters(np.zeros(400, dtype=bool), np.zeros(400, dtype=int), numbers)
    found = appearance_statistics(layer, np.ones(60), np.ones((1, 400)))
    assert found["appearances_variation_independent"] == pytest.approx(np.sqrt((1 / 0.3 - 1) / 400), rel=0.02)
    assert found["appearances_variation"] == pytest.approx(found["appearances_variation_independent"], rel=0.2)


def test_appearances_leave_out_labels_without_images(layer):
    found = appearance_statistics(layer, np.array([0, 5, 5, 1]), np.ones((1, 5)))
    assert (found["appearances"].tolist(), found["appearances_variation"].tolist()) == ([2], [0])


def test_appearances_are_0_without_clusters_and_unknown_without_filters():
    no_clusters = find_layer_clusters(clipped_filters()[2:3], np.array([False]))
    found = appearance_statistics(no_clusters, np.ones(4), np.ones((1, 1)))
    assert found["appearances"].tolist() == [0]
    assert np.isnan(found["appearances_variation"]).all()
    found = appearance_statistics(silent_layer(), np.ones(3), np.ones((1, 2)))
    assert np.isnan([*found["appearances"], *found["appearances_variation"]]).all()


def test_decisions_are_counted_over_all_input_labels():
    decisions = np.arange(3 * 2 * 2).reshape(3, 2, 2)
    counts, right = count_decisions(decisions)
    assert counts.tolist() == [[0 + 2, 1 + 3], [4 + 6, 5 + 7], [8 + 10, 9 + 11]]
    assert right.tolist() == [0 + 3, 4 + 7, 8 + 11]


def test_a_filter_decides_one_label_from_99_of_100_images_on():
    # Also 693 of 700, where 0.99 times the number of images is not exact; a filter that decides nothing is left out.
    counts = np.array([[99, 1], [98, 2], [0, 0], [7, 693], [0, 1]])
    right = np.array([60, 10, 0, 400, 1])
    weights = np.array([[1.0, 1, 1, 1, 1], [1, 2, 2, 0, 0], [0, 0, 3, 0, 0]])
    found = decision_statistics(counts, right, 1000, weights)
    assert found["one_decision_share"] == pytest.approx([3 / 4, 1 / 3, np.nan], nan_ok=True)
    assert found["single_accuracy"] == pytest.approx([0.471 / 5, (0.06 + 2 * 0.01) / 5, 0])


def test_a_filter_picks_few_labels_if_three_of_them_have_four_fifths_of_its_images():
    counts = np.array([[30, 10, 0, 40, 20], [30, 11, 0, 40, 19], [0] * 5, [20, 21, 20, 19, 20], [1, 0, 0, 0, 0]])
    found = decision_statistics(counts, np.zeros(5), 100, np.array([[1.0, 1, 1, 1, 1], [1, 0, 1, 1, 0]]))
    assert found["few_decisions_share"] == pytest.approx([3 / 4, 1 / 2])  # .9, .89, none, .61, 1


def test_few_labels_have_four_fifths_or_more():
    counts = np.array([[40, 20, 20, 10, 10], [40, 20, 19, 11, 10]])
    assert decision_statistics(counts, np.zeros(2), 100, np.ones((1, 2)))["few_decisions_share"] == [1 / 2]
