"""Heads trained anew on the filters that are left: against the heads and success rates of those filters alone."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from singlefilter.dilution.retrain import FiltersLeft, retrain_heads
from singlefilter.heads.train import StoredFeatures, train_heads

LABEL_COUNT, FILTERS = 3, 8
pytestmark = pytest.mark.usefixtures("one_thread")


def features_and_labels(images: int, seed: int) -> tuple[Tensor, Tensor]:
    """Images of three labels, each label told by filters of its own under noise."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(LABEL_COUNT, size=images)
    features = generator.random((images, FILTERS, 2))
    features[np.arange(FILTERS) % LABEL_COUNT == labels[:, None]] += 0.6
    return torch.from_numpy(features.astype(np.float16)), torch.from_numpy(labels)


def test_the_head_is_trained_and_measured_on_the_filters_that_are_left(make_params, checkpoint, capsys):
    params = make_params()
    train, test = features_and_labels(40, 1), features_and_labels(200, 2)
    measured = retrain_heads(StoredFeatures({2: train[0]}), train[1], test, LABEL_COUNT, params, (3, 2), checkpoint)
    assert ", 4 filters fewer " in capsys.readouterr().out
    assert [row.removed_filters for row in measured] == [0, 2, 4, 6]
    order = np.random.default_rng([3, 2, 0]).permutation(FILTERS)  # the first draw of dilution's random removal
    for row in measured:
        left = [filter for filter in range(FILTERS) if order[filter] >= row.removed_filters]
        alone = {row.removed_filters: train[0][:, left]}
        (head,) = train_heads(StoredFeatures(alone), train[1], LABEL_COUNT, params, 3, checkpoint).values()
        fields = np.einsum("nfs,kfs->nk", test[0][:, left].double().numpy(), head.double().numpy())
        assert row.accuracy == (fields.argmax(1) == test[1].numpy()).mean()
        assert (row.kind, row.weights_kept, row.draws) == ("random_retrained", len(left) / FILTERS, 1)
    assert len({row.accuracy for row in measured}) >= 3
    assert measured[0].accuracy > 0.6


def test_the_filters_that_are_left_are_asked_for_with_the_layers_own_moves():
    whole = SimpleNamespace(shapes={2: (8, 2)}, translation=4, flip=True, on_device=False)
    left = FiltersLeft(whole, {2: torch.arange(6)})
    assert (left.translation, left.flip, left.on_device, left.shapes) == (4, True, False, {2: (6, 2)})
