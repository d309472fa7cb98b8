"""Dilution: hand-made layers whose success rates are known, and a slow plain version."""

import re
from dataclasses import asdict, replace

import numpy as np
import pytest

from singlefilter.dilution import remove as dilution
from singlefilter.dilution.remove import (
    Layer,
    decide,
    dilute,
    keep_cluster_connections,
    removal_counts,
    remove_nothing,
    remove_random_filters,
    silence_label,
)
from singlefilter.paper.values import REMOVED_SHARE


def random_layer(images: int = 60, labels: int = 4, filters: int = 12, positions: int = 3) -> Layer:
    generator = np.random.default_rng(7)
    return Layer(
        weights=generator.standard_normal((labels, filters, positions), dtype=np.float32),
        features=generator.random((images, filters, positions)).astype(np.float16),
        labels=generator.integers(labels, size=images),
        member=generator.random((filters, labels)) < 0.4,
    )


def plain_decisions(weights: np.ndarray, features: np.ndarray) -> list[int]:
    decisions = []
    for image in features.tolist():
        fields = [
            sum(w * a for row, column in zip(output, image, strict=True) for w, a in zip(row, column, strict=True))
            for output in weights.tolist()
        ]
        decisions.append(fields.index(max(fields)))
    return decisions


def plain_accuracy(weights: np.ndarray, layer: Layer) -> float:
    decisions = plain_decisions(weights, layer.features)
    hits = [decided == label for decided, label in zip(decisions, layer.labels.tolist(), strict=True)]
    return sum(hits) / len(hits)


def four_filters() -> Layer:
    """Three labels, four filters, one position; eight images.

    Filter 0 votes for label 0 and filter 1 for label 1. Filter 2 has the cluster (1, 2) and tells 2 from 1. Filter 3
    has none, and its small weights on 0 and 2 mislead the last image, of label 2.
    """
    weights = np.zeros((3, 4, 1), dtype=np.float32)
    weights[0, 0] = 3
    weights[1, 1] = 2
    weights[1, 2], weights[2, 2] = 1, 4
    weights[0, 3], weights[2, 3] = 0.75, 0.5
    images = [
        ([1, 0, 0, 0], 0),
        ([1, 0, 0, 0], 0),
        ([0, 1, 0, 0], 1),
        ([0, 1, 0, 0], 1),
        ([0, 4, 1, 0], 1),  # fields 0, 9, 4
        ([0, 0, 1, 0], 2),
        ([0, 1, 1, 0], 2),  # fields 0, 3, 4
        ([0, 0, 0, 1], 2),  # fields 0.75, 0, 0.5
    ]
    member = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 1], [0, 0, 0]], dtype=bool)
    return Layer(
        weights=weights,
        features=np.array([activations for activations, _ in images], dtype=np.float16)[:, :, None],
        labels=np.array([label for _, label in images]),
        member=member,
    )


def test_with_nothing_removed_the_success_rate_is_the_whole_heads():
    layer = random_layer()
    expected = plain_accuracy(layer.weights, layer)
    nothing = remove_nothing(layer)
    random = next(remove_random_filters(layer, [0], (0, 13), draws=7))
    assert (nothing.accuracy, nothing.weights_kept, nothing.removed_filters, nothing.draws) == (expected, 1, 0, 1)
    assert (random.accuracy, random.accuracy_std, random.weights_kept, random.removed_filters) == (expected, 0, 1, 0)


def test_decisions_equal_plain_loops_for_every_head_and_chunk(monkeypatch):
    layer = random_layer()
    heads = np.stack([layer.weights, -layer.weights, np.roll(layer.weights, 1, axis=1)])
    expected = np.array([plain_decisions(head, layer.features) for head in heads]).T
    assert (decide(heads, layer.features) == expected).all()
    monkeypatch.setattr(dilution, "CHUNK_VALUES", 36 * 7)  # chunks of 7 images, the last of 4
    assert (decide(heads, layer.features) == expected).all()
    assert (decide(heads, layer.features.astype(np.float32)) == expected).all()


def test_fields_that_float32_cannot_tell_apart_are_decided_by_their_exact_sums():
    weights = np.array([[[1], [0], [0]], [[1], [2**-14], [-(2**-15)]]], dtype=np.float32)
    features = np.array([[[2048], [2**-14], [0]]], dtype=np.float16)  # fields 2048 and 2048 + 2**-28
    assert decide(weights[None], features).tolist() == [[1]]


