"""A filter's fields, normalised and clipped; the clusters on the diagonal, and the noise off them (SI, Fig. 4)."""

from collections.abc import Sequence

import numpy as np

from singlefilter.pipeline.errors import InputError

Clusters = tuple[tuple[int, ...], ...]  # a filter's clusters, each as its labels


def normalise_fields(sums: np.ndarray, images_per_label: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Average each filter's fields over the images of an input label, and divide by the filter's largest average.

    Averages, where the paper sums: the same where labels have equally many images, and right where they have not.

    Args:
        sums: float (F, K, K); element (f, i, j) is filter f's field on output j, summed over the images of label i.
        images_per_label: int (K,).

    Returns:
        The normalised fields, float64 (F, K, K), largest element 1; rows of labels without images are NaN, and
        silent filters all NaN, so that neither is above any threshold.
        Which filters are silent, bool (F,): their largest element is not positive.
        The largest averages by which the others are divided, float64 (F,).

    Raises:
        InputError: A field is not finite.

    Source: SI, Fig. 4 (left column).
    """
    if not np.isfinite(sums).all():
        raise InputError(
            "the fields of a filter are not finite, where they must be numbers: the training of the network or of "
            "its head has diverged; lower a learning_rate of the chosen row of archs"
        )
    has_images = images_per_label > 0
    means = sums / np.where(has_images, images_per_label, np.nan)[:, np.newaxis]
    largest = means.max(axis=2).max(axis=1, where=has_images, initial=-np.inf)
    silent = largest <= 0
    means /= np.where(silent, np.nan, largest)[:, np.newaxis, np.newaxis]
    return means, silent, largest


def clip(fields: np.ndarray, threshold: float | np.ndarray) -> np.ndarray:
    """Mark the normalised fields that are above the threshold; one that equals it is not (SI, Fig. 4, centre column).

    Args:
        fields: float (..., K, K), as normalise_fields gives them.
        threshold: In (0, 1); or several, of a shape that goes with the fields'.

    Returns:
        bool (..., K, K).
    """
    return fields > threshold


def number_clusters(clipped: np.ndarray, reverse: bool = False) -> np.ndarray:
    """Find the clusters of every filter of a layer: say for each label in which cluster it is.

    The walk goes along the diagonal. The first label in no cluster yet, its diagonal element above threshold,
    starts a cluster; each later one joins if its elements with itself and with all members, both ways, are above.

    Args:
        clipped: bool (F, K, K).
        reverse: Walk from the last label to the first.

    Returns:
        int64 (F, K): the number of the label's cluster, counted from 0 in the order of the walk; -1 in no cluster.

    Source: SI, "The calculation of the clusters".
    """
    return walk(clipped & clipped.swapaxes(1, 2), reverse)


def walk(both_ways: np.ndarray, reverse: bool = False) -> np.ndarray:
    """Find the clusters as number_clusters does, of elements that are above threshold both ways.

    Args:
        both_ways: bool (F, K, K); element (f, i, j) says whether i with j and j with i are above, in filter f.
        reverse: Walk from the last label to the first.

    Returns:
        int64 (F, K), as number_clusters.
    """
    if reverse:
        return walk(both_ways[:, ::-1, ::-1])[:, ::-1]
    unassigned = np.diagonal(both_ways, axis1=1, axis2=2)  # (F, K)
    steps = np.count_nonzero(unassigned, axis=1)  # of each filter's walk: one label joins in each
    longest_first = np.argsort(-steps)
    unassigned = unassigned[longest_first]
    fitting = unassigned.copy()  # labels that are in no cluster yet and fit all members of the present one
    numbers = np.full(unassigned.shape, -1)
    number = np.zeros(len(both_ways), dtype=np.int64)  # of each filter's present cluster
    for step in range(steps.max(initial=0)):
        # In every filter at once that has labels left: these are the first ones.
        filters = np.arange(np.count_nonzero(steps > step))
        joining = fitting[: len(filters)].argmax(axis=1)  # the first, so the next of the walk
        numbers[filters, joining] = number[filters]
        unassigned[filters, joining] = fitting[filters, joining] = False
        fitting[: len(filters)] &= both_ways[longest_first[filters], joining]
        whole = np.flatnonzero(~fitting[: len(filters)].any(axis=1))  # filters whose present cluster gets no more
        number[whole] += 1
        fitting[whole] = unassigned[whole]
    return numbers[np.argsort(longest_first)]


def count_ones(clipped: np.ndarray) -> np.ndarray:
    """Count the elements of filters, bool (F, K, K), that are above threshold, int64 (F,)."""
    # Filter by filter: over axes, count_nonzero takes ten times as long with many labels.
    return np.fromiter(map(np.count_nonzero, clipped), dtype=np.int64, count=len(clipped))


def cluster_sizes(numbers: np.ndarray) -> np.ndarray:
    """Count the labels of each cluster.

    Args:
        numbers: int (F, K), as number_clusters gives them.

    Returns:
        int64 (F, K): the size of each filter's cluster number 0, 1, …; 0 where the filter has no such cluster.
    """
    filters, labels = numbers.shape
    filter_of, label_of = np.nonzero(numbers >= 0)
    flat = filter_of * labels + numbers[filter_of, label_of]
    return np.bincount(flat, minlength=filters * labels).reshape(filters, labels)  # (F·K,) -> (F, K)


def list_clusters(numbers: np.ndarray, reverse: bool = False) -> Clusters:
    """Turn one filter's cluster numbers, int (K,), into its clusters: they and their labels in the walk's order."""
    labels = np.argsort(numbers, kind="stable")[np.count_nonzero(numbers < 0) :]
    starts = np.flatnonzero(np.diff(numbers[labels])) + 1
    groups = np.split(labels, starts) if labels.size else []
    return tuple(tuple(group[::-1].tolist() if reverse else group.tolist()) for group in groups)


def clusters(clipped_filter: np.ndarray, reverse: bool = False) -> Clusters:
    """Find the clusters of one filter.

    Args:
        clipped_filter: bool (K, K).
        reverse: Walk from the last label to the first.

    Returns:
        The clusters, each as its labels; both in the order of the walk. Fig. 4B's filter gives
        ((0, 4, 9), (1, 2, 5), (7,), (8,)).

    Source: SI, "The calculation of the clusters".
    """
    return list_clusters(number_clusters(clipped_filter[np.newaxis], reverse)[0], reverse)


def noise(clipped_filter: np.ndarray, clusters: Sequence[Sequence[int]]) -> int:
    """Count the elements of one filter, bool (K, K), above threshold that are in no cluster's block (SI, Fig. 4)."""
    return int(clipped_filter.sum()) - sum(len(labels) ** 2 for labels in clusters)


def order(clusters: Sequence[Sequence[int]], label_count: int) -> list[int]:
    """Order all labels so that each cluster's stand together, the labels in no cluster last (SI, Fig. 4, right column).

    Args:
        clusters: A filter's clusters, each as its labels.
        label_count: K.

    Returns:
        A permutation of 0 … K-1; Fig. 4B's is [0, 4, 9, 1, 2, 5, 7, 8, 3, 6].
    """
    clustered = [label for labels in clusters for label in labels]
    return clustered + sorted(set(range(label_count)) - set(clustered))


def decision_shares(decisions: np.ndarray) -> np.ndarray:
    """Turn counts of decisions into shares of an input label's decided images (SI, Fig. 3).

    Args:
        decisions: int (..., K, K); element (i, j) is the number of images of label i for which output j had the
            largest field. Images whose fields are all zero are not counted.

    Returns:
        float64 (..., K, K); rows sum to 1, and are NaN where no image was decided.
    """
    totals = decisions.sum(axis=-1, keepdims=True)
    return decisions / np.where(totals > 0, totals, np.nan)
