"""Filters and weights of a head removed, and the success rate that is left (Discussion).

Each measurement is one row of metrics/dilution/seed*.csv, whose columns are:

* seed, layer: the sample and the examined layer.
* kind: what is removed.
  none: nothing. random: filters at random. label: the filters of which some cluster includes the label.
  label_largest: as many filters, those with the largest weights for the label. label_random: as many at random.
  clusters: every weight W[j, f, :] of which j is in no cluster of f. magnitude: all but the largest weights, as many
  as clusters keeps. random_weights: all but weights at random, as many again. random_retrained: the filters of random's
  first draw, the head trained anew on those that are left; only where dilution.retrain_heads asks for it.
* label: of label, label_largest and label_random the label; empty for the other kinds.
* removed_filters: number of filters silenced; empty where single weights are removed.
* weights_kept: fraction of the head's weights that is left.
* draws: number of random draws; 1 where nothing is drawn.
* accuracy: success rate over all images of the test set, a fraction; the mean over the draws.
* accuracy_std: its standard deviation over the draws (ddof 1); empty for one draw.
* label_accuracy, rest_accuracy: success rate on the images of `label`, and on all others, the mean over the draws;
  empty for kinds without a label, and where there is no such image.

Success rates are those of sums in float64. An image can be decided otherwise than in float32 only where its two largest
fields agree within float32's rounding; equal fields go to the first label, as in the head itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from singlefilter.paper.values import REMOVED_SHARE

SIXTEENTHS = 16
CHUNK_VALUES = 2**24  # 134 MB of float64


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One row, but for its seed and layer; the module says what each column is."""

    kind: str
    label: int | None = None
    removed_filters: int | None = None
    weights_kept: float
    draws: int
    accuracy: float
    accuracy_std: float | None = None
    label_accuracy: float | None = None
    rest_accuracy: float | None = None


@dataclass(frozen=True)
class Layer:
    """An examined layer: what its head sees, and what was found of its filters.

    Attributes:
        weights: The head's weights W[j, f, s], float32 (K, F, S).
        features: Activations of the test set, float16 or float32 (N, F, S); float32 is the faster.
        labels: The images' labels, int64 (N,).
        member: Whether label k is in some cluster of filter f, by the training set's fields, Boolean (F, K).
    """

    weights: np.ndarray
    features: np.ndarray
    labels: np.ndarray
    member: np.ndarray


def dilute(layer: Layer, seed: Sequence[int], draws: int = 20) -> Iterator[Measurement]:
    """Measure every kind of dilution that needs no retraining (Discussion; method, section 6).

    Args:
        layer: The layer and its head.
        seed: What the draws are seeded with, such as (sample, layer); the hardware has no part in them.
        draws: Random draws of each size, at least 1.

    Yields:
        The measurements, one for each row of the table.
    """
    yield remove_nothing(layer)
    yield from remove_random_filters(layer, removal_counts(layer.weights.shape[1], SIXTEENTHS), seed, draws)
    for label in range(len(layer.weights)):
        yield from silence_label(layer, label, seed, draws)
    yield from keep_cluster_connections(layer, seed, draws)


def removal_counts(filters: int, parts: int) -> list[int]:
    """Numbers of filters to remove: parts of all, from none on, and the paper's share, 150 of 512 (Discussion)."""
    even = {round(Fraction(filters * part, parts)) for part in range(parts + 1)}
    return sorted(even | {round(filters * REMOVED_SHARE)})


def removal_ranks(filters: int, seed: Sequence[int], draws: int) -> np.ndarray:
    """Draw orders in which filters are removed, so that a number's draws depend on no other number.

    Args:
        filters: F.
        seed: What the draws are seeded with.
        draws: Number of orders, D.

    Returns:
        int64 (D, F): the place of each filter in each order; those with a place below n are the first n to go.
    """
    generator = np.random.default_rng([*seed, 0])
    return np.stack([generator.permutation(filters) for _ in range(draws)])


def remove_nothing(layer: Layer) -> Measurement:
    """Measure the whole head."""
    return _measure("none", layer, np.ones((1, *layer.weights.shape), dtype=bool), removed_filters=0)


def remove_random_filters(
    layer: Layer, removed: Sequence[int], seed: Sequence[int], draws: int
) -> Iterator[Measurement]:
    """Silence filters at random (Discussion).

    Args:
        layer: The layer and its head.
        removed: Numbers of filters to remove.
        seed: What the draws are seeded with.
        draws: Number of draws.

    Yields:
        A measurement for each number.
    """
    places = removal_ranks(layer.weights.shape[1], seed, draws)
    for count in removed:
        yield _measure("random", layer, (places >= count)[:, None, :, None], removed_filters=count)


