"""Which labels the images of filters are of, and what decisions are explained from."""

from types import SimpleNamespace

import numpy as np
import pytest

from singlefilter.filters.store import FilterMatrices
from stages.filter_images import explain, find_own_labels


def test_decisions_are_explained_from_what_the_network_puts_out():
    values = np.random.default_rng(0).random((9, 3, 2)).astype(np.float16)
    scales = np.array([1, 2**-10, 8], dtype=np.float32)
    features = SimpleNamespace(scales=scales, stream=lambda split, images: iter([(values, np.zeros(9, dtype=int))]))
    found = explain(features, np.ones((4, 3, 2), dtype=np.float32), 9)
    outputs = found.steps[:, np.newaxis] * (found.codes.astype(float) - found.zeros[:, np.newaxis])
    assert (np.abs(outputs - values * scales[:, np.newaxis]) <= found.steps[:, np.newaxis]).all()
    assert found.steps == pytest.approx(values.max(axis=(0, 2)) * scales / 255, rel=1e-5)


def test_own_labels_are_above_the_lowest_of_the_swept_thresholds():
    fields = np.array([[[1.0, 0, 0], [0, 0.35, 0], [0, 0, 0.3]]])
    matrices = FilterMatrices(fields, np.zeros((1, 3, 3), dtype=int), np.ones(3, dtype=int), np.zeros(1, dtype=int))
    assert find_own_labels(matrices).tolist() == [[True, True, False]]
