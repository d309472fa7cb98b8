"""Statistics of a layer's filters: of one sample, and over samples (Figs. 5A and 5B)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import h5py
import numpy as np
import pandas as pd

from singlefilter.clusters import clip, cluster_sizes, list_clusters, normalise_fields, number_clusters

SWEPT_THRESHOLDS = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6)  # SI, Robustness to different threshold values

_OVER_SAMPLES = (
    "accuracy",
    "train_accuracy",
    "validation_accuracy",
    "noise",
    "noise_clustered",
    "clusters",
    "cluster_size",
)
_OVER_THRESHOLDS = ("noise", "clusters", "cluster_size")
# Few, since `dvc exp show` gives each a column.
_OF_FIRST_LAYER = ("accuracy", "noise")
_OF_LAST_LAYER = (
    "accuracy",
    "train_accuracy",
    "validation_accuracy",
    "noise",
    "clusters",
    "cluster_size",
    "silent_filters",
)


@dataclass(frozen=True)
class LayerClusters:
    """The clusters of one layer of one sample at one threshold.

    Attributes:
        silent: bool (F,); filters that no statistic includes.
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


def find_layer_clusters(clipped: np.ndarray, silent: np.ndarray, reverse: bool = False) -> LayerClusters:
    """Find clusters and noise of filters, bool (F, K, K), of which some are silent, bool (F,)."""
    numbers = number_clusters(clipped, reverse)
    noise = clipped.sum(axis=(1, 2)) - (cluster_sizes(numbers) ** 2).sum(axis=1)
    return LayerClusters(silent, noise, numbers)


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
    parts: dict[float, list[LayerClusters]] = {threshold: [] for threshold in thresholds}
    for sums in slabs(fields):
        normalised, silent = normalise_fields(sums, images_per_label)
        for threshold in thresholds:
            parts[threshold].append(find_layer_clusters(clip(normalised, threshold), silent, reverse))
    return {threshold: _concatenate(part) for threshold, part in parts.items()}


def layer_statistics(clusters: LayerClusters) -> dict[str, float]:
    """Compute the statistics of one layer of one sample over its filters that are not silent (SI, Fig. 5A).

    Returns:
        filters: How many the layer has, silent ones included.
        noise, noise_clustered: Mean noise per filter; the same over the filters with at least one cluster.
        clusters: Mean number of clusters per filter.
        cluster_size: Mean size of the layer's clusters, in labels.
        size_share_1 … size_share_K: The share of each size among the clusters.
        silent_filters: How many filters are silent.
        A mean over nothing is NaN.
    """
    labels = clusters.numbers.shape[1]
    noise = clusters.noise[~clusters.silent]
    sizes = cluster_sizes(clusters.numbers[~clusters.silent])  # (F, K)
    per_filter = np.count_nonzero(sizes, axis=1)
    counts = np.bincount(sizes[sizes > 0], minlength=labels + 1)[1:]  # (K,): clusters of size 1 … K
    shares = counts / counts.sum() if counts.any() else np.full(labels, np.nan)
    return {
        "filters": len(clusters.silent),
        "noise": _mean(noise),
        "noise_clustered": _mean(noise[per_filter > 0]),
        "clusters": _mean(per_filter),
        "cluster_size": _mean(sizes[sizes > 0]),
        **{f"size_share_{size}": float(share) for size, share in enumerate(shares, start=1)},
        "silent_filters": int(clusters.silent.sum()),
    }


def filters_table(clusters: LayerClusters) -> pd.DataFrame:
    """List one layer of one sample filter by filter.

    Returns:
        A row a filter: filter (its number), noise, clusters (how many), silent, labels (the clusters as "0 4 9;1 2 5").
        Noise and clusters of a silent filter are NaN.
    """
    table = pd.DataFrame(
        {
            "filter": np.arange(len(clusters.silent)),
            "noise": clusters.noise,
            "clusters": np.count_nonzero(cluster_sizes(clusters.numbers), axis=1),
            "silent": clusters.silent,
            "labels": [_clusters_text(numbers) for numbers in clusters.numbers],
        }
    )
    counts = ["noise", "clusters"]
    table[counts] = table[counts].where(~table["silent"], np.nan)
    return table


def labels_table(clusters: LayerClusters, class_names: Sequence[str]) -> pd.DataFrame:
    """Count in how many clusters of one layer of one sample each label is (Fig. 5B).

    Returns:
        A row a label: label, class_name, appearances.
    """
    appearances = (clusters.numbers >= 0).sum(axis=0)  # at most one cluster of a filter has the label
    return pd.DataFrame({"label": range(len(appearances)), "class_name": class_names, "appearances": appearances})