def test_equal_fields_go_to_the_first_label():
    weights = np.array([[[1]], [[2]], [[2]]], dtype=np.float32)
    assert decide(weights[None], np.ones((1, 1, 1), np.float16)).tolist() == [[1]]


def test_with_all_filters_removed_every_image_is_called_label_0():
    layer = random_layer()
    (measured,) = remove_random_filters(layer, [12], (0, 13), draws=3)
    assert measured.accuracy == layer.labels.tolist().count(0) / 60
    assert (measured.accuracy_std, measured.weights_kept, measured.removed_filters) == (0, 0, 12)


def test_random_removal_averages_over_the_filters_drawn():
    # Two filters, each right about one image of two; without it that image falls to label 0, which is wrong.
    weights = np.zeros((3, 2, 1), dtype=np.float32)
    weights[1, 0], weights[2, 1] = 1, 1
    layer = Layer(
        weights,
        np.array([[1, 0], [1, 0], [1, 0], [0, 1]], dtype=np.float16)[:, :, None],
        np.array([1, 1, 1, 2]),
        np.zeros((2, 3), dtype=bool),
    )
    (measured,) = remove_random_filters(layer, [1], (0, 13), draws=40)
    without_the_second = (measured.accuracy - 0.25) / 0.5  # the share of draws with 0.75 rather than 0.25
    assert 0.2 < without_the_second < 0.8
    assert without_the_second * 40 == pytest.approx(round(without_the_second * 40))
    variance = 0.25 * without_the_second * (1 - without_the_second) * 40 / 39
    assert measured.accuracy_std == pytest.approx(variance**0.5)
    assert (measured.weights_kept, measured.draws) == (0.5, 40)


def test_random_removal_equals_silencing_filters_one_draw_at_a_time():
    layer = random_layer()
    draws = list(remove_random_filters(layer, [5], (3, 2), draws=1))
    generator = np.random.default_rng([3, 2, 0])
    removed = np.flatnonzero(generator.permutation(12) < 5)
    weights = layer.weights.copy()
    weights[:, removed] = 0
    assert len(removed) == 5
    assert draws[0].accuracy == plain_accuracy(weights, layer)
    assert draws[0].accuracy_std is None


def test_a_numbers_draws_depend_on_no_other_number():
    layer = random_layer()
    together = list(remove_random_filters(layer, [2, 6], (0, 13), draws=5))
    assert list(remove_random_filters(layer, [6], (0, 13), draws=5)) == together[1:]


@pytest.mark.parametrize(
    ("label", "removed", "kept", "on_label", "on_rest"),
    [
        (0, 1, 0.75, 2, 5),  # without filter 0 its images have no field at all, which is label 0
        (1, 2, 0.5, 0, 2),  # only filter 0 is left, and filter 3, which errs
        (2, 1, 0.75, 0, 5),
    ],
)
def test_silencing_a_label_removes_the_filters_with_a_cluster_of_it(label, removed, kept, on_label, on_rest):
    measured = next(silence_label(four_filters(), label, (0, 13), draws=2))
    images = {0: 2, 1: 3, 2: 3}[label]
    assert (measured.kind, measured.label) == ("label", label)
    assert (measured.removed_filters, measured.weights_kept) == (removed, kept)
    assert measured.label_accuracy == on_label / images
    assert measured.rest_accuracy == on_rest / (8 - images)
    assert measured.accuracy == (on_label + on_rest) / 8
    assert (measured.draws, measured.accuracy_std) == (1, None)


def test_silencing_a_label_equals_plain_loops():
    layer = random_layer()
    for label in range(4):
        weights = layer.weights.copy()
        for filter in range(12):
            if layer.member[filter, label]:
                weights[:, filter] = 0
        assert next(silence_label(layer, label, (0, 13), draws=2)).accuracy == plain_accuracy(weights, layer)


def plain_rates(weights: np.ndarray, layer: Layer, label: int) -> tuple[list[int], list[int]]:
    """Whether each image of the label, and each other image, is decided correctly."""
    decided = zip(plain_decisions(weights, layer.features), layer.labels.tolist(), strict=True)
    hits = [(int(chosen == true), true) for chosen, true in decided]
    return [hit for hit, true in hits if true == label], [hit for hit, true in hits if true != label]


