"""Filters whose clusters and noise are known by hand."""

import numpy as np

from singlefilter.filters.clusters import cluster_sizes, count_ones, number_clusters
from singlefilter.filters.layer_clusters import LayerClusters


def clipped_filters() -> np.ndarray:
    """Five filters of four labels whose clusters and noise are plain to see."""
    return np.array(
        [
            [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]],  # (0, 1), noise 1
            [[1, 0, 0, 1], [0, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 1]],  # (0), (2), (3), noise 2
            [[0, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]],  # none, noise 3
            [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]],  # silent
            [[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]],  # (0, 1, 2, 3), noise 0
        ],
        dtype=bool,
    )


def find_layer_clusters(clipped: np.ndarray, silent: np.ndarray, reverse: bool = False) -> LayerClusters:
    """Find clusters and noise of clipped filters, bool (F, K, K), of which some are silent, bool (F,)."""
    numbers = number_clusters(clipped, reverse)
    noise = count_ones(clipped) - (cluster_sizes(numbers) ** 2).sum(axis=1)
    return LayerClusters(silent, noise, numbers)