def silence_label(layer: Layer, label: int, seed: Sequence[int], draws: int) -> Iterator[Measurement]:
    """Silence every filter of which some cluster includes a label; then as many by weight, and at random.

    Removing any filters that vote for a label costs its images: the two others show how much of the loss is no more
    than that.

    Args:
        layer: The layer and its head.
        label: The label, k.
        seed: What the draws are seeded with; the orders are those of remove_random_filters.
        draws: Number of draws of the random filters.

    Yields:
        The three measurements: label, label_largest (by the largest W[k, f, s] over s; of equal ones the first
        filters), label_random.

    Source: Discussion; Fig. 5B; method, section 6.
    """
    of_clusters = layer.member[:, label]  # (F,)
    count = int(of_clusters.sum())
    largest_first = np.argsort(-layer.weights[label].max(axis=1), kind="stable")  # (F,)
    silenced = {
        "label": of_clusters[None],  # (1, F)
        "label_largest": np.argsort(largest_first)[None] < count,  # (1, F)
        "label_random": removal_ranks(len(of_clusters), seed, draws) < count,  # (D, F)
    }
    for kind, filters in silenced.items():
        yield _measure(kind, layer, ~filters[:, None, :, None], label=label, removed_filters=count)


def keep_cluster_connections(layer: Layer, seed: Sequence[int], draws: int) -> Iterator[Measurement]:
    """Keep W[j, f, :] only where j is in a cluster of f; then as many weights by magnitude, and at random.

    Args:
        layer: The layer and its head.
        seed: What the draws are seeded with.
        draws: Number of draws of the random weights.

    Yields:
        The three measurements: clusters, magnitude, random_weights.
    """
    weights = layer.weights
    yield _measure("clusters", layer, layer.member.T[None, :, :, None])

    count = int(layer.member.sum()) * weights.shape[2]
    largest_first = np.argsort(-np.abs(weights).ravel(), kind="stable")  # (K * F * S,)
    kept = (np.argsort(largest_first) < count).reshape(1, *weights.shape)  # (K * F * S,) -> (1, K, F, S)
    yield _measure("magnitude", layer, kept)

    generator = np.random.default_rng([*seed, 1])
    drawn = np.stack([generator.permutation(weights.size) < count for _ in range(draws)])  # (D, K * F * S)
    yield _measure("random_weights", layer, drawn.reshape(draws, *weights.shape))  # -> (D, K, F, S)


def decide(weights: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Decide each image by each of several heads: the output with the largest field, the first of equal ones.

    Args:
        weights: The heads' weights, float32 (D, K, F, S).
        features: Activations, float16 or float32 (N, F, S).

    Returns:
        Labels, int64 (N, D).
    """
    heads, outputs = weights.shape[:2]
    columns = weights.reshape(heads * outputs, -1).T.astype(np.float64)  # (F * S, D * K)
    decisions = np.empty((len(features), heads), dtype=np.int64)
    chunk = max(1, CHUNK_VALUES // max(columns.shape))
    for start in range(0, len(features), chunk):
        images = features[start : start + chunk]
        rows = images.reshape(len(images), -1).astype(np.float64)  # (n, F * S)
        fields = (rows @ columns).reshape(len(images), heads, outputs)  # (n, D, K)
        decisions[start : start + chunk] = fields.argmax(axis=2)
    return decisions


def _measure(
    kind: str, layer: Layer, kept: np.ndarray, label: int | None = None, removed_filters: int | None = None
) -> Measurement:
    """Measure heads of which only the weights `kept`, Boolean (D, K or 1, F, S or 1), are left."""
    correct = decide(layer.weights * kept, layer.features) == layer.labels[:, None]  # (N, D)
    draws = len(kept)
    per_draw = correct.sum(axis=0)  # (D,)
    return Measurement(
        kind=kind,
        label=label,
        removed_filters=removed_filters,
        weights_kept=_share(np.broadcast_to(kept[:1], (1, *layer.weights.shape))),
        draws=draws,
        accuracy=_share(correct),
        accuracy_std=float(per_draw.std(ddof=1)) / len(correct) if draws > 1 else None,
        label_accuracy=None if label is None else _share(correct[layer.labels == label]),
        rest_accuracy=None if label is None else _share(correct[layer.labels != label]),
    )


def _share(true: np.ndarray) -> float | None:
    """The share that is true, from whole numbers: draws that agree give one draw's share exactly."""
    return int(np.count_nonzero(true)) / true.size if true.size else None
