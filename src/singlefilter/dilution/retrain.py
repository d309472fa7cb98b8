"""A head trained anew on the filters that a random removal has left (Discussion)."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from singlefilter.dilution.remove import Measurement, filter_places
from singlefilter.heads.train import Features, accuracy, train_heads
from singlefilter.paper.values import REMOVED_SHARE
from singlefilter.pipeline.params import Params
from singlefilter.training.checkpoint import Checkpoint

QUARTERS = (0, 1, 2, 3)  # of the filters, removed beside the paper's share: few, since each needs a training


def retrained_counts(filters: int) -> list[int]:
    """Numbers of filters to remove before the head is trained anew: quarters, and the paper's 150 of 512.

    None, the first of them, is what the others compare with: the same training with all filters.
    """
    counts = {round(filters * quarter / 4) for quarter in QUARTERS} | {round(filters * REMOVED_SHARE)}
    return sorted(counts - {filters})


class FiltersLeft:
    """The features of one layer, several times over, each time with other filters left.

    Args:
        features: Of the layer alone.
        left: For each number of removed filters those that are left, int64 (n,).

    Attributes:
        shapes: For each number of removed filters its (n, S).
    """

    def __init__(self, features: Features, left: Mapping[int, Tensor]):
        (self._shape,) = features.shapes.values()
        self._features, self._left = features, left
        self.shapes = {count: (len(kept), self._shape[1]) for count, kept in left.items()}
        self.translation, self.flip, self.on_device = features.translation, features.flip, features.on_device

    def rows(self, index: Tensor, flips: Tensor, shifts: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Give a step's features by number of removed filters; see heads.train.Features."""
        for _, rows in self._features.rows(index, flips, shifts):
            filters = rows.unflatten(1, self._shape)  # (n, F * S) -> (n, F, S)
            for count, kept in self._left.items():
                yield count, filters.index_select(1, kept).flatten(1)  # (n, f, S) -> (n, f * S)


def retrain_heads(
    features: Features,
    labels: Tensor,
    test: tuple[Tensor, Tensor],
    label_count: int,
    params: Params,
    seed: Sequence[int],
    checkpoint: Checkpoint,
) -> list[Measurement]:
    """Remove filters as the first of dilution's random draws does, and train the head on those that are left.

    Args:
        features: What the layer's head is trained on.
        labels: int64 (N,), where to train.
        test: Features of the test set, float (n, F, S), and their labels, int64 (n,), there too.
        label_count: K.
        params: The head's rates and epochs.
        seed: What the draws are seeded with, (sample, layer); the first also seeds the training.
        checkpoint: Where the state is kept; training goes on from what it holds.

    Returns:
        A measurement of kind random_retrained for each number of filters.

    Raises:
        InputError: A loss or a weight is no longer finite.
    """
    ((filters, _),) = features.shapes.values()
    places = torch.from_numpy(filter_places(filters, seed, draws=1)[0]).to(labels.device)  # (F,)
    left = {count: (places >= count).nonzero().flatten() for count in retrained_counts(filters)}
    heads = train_heads(FiltersLeft(features, left), labels, label_count, params, seed[0], checkpoint)
    return [
        Measurement(
            kind="random_retrained",
            label=None,
            removed_filters=count,
            weights_kept=len(kept) / filters,
            draws=1,
            accuracy=accuracy(test[0].index_select(1, kept), test[1], heads[count]),
            accuracy_std=None,
            label_accuracy=None,
            rest_accuracy=None,
        )
        for count, kept in left.items()
    ]