def test_beside_a_labels_filters_as_many_with_the_largest_weights_for_it_are_silenced():
    layer = random_layer()
    for label in range(4):
        weights = layer.weights.copy()
        largest = sorted(range(12), key=lambda filter: max(weights[label, filter].tolist()), reverse=True)
        count = sum(layer.member[:, label].tolist())
        weights[:, largest[:count]] = 0
        on_label, on_rest = plain_rates(weights, layer, label)
        _, measured, _ = silence_label(layer, label, (0, 13), draws=2)
        assert (measured.kind, measured.label, measured.removed_filters) == ("label_largest", label, count)
        assert (measured.weights_kept, measured.draws, measured.accuracy_std) == ((12 - count) / 12, 1, None)
        assert measured.accuracy == sum(on_label + on_rest) / 60
        assert measured.label_accuracy == sum(on_label) / len(on_label)
        assert measured.rest_accuracy == sum(on_rest) / len(on_rest)


def test_of_equal_largest_weights_those_of_the_first_filters_are_silenced():
    # Filters 1, 2 and 3 all have 2 for label 1; only image 0 is seen by filter 1, and only image 1 by filter 2.
    weights = np.zeros((2, 4, 2), dtype=np.float32)
    weights[1] = [[-5, 1], [0, 2], [2, -3], [2, 1]]
    features = np.zeros((2, 4, 2), dtype=np.float16)
    features[0, 1, 1] = features[1, 2, 0] = 1
    layer = Layer(weights, features, np.array([1, 1]), np.array([[0, 1], [0, 0], [0, 0], [0, 0]], dtype=bool))
    _, measured, _ = silence_label(layer, 1, (0, 13), draws=2)
    assert measured.removed_filters == 1
    assert measured.accuracy == 0.5  # filter 1 is gone, filter 2 is not; by magnitude it would be filter 0
    two = replace(layer, member=np.array([[0, 1], [0, 1], [0, 0], [0, 0]], dtype=bool))
    assert [measured.accuracy for measured in silence_label(two, 1, (0, 13), draws=2)][:2] == [0.5, 0]


def test_beside_a_labels_filters_as_many_at_random_are_silenced():
    layer = random_layer()
    generator = np.random.default_rng([3, 2, 0])
    orders = [generator.permutation(12).tolist() for _ in range(3)]  # the place of each filter
    for label in range(4):
        count = sum(layer.member[:, label].tolist())
        on_label, on_rest, accuracies = [], [], []
        for order in orders:
            weights = layer.weights.copy()
            weights[:, [filter for filter in range(12) if order[filter] < count]] = 0
            of_label, of_rest = plain_rates(weights, layer, label)
            accuracies.append(sum(of_label + of_rest) / 60)
            on_label, on_rest = on_label + of_label, on_rest + of_rest
        _, _, measured = silence_label(layer, label, (3, 2), draws=3)
        assert (measured.kind, measured.label, measured.removed_filters) == ("label_random", label, count)
        assert (measured.weights_kept, measured.draws) == ((12 - count) / 12, 3)
        assert measured.accuracy == pytest.approx(sum(accuracies) / 3)
        assert measured.accuracy_std == pytest.approx(np.std(accuracies, ddof=1))
        assert measured.label_accuracy == sum(on_label) / len(on_label)
        assert measured.rest_accuracy == sum(on_rest) / len(on_rest)


def test_a_label_without_images_has_no_success_rate():
    layer = replace(four_filters(), labels=np.array([0, 0, 1, 1, 1, 1, 1, 1]))
    assert [measured.label_accuracy for measured in silence_label(layer, 2, (0, 13), draws=2)] == [None] * 3
    alone = replace(layer, labels=np.zeros(8, dtype=np.int64))
    assert [measured.rest_accuracy for measured in silence_label(alone, 0, (0, 13), draws=2)] == [None] * 3


