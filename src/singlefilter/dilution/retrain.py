"""A head trained anew on the filters that a random removal has left (Discussion)."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from singlefilter.dilution.remove import Measurement, removal_counts, removal_ranks
from singlefilter.heads.train import Features, accuracy, train_heads
from singlefilter.pipeline.params import Params
from singlefilter.training.checkpoint import Checkpoint

QUARTERS = 4  # of the filters are removed: few parts, since each needs a training


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
    places = torch.from_numpy(removal_ranks(filters, seed, draws=1)[0]).to(labels.device)  # (F,)
    *counts, _ = removal_counts(filters, QUARTERS)  # with none removed, what the others compare with; not without all
    left = {count: (places >= count).nonzero().flatten() for count in counts}
    heads = train_heads(
        FiltersLeft(features, left), labels, label_count, params, seed[0], checkpoint, "{} filters fewer".format
    )
    return [
        Measurement(
            kind="random_retrained",
            removed_filters=count,
            weights_kept=len(kept) / filters,
            draws=1,
            accuracy=accuracy(test[0].index_select(1, kept), test[1], heads[count]),
        )
        for count, kept in left.items()
    ]