def layers_table(samples: pd.DataFrame) -> pd.DataFrame:
    """Average each layer's statistics over samples (Figs. 2 and 5A).

    Args:
        samples: A row a sample and layer, at one threshold: layer, the fractions accuracy, train_accuracy and
            validation_accuracy, and what layer_statistics gives. A NaN is left out of its mean.

    Returns:
        A row a layer: layer, filters, samples, then mean and standard deviation over samples (ddof 1, so NaN for one
        sample) of these accuracies, noise, noise_clustered, clusters and cluster_size, then the means
        size_share_1 … size_share_K and silent_filters_mean.
    """
    groups = samples.groupby("layer")
    shares = [name for name in samples if name.startswith("size_share_")]
    table = pd.concat(
        [
            groups["filters"].first(),
            groups.size().rename("samples"),
            _means_and_stds(groups, _OVER_SAMPLES),
            groups[shares].mean(),
            groups["silent_filters"].mean().rename("silent_filters_mean"),
        ],
        axis=1,
    )
    return table.reset_index()


def thresholds_table(samples: pd.DataFrame) -> pd.DataFrame:
    """Average the statistics that depend on the threshold over samples (SI, Robustness to different threshold values).

    Args:
        samples: A row a sample, layer and threshold: layer, threshold, and what layer_statistics gives.

    Returns:
        A row a layer and threshold: layer, threshold, then mean and standard deviation over samples (ddof 1) of
        noise, clusters and cluster_size.
    """
    return _means_and_stds(samples.groupby(["layer", "threshold"]), _OVER_THRESHOLDS).reset_index()


def summarise(layers: pd.DataFrame, last_epochs: pd.DataFrame) -> dict[str, object]:
    """Gather the few numbers by which runs are compared, under keys that every architecture has.

    Args:
        layers: As layers_table gives them.
        last_epochs: A row a sample: test_accuracy and validation_accuracy of the whole network after the last epoch,
            as fractions.

    Returns:
        samples; accuracy, accuracy_std and validation_accuracy of the whole network; first_layer and last_layer with
        their means over samples. A number that does not exist, such as one sample's standard deviation, has no key.
    """
    test, validation = last_epochs["test_accuracy"], last_epochs["validation_accuracy"]
    network = {"accuracy": test.mean(), "accuracy_std": test.std(ddof=1), "validation_accuracy": validation.mean()}
    return {
        "samples": len(last_epochs),
        **_existing(network),
        "first_layer": _existing({name: layers.iloc[0][f"{name}_mean"] for name in _OF_FIRST_LAYER}),
        "last_layer": _existing({name: layers.iloc[-1][f"{name}_mean"] for name in _OF_LAST_LAYER}),
    }


def layers_text(layers: pd.DataFrame) -> str:
    """Write the table of layers for the terminal, a line a layer (as Fig. 5A, with Fig. 2's accuracies).

    Args:
        layers: As layers_table gives them, or read from their file.
    """
    lines = [f"{'layer':>5}  {'accuracy':>15}  {'noise':>7}  {'clusters per filter':>19}  {'cluster size':>12}"]
    for row in layers.itertuples():
        lines.append(
            f"{row.layer:>5}  {_mean_and_std_text(row.accuracy_mean, row.accuracy_std):>15}  "
            f"{_number_text(row.noise_mean):>7}  {_number_text(row.clusters_mean):>19}  "
            f"{_number_text(row.cluster_size_mean):>12}"
        )
    return "\n".join(lines)


def _concatenate(parts: Sequence[LayerClusters]) -> LayerClusters:
    return LayerClusters(
        silent=np.concatenate([part.silent for part in parts]),
        noise=np.concatenate([part.noise for part in parts]),
        numbers=np.concatenate([part.numbers for part in parts]),
    )


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")


def _clusters_text(numbers: np.ndarray) -> str:
    return ";".join(" ".join(map(str, labels)) for labels in list_clusters(numbers))


def _means_and_stds(groups: pd.api.typing.DataFrameGroupBy, names: Sequence[str]) -> pd.DataFrame:
    columns = {}
    for name in names:
        columns[f"{name}_mean"] = groups[name].mean()
        columns[f"{name}_std"] = groups[name].std(ddof=1)
    return pd.DataFrame(columns)


def _existing(numbers: dict[str, float]) -> dict[str, float]:
    return {name: float(f"{number:.6g}") for name, number in numbers.items() if pd.notna(number)}


def _mean_and_std_text(mean: float, std: float) -> str:
    return f"{mean:.4f}" if pd.isna(std) else f"{mean:.4f} ± {std:.4f}"


def _number_text(number: float) -> str:
    return "–" if pd.isna(number) else f"{number:.2f}"
