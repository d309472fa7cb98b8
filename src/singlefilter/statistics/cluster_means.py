"""Statistics of the clusters and noise of a layer's filters (Figs. 5A and 5B)."""

import h5py
import numpy as np

from singlefilter.filters.clusters import cluster_sizes
from singlefilter.filters.layer_clusters import LayerClusters, slabs

FEW_LABELS, FEW_DECISIONS = 3, 0.8  # the share of its images for a filter that picks few labels (Fig. 3B)
ONE_DECISION = 0.99  # of its decided images, for a filter that picks one label whatever the input


def ratio(numerators: np.ndarray, denominators: np.ndarray) -> np.ndarray:
    """Divide float64 (D,) by as many; NaN where the denominator is 0."""
    return np.divide(numerators, denominators, out=np.full(len(numerators), np.nan), where=denominators != 0)


def row_means(values: np.ndarray) -> np.ndarray:
    """Average each row, (D, R) -> (D,); NaN over nothing."""
    return ratio(values.sum(axis=1), np.full(len(values), values.shape[1]))


def cluster_means(clusters: LayerClusters, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Average noise, clusters and sizes over the filters that are not silent (SI, Fig. 5A).

    Args:
        clusters: Of a layer's F filters.
        weights: float (D, F); how often each filter is in each of D resampled layers; ones for the layer as it is.

    Returns:
        noise, noise_clustered: Mean noise per filter; the same over the filters with at least one cluster.
        clusters: Mean number of clusters per filter.
        cluster_size: Mean size of the layer's clusters, in labels.
        Each float64 (D,), NaN where it is a mean over nothing.
    """
    weights = weights * ~clusters.silent
    per_filter = clusters.numbers.max(axis=1) + 1  # they are numbered from 0
    labels = np.count_nonzero(clusters.numbers >= 0, axis=1)  # in clusters, so the sum of their sizes
    clustered = per_filter > 0
    filters = weights.sum(axis=1)
    return {
        "noise": ratio(weights @ clusters.noise, filters),
        "noise_clustered": ratio(weights @ (clusters.noise * clustered), weights @ clustered),
        "clusters": ratio(weights @ per_filter, filters),
        "cluster_size": ratio(weights @ labels, weights @ per_filter),
    }


def appearance_statistics(
    clusters: LayerClusters, images_per_label: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Say in how many of a layer's clusters the labels are, and how evenly (Fig. 5B).

    Args:
        clusters: Of a layer's F filters.
        images_per_label: int (K,); a label without images could be in no cluster, and is left out.
        weights: float (D, F), as for cluster_means.

    Returns:
        appearances: Mean over labels of the number of clusters that have the label.
        appearances_variation: The standard deviation over labels (ddof 0) over this mean.
        appearances_variation_independent: What this would be, about, if each filter had each label in a cluster with
            the same chance p, whatever the others: the square root of (1 / p - 1) / F.
        Each float64 (D,), NaN if all filters are silent; the variation also where there is no cluster.
    """
    weights = weights * ~clusters.silent
    appearances = weights @ (clusters.numbers[:, images_per_label > 0] >= 0)  # (D, R)
    means = row_means(appearances)
    stds = np.sqrt(row_means((appearances - means[:, np.newaxis]) ** 2))
    chance = ratio(means, weights.sum(axis=1))
    odds = np.divide(1, chance, out=np.full(len(chance), np.nan), where=chance > 0) - 1
    return {
        "appearances": np.where(weights.any(axis=1), means, np.nan),
        "appearances_variation": ratio(stds, means),
        "appearances_variation_independent": np.sqrt(ratio(odds.clip(min=0), weights.sum(axis=1))),
    }


def layer_statistics(clusters: LayerClusters) -> dict[str, float]:
    """Compute the statistics of one layer of one sample over its filters that are not silent (SI, Fig. 5A).

    Returns:
        filters: How many the layer has, silent ones included.
        noise, noise_clustered, clusters, cluster_size: As cluster_means gives them.
        size_share_1 … size_share_K: The share of each size among the clusters.
        silent_filters: How many filters are silent.
        A mean over nothing is NaN.
    """
    filters, labels = clusters.numbers.shape
    sizes = cluster_sizes(clusters.numbers[~clusters.silent])  # (F, K)
    counts = np.bincount(sizes[sizes > 0], minlength=labels + 1)[1:]  # (K,): clusters of size 1 … K
    shares = counts / counts.sum() if counts.any() else np.full(labels, np.nan)
    return {
        "filters": filters,
        **{name: float(values[0]) for name, values in cluster_means(clusters, np.ones((1, filters))).items()},
        **{f"size_share_{size}": float(share) for size, share in enumerate(shares, start=1)},
        "silent_filters": int(clusters.silent.sum()),
    }


def count_decisions(decisions: h5py.Dataset | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count for how many images each filter of a layer picks each label, whatever the input (Fig. 3B).

    Args:
        decisions: int (F, K, K); how often each filter gives images of label i the label j.

    Returns:
        int64 (F, K); and for how many images it picks the right label, int64 (F,).
    """
    counts, right = zip(*((slab.sum(axis=1), slab.trace(axis1=1, axis2=2)) for slab in slabs(decisions)), strict=True)
    return np.concatenate(counts), np.concatenate(right)


def decision_statistics(
    counts: np.ndarray, right: np.ndarray, images: int, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Say of a layer's filters how few labels they pick, and how often the right one (Fig. 3B).

    Args:
        counts: int (F, K), as count_decisions gives them.
        right: int (F,), as count_decisions gives them.
        images: N, all images, decided or not.
        weights: float (D, F), as for cluster_means.

    Returns:
        one_decision_share: The share of filters that pick one label for at least 0.99 of their decided images.
        few_decisions_share: The share of filters whose three most picked labels have at least 0.8 of them.
        single_accuracy: The success rate of a single filter alone, mean over all filters.
        Filters that decide no image are left out of the shares. Each float64 (D,), NaN if it is over nothing.
    """
    decided = counts.sum(axis=1)
    most_first = -np.sort(-counts, axis=1)  # (F, K)
    one_label = ratio(most_first[:, 0], decided) >= ONE_DECISION  # (F,), not where none is decided
    few_labels = ratio(most_first[:, :FEW_LABELS].sum(axis=1), decided) >= FEW_DECISIONS
    return {
        "one_decision_share": ratio(weights @ one_label, weights @ (decided > 0)),
        "few_decisions_share": ratio(weights @ few_labels, weights @ (decided > 0)),
        "single_accuracy": ratio(weights @ right, weights.sum(axis=1) * images),
    }
