"""A head trained anew on the filters that a random removal has left (Discussion)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from singlefilter.claims.paper import REMOVED_SHARE
from singlefilter.dilution.remove import Measurement, filter_places
from singlefilter.heads.train import accuracy, train_heads
from singlefilter.pipeline.params import Params
from singlefilter.training.checkpoint import Checkpoint

QUARTERS = (0, 1, 2, 3)  # of the filters, removed beside the paper's share: few, since each needs a training


def retrained_counts(filters: int) -> list[int]:
    """Numbers of filters to remove before the head is trained anew: quarters, and the paper's 150 of 512.

    None, the first of them, is what the others compare with: the same training with all filters.
    """
    counts = {round(filters * quarter / 4) for quarter in QUARTERS} | {round(filters * REMOVED_SHARE)}
    return sorted(counts - {filters})


def retrain_heads(
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    label_count: int,
    params: Params,
    seed: Sequence[int],
    checkpoint: Checkpoint,
) -> list[Measurement]:
    """Remove filters as the first of dilution's random draws does, and train the head on those that are left.

    Args:
        train: Features float16 (N, F, S) of the training set and their labels int64 (N,), where to train.
        test: The same of the test set.
        label_count: K.
        params: The head's rates and epochs.
        seed: What the draws are seeded with, (sample, layer); the first also seeds the training.
        checkpoint: Where the state is kept; training goes on from what it holds.

    Returns:
        A measurement of kind random_retrained for each number of filters.

    Raises:
        InputError: A loss or a weight is no longer finite.
    """
    filters = train[0].shape[1]
    places = torch.from_numpy(filter_places(filters, seed, draws=1)[0]).to(train[0].device)  # (F,)
    left = {count: (places >= count).nonzero().flatten() for count in retrained_counts(filters)}
    features = {count: train[0].index_select(1, kept) for count, kept in left.items()}
    heads = train_heads(features, train[1], label_count, params, seed[0], checkpoint)
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
