"""The clusters and noise of all filters of a layer, read a few filters at a time (SI, Fig. 4)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import h5py
import numpy as np

from singlefilter.filters.clusters import clip, cluster_sizes, count_ones, normalise_fields, walk


@dataclass(frozen=True)
class LayerClusters:
    """The clusters of one layer of one sample at one threshold.

    Attributes:
        silent: bool (F,); filters without a positive field, which no statistic of clusters includes.
        noise: int64 (F,); elements above threshold that are in no cluster's block.
        numbers: int64 (F, K); the number of the label's cluster within the filter, -1 in no cluster.
    """

    silent: np.ndarray
    noise: np.ndarray
    numbers: np.ndarray


def slabs(matrices: h5py.Dataset | np.ndarray, elements: int = 2**22) -> Iterator[np.ndarray]:
    """Read a layer's matrices, (F, K, K), a few filters at a time.

    Args:
        matrices: The open data set; with 1,000 labels it is too large to hold.
        elements: The most matrix elements to hold at once; one filter's are held in any case.

    Yields:
        The matrices of consecutive filters, (filters of the slab, K, K).
    """
    filters, labels, _ = matrices.shape
    step = max(elements // labels**2, 1)
    for first in range(0, filters, step):
        yield matrices[first : first + step]


def label_slabs(matrices: h5py.Dataset | np.ndarray, elements: int = 2**22) -> Iterator[tuple[int, np.ndarray]]:
    """Read a layer's matrices, (F, K, K), of all filters, one input label after another.

    Args:
        matrices: The open data set; with 1,000 labels it is too large to hold.
        elements: The most matrix elements to read at once; one label's are read in any case.

    Yields:
        Each label, and its rows, (F, K).
    """
    filters, labels, _ = matrices.shape
    step = max(elements // (filters * labels), 1)
    for first in range(0, labels, step):
        slab = matrices[:, first : first + step]  # (F, labels of the slab, K)
        yield from enumerate(slab.swapaxes(0, 1), start=first)


def normalised_slabs(
    fields: h5py.Dataset | np.ndarray, images_per_label: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Read a layer's fields, float (F, K, K), a few filters at a time, and normalise them as normalise_fields does."""
    for sums in slabs(fields):
        yield normalise_fields(sums, images_per_label)


def find_at_thresholds(
    normalised: np.ndarray, silent: np.ndarray, thresholds: Sequence[float], reverse: Sequence[bool] = (False,)
) -> list[dict[float, LayerClusters]]:
    """Find the clusters of filters at each of several thresholds, which takes less than finding them one by one.

    Args:
        normalised: float (F, K, K), as normalise_fields gives them.
        silent: bool (F,).
        thresholds: T of them, each in (0, 1).
        reverse: Of each walk, whether it goes from the last label to the first.

    Returns:
        For each walk the clusters at each threshold.
    """
    filters, labels, _ = normalised.shape
    levels = np.reshape(thresholds, (-1, 1, 1, 1))  # (T,) -> (T, 1, 1, 1)
    ones = count_ones(clip(normalised, levels).reshape(-1, labels, labels)).reshape(-1, filters)  # (T, F)
    smaller = np.minimum(normalised, normalised.swapaxes(1, 2))  # of the elements (i, j) and (j, i)
    both_ways = clip(smaller, levels).reshape(-1, labels, labels)  # (T, F, K, K) -> (T * F, K, K)
    found = []
    for backwards in reverse:
        numbers = walk(both_ways, backwards)
        in_blocks = (cluster_sizes(numbers) ** 2).sum(axis=1).reshape(-1, filters)  # (T, F)
        parts = zip(thresholds, ones - in_blocks, numbers.reshape(-1, filters, labels), strict=True)
        found.append({threshold: LayerClusters(silent, noise, of_filters) for threshold, noise, of_filters in parts})
    return found


def concatenate(parts: Sequence[dict[float, LayerClusters]]) -> dict[float, LayerClusters]:
    """Put the clusters of a layer's consecutive parts together, threshold by threshold."""
    return {
        threshold: LayerClusters(
            silent=np.concatenate([part[threshold].silent for part in parts]),
            noise=np.concatenate([part[threshold].noise for part in parts]),
            numbers=np.concatenate([part[threshold].numbers for part in parts]),
        )
        for threshold in parts[0]
    }


def cluster_layer(
    fields: h5py.Dataset | np.ndarray,
    images_per_label: np.ndarray,
    thresholds: Sequence[float],
    reverse: bool = False,
) -> dict[float, LayerClusters]:
    """Find the clusters of one layer of one sample, at several thresholds in one pass through the file.

    Args:
        fields: float (F, K, K); summed over the images of each input label.
        images_per_label: int (K,).
        thresholds: Each in (0, 1).
        reverse: Walk from the last label to the first.

    Returns:
        The clusters at each threshold.

    Raises:
        InputError: A field is not finite.
    """
    return concatenate(
        [
            find_at_thresholds(normalised, silent, thresholds, [reverse])[0]
            for normalised, silent, _ in normalised_slabs(fields, images_per_label)
        ]
    )
