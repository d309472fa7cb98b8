"""What a layer's normalised fields add up to on the outputs: signal, interference and noise (Figs. 5C and 6)."""

import numpy as np
import pandas as pd

from singlefilter.filters.layer_clusters import LayerClusters
from singlefilter.statistics.cluster_means import ratio

_BINS_PER_UNIT = 50  # bins 0.02 wide
_ROWS = ("other", "cluster")  # indexed by whether the row's label is in a cluster


def counted_signal(
    filters: np.ndarray, clusters: np.ndarray, cluster_size: np.ndarray, noise: np.ndarray, label_count: int
) -> dict[str, np.ndarray]:
    """Count, from a layer's averages, how many fields above threshold support a label and how many disturb it.

    Args:
        filters: float (D,); how many filters are not silent, in each of D resampled layers; and so
        clusters: clusters per filter,
        cluster_size: labels per cluster,
        noise: noise per filter.
        label_count: K.

    Returns:
        signal_counted: S, the clusters that a label is in.
        interference_counted: I, how many of their fields another output gets.
        noise_counted: E, the fields above threshold outside clusters that another output gets.
        snr_counted, snr_counted_with_noise: S / I and S / (I + E).
        Each float64 (D,), NaN where it is not a number.

    Source: method, section 5; Fig. 6C. The paper's layer 13 gives S = 147, I = 31, S / I = 4.8.
    """
    signal = filters * clusters * cluster_size / label_count
    interference = ratio(signal * (cluster_size - 1), np.full_like(signal, label_count - 1))
    noise = ratio(filters * noise, np.full_like(signal, label_count * (label_count - 1)))
    return {
        "signal_counted": signal,
        "interference_counted": interference,
        "noise_counted": noise,
        "snr_counted": ratio(signal, interference),
        "snr_counted_with_noise": ratio(signal, interference + noise),
    }


