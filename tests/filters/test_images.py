"""The images with the largest and smallest fields, against sorting all fields of each filter and label."""

import numpy as np
import pytest
import torch

from singlefilter.filters.images import find_images, first_images, round_features
from singlefilter.filters.pictures import picture_count, picture_side

CPU = torch.device("cpu")
pytestmark = pytest.mark.usefixtures("one_thread")


def layer(images: int = 50, filters: int = 6, positions: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, labels and a head with few binary digits: sums are exact in any order, and many fields are equal."""
    generator = np.random.default_rng(1)
    features = generator.integers(-2, 3, size=(images, filters, positions)).astype(np.float16)
    return features, generator.integers(4, size=images), generator.integers(-2, 3, (4, filters, positions)) / 2


def in_parts(features: np.ndarray, labels: np.ndarray, size: int) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(features[start : start + size], labels[start : start + size]) for start in range(0, len(labels), size)]


@pytest.mark.parametrize("size", [50, 7, 1])
def test_they_are_the_first_of_all_images_in_order_of_their_fields(size):
    features, labels, weights = layer()
    own = np.random.default_rng(2).random((6, 4)) < 0.5
    found = find_images(in_parts(features, labels, size), weights.astype(np.float32), own, 3, CPU)
    fields = np.einsum("nfs,kfs->fkn", features.astype(np.float64), weights)
    assert found.pairs.tolist() == np.argwhere(own).tolist()
    for place, (number, label) in enumerate(found.pairs):
        of = fields[number, label]
        falling = sorted(range(50), key=lambda image: (-of[image], image))[:3]
        rising = sorted(np.flatnonzero(labels == label), key=lambda image: (of[image], image))[:3]
        assert found.largest[place].tolist() == falling
        assert found.smallest[place].tolist() == rising
        assert found.largest_fields[place].tolist() == of[falling].tolist()
        assert found.smallest_fields[place].tolist() == of[rising].tolist()
    assert found.predictions.tolist() == fields.sum(axis=0).argmax(axis=0).tolist()


def test_a_label_with_fewer_images_than_wanted_leaves_the_rest_empty():
    features, _, weights = layer(images=2)
    found = find_images([(features, np.array([1, 0]))], weights.astype(np.float32), np.ones((6, 4), bool), 3, CPU)
    of_label_1 = found.pairs[:, 1] == 1
    assert (found.smallest[of_label_1] == [0, -1, -1]).all()
    assert np.isnan(found.smallest_fields[of_label_1][:, 1:]).all()
    assert (found.smallest[found.pairs[:, 1] == 3] == -1).all()
    assert (found.largest[:, 2] == -1).all() and np.isnan(found.largest_fields[:, 2]).all()


def test_of_fields_that_are_zero_whatever_their_sign_the_first_image_counts(monkeypatch):
    """Most filters have many: outputs of ReLU. Which sign a zero gets is up to the library of products."""
    fields = torch.tensor([[[0.0, -0.0, 0.0, -1.0, 1.0]]])
    monkeypatch.setattr(torch, "bmm", lambda head, features: fields)
    features, weights = np.zeros((5, 1, 1), np.float16), np.zeros((1, 1, 1), np.float32)
    found = find_images([(features, np.zeros(5, int))], weights, np.array([[True]]), 5, CPU)
    assert found.largest.tolist() == [[4, 0, 1, 2, 3]]
    assert found.smallest.tolist() == [[3, 0, 1, 2, 4]]


def test_no_more_images_are_read_than_are_wanted():
    features, labels, _ = layer()
    batches = iter(in_parts(features, labels, 20))
    read = [len(part) for part, _ in first_images(batches, 30)]
    assert read == [20, 10] and len(next(batches)[0]) == 10


def test_features_are_rounded_to_255_steps_and_zero_stays_zero():
    features = np.random.default_rng(0).normal(size=(40, 5, 2)).astype(np.float32)
    features[:, 1] = np.abs(features[:, 1])  # none below 0
    features[:, 2] = 0
    features[:, 3] = -np.abs(features[:, 3]) - 1  # none above
    features[0] = 0
    codes, steps, zeros = round_features(features)
    back = steps[:, None] * (codes.astype(np.float64) - zeros[:, None])
    widths = np.maximum(features.max((0, 2)), 0) - np.minimum(features.min((0, 2)), 0)
    assert (np.abs(back - features) <= 1.01 * widths[:, None] / 255).all()
    assert (back[features == 0] == 0).all()


@pytest.mark.parametrize(
    ("images", "side", "shown", "shown_side"),
    [(300, 32, 300, 32), (10_000, 32, 10_000, 32), (50_000, 32, 12_288, 32), (50_000, 224, 3_072, 64)],
)
def test_as_many_images_are_shown_as_fit(images, side, shown, shown_side):
    assert (picture_count(images, side), picture_side(side)) == (shown, shown_side)
