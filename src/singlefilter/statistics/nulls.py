"""Null models: what a layer's statistics would be if only part of its structure were there (method, section 5)."""

import numpy as np
import pandas as pd

from singlefilter.filters.clusters import cluster_sizes, count_ones, number_clusters
from singlefilter.pipeline.params import LayerName, layer_key

# ones: as many ones of each filter's clipped matrix placed at random.
# columns: the ones of each column shuffled within it, which keeps the columns of early layers (Fig. 4C).
# labels: the rows, which are input labels, in a random order, drawn for each filter on its own. It keeps everything
#     but the alignment of what a filter responds to and what its weights vote for.
NULLS = ("ones", "columns", "labels")


def null_draws(filters: int, label_count: int) -> int:
    """How many draws of each null a layer gets: 100, fewer where F·K² elements per draw are many, at least 2."""
    return max(2, min(100, 2**25 // (filters * label_count**2)))


def shuffle(null: str, clipped: np.ndarray, draws: int, generator: np.random.Generator) -> np.ndarray:
    """Draw clipped matrices at random that keep of the given ones what a null keeps.

    Args:
        null: One of NULLS.
        clipped: bool (n, R, K); the rows of labels that have images.
        draws: How many for each matrix.
        generator: Used matrix by matrix, so that the draws of a layer are the same in whatever parts it comes.

    Returns:
        bool (n * draws, R, K), the draws of the first matrix first.
    """
    matrices, rows, labels = clipped.shape
    if null == "ones":
        flat = clipped.reshape(matrices, rows * labels).repeat(draws, axis=0)  # (n, R * K) -> (n * draws, R * K)
        return generator.permuted(flat, axis=1).reshape(len(flat), rows, labels)  # (n * draws, R * K) -> (…, R, K)
    if null == "columns":
        columns = clipped.swapaxes(1, 2).repeat(draws, axis=0)  # (n, K, R) -> (n * draws, K, R)
        return generator.permuted(columns, axis=2).swapaxes(1, 2)
    orders = generator.permuted(np.tile(np.arange(rows), (matrices * draws, 1)), axis=1)  # (n * draws, R)
    return clipped[np.arange(matrices).repeat(draws)[:, np.newaxis], orders]


class NullLayer:
    """Draws a null of a layer, a few filters at a time, and gathers the statistics of the draws.

    Args:
        null: One of NULLS.
        filters: F, of the whole layer.
        images_per_label: int (K,); the rows of labels without images stay empty.
        layer: The layer; with the null and the seed it fixes the draws.
        seed: The layer's sample.
    """

    def __init__(self, null: str, filters: int, images_per_label: np.ndarray, layer: LayerName, seed: int):
        self.null = null
        self.draws = null_draws(filters, len(images_per_label))
        self._has_images = images_per_label > 0
        self._generator = np.random.default_rng([layer_key(layer), seed, 1 + NULLS.index(null)])
        # Of each filter that is not silent and each draw.
        self._noise, self._clusters, self._sizes = (np.zeros((0, self.draws), dtype=np.int64) for _ in range(3))

    def add(self, clipped: np.ndarray) -> None:
        """Add the layer's next filters that are not silent, bool (n, K, K)."""
        label_count = len(self._has_images)
        drawn = np.zeros((len(clipped) * self.draws, label_count, label_count), dtype=bool)
        drawn[:, self._has_images] = shuffle(self.null, clipped[:, self._has_images], self.draws, self._generator)
        sizes = cluster_sizes(number_clusters(drawn))  # (n * draws, K)
        ones = count_ones(clipped).repeat(self.draws)  # no null changes their number
        noise = ones - (sizes**2).sum(axis=1)
        self._noise = self._with(self._noise, noise)
        self._clusters = self._with(self._clusters, np.count_nonzero(sizes, axis=1))
        self._sizes = self._with(self._sizes, sizes.sum(axis=1))

    def table(self) -> pd.DataFrame:
        """Give the layer's statistics under the null.

        Returns:
            One row per statistic: null, statistic (noise and clusters per filter, cluster_size), draws, and null_mean
            and null_std, mean and standard deviation over draws of the statistic of the whole layer; NaN for a layer of
            silent filters, and for cluster_size where no draw has a cluster.
        """
        each_filter = np.ones_like(self._noise)
        found = {
            "noise": mean_and_std(self._noise, each_filter),
            "clusters": mean_and_std(self._clusters, each_filter),
            "cluster_size": mean_and_std(self._sizes, self._clusters),
        }
        rows = [(self.null, statistic, self.draws, *values) for statistic, values in found.items()]
        return pd.DataFrame(rows, columns=["null", "statistic", "draws", "null_mean", "null_std"])

    def _with(self, values: np.ndarray, more: np.ndarray) -> np.ndarray:
        return np.concatenate([values, more.reshape(-1, self.draws)])  # (n * draws,) -> (n, draws)


def mean_and_std(numerators: np.ndarray, denominators: np.ndarray) -> tuple[float, float]:
    """Give mean and standard deviation over draws of a layer's ratio of sums over filters.

    The filters are drawn independently of each other, so the variance of their sum is the sum of their variances,
    each estimated over the draws: two draws of many filters are enough.

    Args:
        numerators: int (F, draws).
        denominators: int (F, draws); ones for a mean over filters.

    Returns:
        The ratio of the sums over filters and draws; the standard deviation (ddof 1) to first order in the sums'
        relative deviations, exact if the denominators are constant. Both NaN if the denominators sum to 0.
    """
    draws = numerators.shape[1]
    denominator = denominators.sum() / draws
    if denominator == 0:
        return float("nan"), float("nan")
    mean = numerators.sum() / denominators.sum()
    deviations = _deviations(numerators) - mean * _deviations(denominators)
    variance = (deviations**2).sum() / (draws - 1)
    return float(mean), float(np.sqrt(variance) / denominator)


def _deviations(values: np.ndarray) -> np.ndarray:
    return values - values.mean(axis=1, keepdims=True)