def measured_signal(totals: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Measure signal and noise on the sums of all filters' normalised fields.

    Args:
        totals: float64 (D, R, K); element (d, r, j) is T[labels[r], j] of the resampled layer d.
        labels: int (R,); the labels that have images.

    Returns:
        signal_measured: Mean of T[i, i].
        noise_measured: Root mean square of T[i, j ≠ i].
        snr_measured: Their ratio.
        margin: Mean of T[i, i] - max over j ≠ i of T[i, j], over the mean of T[i, i] if that is positive.
        Each float64 (D,), NaN where it is not a number.

    Source: method, section 5; Fig. 6C.
    """
    draws, rows, label_count = totals.shape
    own = totals[:, np.arange(rows), labels]  # (D, R)
    others = np.arange(label_count) != labels[:, np.newaxis]  # (R, K)
    squares = np.einsum("drk,drk,rk->d", totals, totals, others.astype(np.float64))
    largest_other = totals.max(axis=2, where=others, initial=-np.inf)  # (D, R)
    labels_of_draws = np.full(draws, float(rows))
    signal = ratio(own.sum(axis=1), labels_of_draws)
    noise = np.sqrt(ratio(squares, labels_of_draws * (label_count - 1)))
    return {
        "signal_measured": signal,
        "noise_measured": noise,
        "snr_measured": ratio(signal, noise),
        "margin": ratio((own - largest_other).sum(axis=1), own.sum(axis=1).clip(min=0)),
    }


class FieldSums:
    """Adds up a layer's normalised fields, a few filters at a time, for the layer and for each resampled one.

    Args:
        weights: float (D, F); how often each filter is in each resampled layer.
        images_per_label: int (K,); labels without images have no fields and are left out.
        threshold: In (0, 1).
    """

    def __init__(self, weights: np.ndarray, images_per_label: np.ndarray, threshold: float):
        self._weights = weights
        self._labels = np.flatnonzero(images_per_label)  # (R,)
        self._threshold = threshold
        self._edges = _bin_edges(threshold)
        self._counts = np.zeros((len(_ROWS), len(self._edges) + 1), dtype=np.int64)
        self._totals = np.zeros((len(weights), len(self._labels), len(images_per_label)))  # (D, R, K)
        self._parts = {name: np.zeros((len(weights), 2)) for name in ("in", "beside", "off")}  # sums and numbers
        self._active = np.zeros(len(weights))  # filters that are not silent
        self._filters = 0

    def add(self, fields: np.ndarray, clusters: LayerClusters) -> None:
        """Add the layer's next filters.

        Args:
            fields: float64 (f, K, K), as normalise_fields gives them.
            clusters: Their clusters at the threshold.
        """
        active = ~clusters.silent
        weights = self._weights[:, self._filters : self._filters + len(fields)][:, active]  # (D, n)
        self._filters += len(fields)
        self._active += weights.sum(axis=1)
        fields = fields[np.ix_(active, self._labels)]  # (n, R, K)
        self._totals += np.tensordot(weights, fields, axes=1)  # (D, n) @ (n, R, K) -> (D, R, K)

        numbers = clusters.numbers[active]  # (n, K)
        of_rows = numbers[:, self._labels]  # (n, R)
        in_cluster = of_rows >= 0
        block = (of_rows[:, :, np.newaxis] == numbers[:, np.newaxis, :]) & in_cluster[:, :, np.newaxis]  # (n, R, K)
        below = fields <= self._threshold
        sums, counts = _sums_and_counts(fields, below)
        self._add_part("in", weights, *_sums_and_counts(fields, block))
        self._add_part("beside", weights, sums * in_cluster, counts * in_cluster)
        self._add_part("off", weights, sums * ~in_cluster, counts * ~in_cluster)
        self._count_bins(fields[below], np.repeat(in_cluster.ravel(), counts.ravel()))

    def statistics(self) -> dict[str, np.ndarray]:
        """Give the statistics of the fields, float64 (D,) each, NaN where one is a mean over nothing.

        Returns:
            fields_in_clusters: Mean of the fields in the clusters' blocks.
            fields_beside_clusters, fields_off_clusters: Mean of the fields that are not above threshold, in the rows
                of labels that are in a cluster of the filter, and in the other rows (Fig. 5C left and right).
            field_gap: |fields_off_clusters / fields_in_clusters|.
            What measured_signal gives; NaN where there is no filter.
        """
        means = {name: ratio(sums[:, 0], sums[:, 1]) for name, sums in self._parts.items()}
        signal = measured_signal(self._totals, self._labels)
        return {
            "fields_in_clusters": means["in"],
            "fields_beside_clusters": means["beside"],
            "fields_off_clusters": means["off"],
            "field_gap": np.abs(ratio(means["off"], means["in"])),
            **{name: np.where(self._active > 0, values, np.nan) for name, values in signal.items()},
        }

    def histogram(self) -> pd.DataFrame:
        """Count the fields that are not above threshold (Fig. 5C).

        Returns:
            A row a bin: rows (cluster: of labels that are in a cluster of the filter; other), low, high, count. The
            bins are 0.02 wide from -1 on and hold their lower edge; the last ends with the threshold, which it holds;
            a first one, without low, is for what is below -1.
        """
        bins = pd.DataFrame({"low": [np.nan, *self._edges], "high": [*self._edges, self._threshold]})
        tables = [bins.assign(rows=rows, count=counts) for rows, counts in zip(_ROWS, self._counts, strict=True)]
        return pd.concat(tables[::-1], ignore_index=True)[["rows", "low", "high", "count"]]

    def _add_part(self, name: str, weights: np.ndarray, sums: np.ndarray, counts: np.ndarray) -> None:
        """Add sums and numbers of the fields of one kind by row, (n, R) each."""
        self._parts[name] += weights @ np.stack([sums.sum(axis=1), counts.sum(axis=1)], axis=1)  # (n, 2)

    def _count_bins(self, values: np.ndarray, in_cluster: np.ndarray) -> None:
        """Count the fields (m,) into bins, apart by whether their row's label is in a cluster."""
        bins = self._counts.shape[1]
        cells = np.searchsorted(self._edges, values, side="right") + bins * in_cluster
        self._counts += np.bincount(cells, minlength=self._counts.size).reshape(self._counts.shape)


def _sums_and_counts(fields: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum the chosen of fields (n, R, K) over outputs, and count them, (n, R) each."""
    return np.where(chosen, fields, 0).sum(axis=2), np.count_nonzero(chosen, axis=2)


def _bin_edges(threshold: float) -> list[float]:
    """The lower edges of the bins: -1, -0.98, … as long as they are below the threshold."""
    edges = [step / _BINS_PER_UNIT for step in range(-_BINS_PER_UNIT, _BINS_PER_UNIT)]
    return [edge for edge in edges if edge < threshold]