def test_cluster_connections_keep_only_the_weights_on_a_filters_cluster_labels():
    clusters, magnitude, random = keep_cluster_connections(four_filters(), (0, 13), draws=6)
    # Without filter 3 the last image's fields are all 0: label 0, an error as before.
    assert (clusters.kind, clusters.accuracy, clusters.weights_kept) == ("clusters", 7 / 8, 4 / 12)
    # The four largest of the weights are those of the clusters: 4, 3, 2 and 1.
    assert (magnitude.kind, magnitude.accuracy, magnitude.weights_kept) == ("magnitude", 7 / 8, 4 / 12)
    assert (random.kind, random.weights_kept, random.draws) == ("random_weights", 4 / 12, 6)


def test_weights_are_kept_by_cluster_and_by_size_as_in_plain_loops():
    layer = random_layer()
    by_cluster, by_size = np.zeros_like(layer.weights), np.zeros_like(layer.weights)
    for (j, f, s), weight in np.ndenumerate(layer.weights):
        if layer.member[f, j]:
            by_cluster[j, f, s] = weight
    count = int(np.count_nonzero(by_cluster))
    for place in sorted(np.ndindex(layer.weights.shape), key=lambda place: -abs(layer.weights[place]))[:count]:
        by_size[place] = layer.weights[place]
    clusters, magnitude, random = keep_cluster_connections(layer, (0, 13), draws=2)
    assert clusters.accuracy == plain_accuracy(by_cluster, layer)
    assert magnitude.accuracy == plain_accuracy(by_size, layer)
    assert clusters.weights_kept == magnitude.weights_kept == random.weights_kept == count / layer.weights.size


def test_magnitude_keeps_exactly_as_many_among_equal_weights():
    layer = replace(random_layer(), weights=np.full((4, 12, 3), -0.5, dtype=np.float32))
    clusters, magnitude, random = keep_cluster_connections(layer, (0, 13), draws=2)
    assert clusters.weights_kept == magnitude.weights_kept == random.weights_kept == layer.member.sum() / 48


def test_the_numbers_removed_are_even_parts_from_none_to_all_and_the_papers():
    assert removal_counts(512, 16) == sorted([*range(0, 513, 32), 150])
    sixteenths = [0, 22, 44, 66, 88, 109, 131, 153, 175, 197, 219, 241, 262, 284, 306, 328, 350]
    assert removal_counts(350, 16) == sorted([*sixteenths, 103])
    assert removal_counts(3, 16) == [0, 1, 2, 3]
    assert removal_counts(512, 4) == [0, 128, 150, 256, 384, 512]
    assert removal_counts(8, 4) == [0, 2, 4, 6, 8]  # 8 * 150 / 512 is 2.3
    assert float(REMOVED_SHARE) == 150 / 512


def test_every_kind_is_measured_once():
    kinds = [measured.kind for measured in dilute(random_layer(), (0, 13), draws=2)]
    of_labels = ["label", "label_largest", "label_random"] * 4
    assert kinds == ["none"] + ["random"] * 13 + of_labels + ["clusters", "magnitude", "random_weights"]


def test_the_same_seed_draws_the_same_and_another_does_not():
    layer = random_layer()
    first, again, other = (list(dilute(layer, seed, draws=3)) for seed in [(0, 13), (0, 13), (1, 13)])
    assert first == again
    drawn = {"random", "label_random", "random_weights"}
    for kind in drawn:
        assert [m for m in first if m.kind == kind] != [m for m in other if m.kind == kind]
    assert [m for m in first if m.kind not in drawn] == [m for m in other if m.kind not in drawn]


def test_columns_are_documented_where_they_are_made():
    for column in ["seed", "layer", *asdict(remove_nothing(four_filters()))]:
        assert re.search(rf"^\* (\w+, )*{column}(, \w+)*: ", dilution.__doc__, re.MULTILINE)


def test_weights_at_random_are_drawn_anew_each_time():
    layer = random_layer()
    *_, measured = keep_cluster_connections(layer, (3, 2), draws=3)
    generator, count = np.random.default_rng([3, 2, 1]), int(layer.member.sum()) * 3
    kept = [(generator.permutation(144) < count).reshape(4, 12, 3) for _ in range(3)]
    accuracies = [plain_accuracy(layer.weights * weights, layer) for weights in kept]
    assert len({*accuracies}) > 1
    assert measured.accuracy == pytest.approx(np.mean(accuracies))
    assert measured.accuracy_std == pytest.approx(np.std(accuracies, ddof=1))
