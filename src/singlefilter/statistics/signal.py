"""What a layer's fields add up to on the outputs: signal, interference and noise (Figs. 5C and 6)."""

from typing import NamedTuple

import h5py
import numpy as np
import pandas as pd

from singlefilter.filters.clusters import cluster_sizes
from singlefilter.filters.layer_clusters import LayerClusters, label_slabs
from singlefilter.statistics.cluster_means import ratio, row_means

_BINS_PER_UNIT = 50  # bins 0.02 wide
FULL_COLUMN = 0.8  # of its rows above threshold, for a column that is almost wholly so (Fig. 4C)
_ROWS = ("cluster", "other")  # whether the row's label is in a cluster


def counted_signal(clusters: LayerClusters, label_count: int, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Count how many fields of a layer's clusters support a label, and how many of the others' disturb it.

    Args:
        clusters: Of a layer's F filters.
        label_count: R, how many labels have images.
        weights: float (D, F); how often each filter is in each of D resampled layers; ones for the layer as it is.

    Returns:
        signal_counted: S, the clusters that hold a label, mean over labels.
        interference_counted: I, the clusters that hold two labels, mean over pairs of labels.
        noise_counted: E, the fields above threshold outside clusters, for each pair of an input label and another one.
        snr_counted, snr_counted_with_noise: S / I and S / (I + E).
        Each float64 (D,), NaN where it is not a number: S / I if no cluster holds two labels.

    Source: method, section 5; Fig. 6C. The paper's averages for layer 13 give S = 147.5, I = 30.8, S / I = 4.8.
    """
    weights = weights * ~clusters.silent
    sizes = cluster_sizes(clusters.numbers)  # (F, K)
    labels = np.full(len(weights), label_count)
    pairs = labels * (label_count - 1)
    signal = ratio(weights @ sizes.sum(axis=1), labels)
    interference = ratio(weights @ (sizes * (sizes - 1)).sum(axis=1), pairs)
    noise = ratio(weights @ clusters.noise, labels * (sizes.shape[1] - 1))  # outputs may be without images
    counted = {
        "signal_counted": signal,
        "interference_counted": interference,
        "noise_counted": noise,
        "snr_counted": ratio(signal, interference),
        "snr_counted_with_noise": ratio(signal, interference + noise),
    }
    return {name: np.where(weights.any(axis=1), values, np.nan) for name, values in counted.items()}


class OutputSums(NamedTuple):
    """Sums of fields on the outputs, for each of R input labels and D resampled layers.

    Attributes:
        own: float64 (D, R); on the input's own label.
        mean: float64 (D, R); mean over the other outputs.
        largest: float64 (D, R); the largest on one of them.
        squares: float64 (D, R); of those on the other outputs, added up.
    """

    own: np.ndarray
    mean: np.ndarray
    largest: np.ndarray
    squares: np.ndarray


def own_and_others(sums: np.ndarray, labels: np.ndarray) -> OutputSums:
    """Tell the sums of fields on the input's own label from those on the others.

    Args:
        sums: float64 (D, R, K); element (d, r, j) is the sum on output j for the input label labels[r].
        labels: int (R,).
    """
    draws, rows, label_count = sums.shape
    others = sums[:, np.arange(label_count) != labels[:, np.newaxis]]  # (D, R * (K - 1))
    others = others.reshape(draws, rows, label_count - 1)  # -> (D, R, K - 1)
    return OutputSums(
        own=sums[:, np.arange(rows), labels],
        mean=others.sum(axis=2) / max(label_count - 1, 1),
        largest=others.max(axis=2, initial=-np.inf),
        squares=np.einsum("drk,drk->dr", others, others),
    )


def measure_signal(
    fields: h5py.Dataset | np.ndarray,
    images_per_label: np.ndarray,
    clusters: LayerClusters,
    largest: np.ndarray,
    weights: np.ndarray,
    unit: np.ndarray,
) -> dict[str, np.ndarray]:
    """Add up a layer's normalised fields on the outputs, label by label, and measure signal and noise.

    Args:
        fields: float (F, K, K); summed over the images of each input label, and not normalised.
        images_per_label: int (K,); labels without images have no fields and are left out.
        clusters: The layer's.
        largest: float64 (F,); by which the filters are normalised, as normalise_fields gives it.
        weights: float (D, F); how often each filter is in each resampled layer.
        unit: float64 (D,); as for signal_of_clusters.

    Returns:
        What signal_of_clusters and signal_of_all give; NaN where there is no filter.
    """
    active = weights * ~clusters.silent  # (D, F)
    scaled = (active / np.where(clusters.silent, 1, largest)).T.copy()  # (F, D)
    none = own_and_others(np.zeros((len(weights), 0, len(images_per_label))), np.zeros(0, dtype=int))
    parts = [none], [none], [none]  # of the filters whose clusters hold the label, of the others, of all
    for label, rows in label_slabs(fields):
        if images_per_label[label] == 0:
            continue
        holds = clusters.numbers[:, label] >= 0
        inside, outside = (
            scaled[chosen].T @ rows[chosen].astype(np.float64, copy=False) / images_per_label[label]  # (D, K)
            for chosen in (holds, ~holds)
        )
        for part, sums in zip(parts, (inside, outside, inside + outside), strict=True):
            part.append(own_and_others(sums[:, np.newaxis], np.array([label])))
    inside, outside, total = map(_concatenate, parts)
    signal = signal_of_clusters(inside, outside, unit) | signal_of_all(total, len(images_per_label))
    return {name: np.where(active.any(axis=1), values, np.nan) for name, values in signal.items()}


def signal_of_clusters(inside: OutputSums, outside: OutputSums, unit: np.ndarray) -> dict[str, np.ndarray]:
    """Measure signal and noise as the paper defines them: by which filters have the input's label in a cluster.

    Args:
        inside: Sums over the filters whose clusters hold the input label, of their normalised fields, for each input
            label that has images.
        outside: The same over the other filters.
        unit: float64 (D,); the mean field in the clusters' blocks, in which all is measured.

    Returns:
        signal: `inside` on the label itself, mean over labels.
        first_noise, first_noise_largest: `inside` on the other outputs: mean, and the largest, mean over labels.
        second_noise, second_noise_others: `outside` on the label itself, which is the paper's, and on the others, mean.
        Each float64 (D,), NaN where it is not a number.

    Source: method, section 5; Fig. 6C.
    """
    unit = np.where(unit > 0, unit, np.nan)[:, np.newaxis]  # (D, 1)
    return {
        "signal": row_means(inside.own / unit),
        "first_noise": row_means(inside.mean / unit),
        "first_noise_largest": row_means(inside.largest / unit),
        "second_noise": row_means(outside.own / unit),
        "second_noise_others": row_means(outside.mean / unit),
    }


def signal_of_all(total: OutputSums, label_count: int) -> dict[str, np.ndarray]:
    """Measure, beyond the paper, signal and noise on the sums of all filters' normalised fields.

    Args:
        total: The sums T[i, j] for each input label i that has images.
        label_count: K.

    Returns:
        total_signal: Mean of T[i, i].
        total_noise_rms: Root mean square of T[i, j ≠ i], to which negative sums count as well.
        snr_rms: Their ratio.
        margin: Mean of T[i, i] - max over j ≠ i of T[i, j], over the mean of T[i, i] if that is positive.
        Each float64 (D,), NaN where it is not a number.
    """
    signal = row_means(total.own)
    labels_of_draws = np.full(len(total.own), float(total.own.shape[1]))
    noise = np.sqrt(ratio(total.squares.sum(axis=1), labels_of_draws * (label_count - 1)))
    return {
        "total_signal": signal,
        "total_noise_rms": noise,
        "snr_rms": ratio(signal, noise),
        "margin": ratio((total.own - total.largest).sum(axis=1), total.own.sum(axis=1).clip(min=0)),
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
        self._parts = {name: np.zeros((len(weights), 2)) for name in ("in", "beside", "off")}  # sums and numbers
        self._columns = np.zeros((len(weights), 3))  # full columns, the ones in them, and all ones
        self._absolute = np.zeros(len(weights))  # of the fields off the clusters
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
        numbers = clusters.numbers[active]  # (n, K)
        of_rows = numbers[:, self._labels]  # (n, R)
        in_cluster = of_rows >= 0

        block = (of_rows[:, :, np.newaxis] == numbers[:, np.newaxis, :]) & in_cluster[:, :, np.newaxis]  # (n, R, K)
        below = fields <= self._threshold
        sums, counts = _sums_and_counts(fields, below)
        self._add_part("in", weights, *_sums_and_counts(fields, block))
        self._add_part("beside", weights, sums * in_cluster, counts * in_cluster)
        self._add_part("off", weights, sums * ~in_cluster, counts * ~in_cluster)
        self._absolute += weights @ (_sums_and_counts(np.abs(fields), below)[0] * ~in_cluster).sum(axis=1)
        self._columns += weights @ _full_columns(~below)
        for counts_of_kind, rows in zip(self._counts, (in_cluster, ~in_cluster), strict=True):  # in the order of _ROWS
            counts_of_kind += self._count_bins(fields[rows])

    def statistics(self) -> dict[str, np.ndarray]:
        """Give the statistics of the fields, float64 (D,) each, NaN where one is a mean over nothing.

        Returns:
            fields_in_clusters: Mean of the fields in the clusters' blocks.
            fields_beside_clusters, fields_off_clusters: Mean of the fields that are not above threshold, in the rows
                of labels that are in a cluster of the filter, and in the other rows (Fig. 5C left and right).
            field_gap: |fields_off_clusters / fields_in_clusters|.
            field_gap_absolute: The mean absolute value of the former fields over the mean of the latter.
            full_columns, full_columns_share: Columns of which at least 0.8 are above threshold, mean per filter, and
                the share of all fields above threshold that are in such columns (Fig. 4C).
        """
        means = {name: ratio(sums[:, 0], sums[:, 1]) for name, sums in self._parts.items()}
        return {
            "fields_in_clusters": means["in"],
            "fields_beside_clusters": means["beside"],
            "fields_off_clusters": means["off"],
            "field_gap": np.abs(ratio(means["off"], means["in"])),
            "field_gap_absolute": ratio(ratio(self._absolute, self._parts["off"][:, 1]), means["in"]),
            "full_columns": ratio(self._columns[:, 0], self._active),
            "full_columns_share": ratio(self._columns[:, 1], self._columns[:, 2]),
        }

    def histogram(self) -> pd.DataFrame:
        """Count the fields that are not above threshold (Fig. 5C).

        Returns:
            One row per bin: rows (cluster: of labels that are in a cluster of the filter; other), low, high, count. The
            bins are 0.02 wide from -1 on and hold their lower edge; the last ends with the threshold, which it holds;
            a first one, without low, is for what is below -1.
        """
        bins = pd.DataFrame({"low": [np.nan, *self._edges], "high": [*self._edges, self._threshold]})
        tables = [bins.assign(rows=rows, count=counts) for rows, counts in zip(_ROWS, self._counts, strict=True)]
        return pd.concat(tables, ignore_index=True)[["rows", "low", "high", "count"]]

    def _add_part(self, name: str, weights: np.ndarray, sums: np.ndarray, counts: np.ndarray) -> None:
        """Add sums and numbers of the fields of one kind by row, (n, R) each."""
        self._parts[name] += weights @ np.stack([sums.sum(axis=1), counts.sum(axis=1)], axis=1)  # (n, 2)

    def _count_bins(self, fields: np.ndarray) -> np.ndarray:
        """Count the fields, float64 (m, K), that are not above threshold into bins."""
        ascending = np.sort(fields, axis=None)
        inner = np.searchsorted(ascending, self._edges)  # how many are below each edge
        return np.diff([0, *inner, np.searchsorted(ascending, self._threshold, side="right")])


def _concatenate(parts: list[OutputSums]) -> OutputSums:
    """Put the sums of one input label after another together."""
    return OutputSums(*(np.concatenate(values, axis=1) for values in zip(*parts, strict=True)))


def _full_columns(above: np.ndarray) -> np.ndarray:
    """Count of filters, bool (n, R, K), the full columns, the ones in them, and all ones, (n, 3)."""
    ones = above.sum(axis=1)  # (n, K)
    full = ones >= FULL_COLUMN * above.shape[1] - 1e-9  # 8 of 10 are enough, whatever 0.8 is in binary
    return np.stack([full.sum(axis=1), (ones * full).sum(axis=1), ones.sum(axis=1)], axis=1)


def _sums_and_counts(fields: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum the chosen of fields (n, R, K) over outputs, and count them, (n, R) each."""
    return (fields * chosen).sum(axis=2), np.count_nonzero(chosen, axis=2)


def _bin_edges(threshold: float) -> list[float]:
    """The lower edges of the bins: -1, -0.98, … as long as they are below the threshold."""
    edges = [step / _BINS_PER_UNIT for step in range(-_BINS_PER_UNIT, _BINS_PER_UNIT)]
    return [edge for edge in edges if edge < threshold]
