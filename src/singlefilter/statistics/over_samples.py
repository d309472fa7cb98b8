"""The tables of filters, labels and layers: of one sample, and over samples."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from singlefilter.filters.clusters import cluster_sizes, list_clusters
from singlefilter.filters.layer_clusters import LayerClusters
from singlefilter.statistics.cluster_means import ratio

FILTERS_COLUMNS = [
    *("seed", "layer", "filter", "noise", "clusters", "silent", "labels"),
    *("decision_label", "decision_share", "accuracy_loss"),
]
LABELS_COLUMNS = ["seed", "layer", "label", "class_name", "appearances"]

_ACCURACIES = ("accuracy", "train_accuracy", "validation_accuracy")
_STATISTICS = (  # those that get an interval
    *("noise", "noise_clustered", "clusters", "cluster_size", "appearances", "appearances_variation"),
    "appearances_variation_independent",
    *("full_columns", "full_columns_share"),
    *("fields_in_clusters", "fields_beside_clusters", "fields_off_clusters", "field_gap", "field_gap_absolute"),
    *("signal_counted", "interference_counted", "noise_counted", "snr_counted", "snr_counted_with_noise"),
    *("signal", "first_noise", "first_noise_largest", "second_noise", "second_noise_others"),
    *("total_signal", "total_noise_rms", "snr_rms", "margin"),
    *("one_decision_share", "few_decisions_share", "single_accuracy"),
)
OVER_THRESHOLDS = ("noise", "clusters", "cluster_size")
_VARIANTS = tuple(f"{variant}_{name}" for variant in ("train", "reversed", "unfaded") for name in OVER_THRESHOLDS)
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
    "faded_filters",
    "snr_counted",
)


def filters_table(clusters: LayerClusters) -> pd.DataFrame:
    """List one layer of one sample filter by filter.

    Returns:
        One row per filter: filter (its number), noise, clusters (how many), silent, labels (the clusters as "0 4 9;1 2
        5"). Noise and clusters of a silent filter are NaN.
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


def decisions_table(decision_counts: np.ndarray) -> pd.DataFrame:
    """Say which label each filter of one layer of one sample picks most often, whatever the input (Fig. 3B).

    Args:
        decision_counts: int (F, K), as count_decisions gives them.

    Returns:
        One row per filter: decision_label, the first of those picked most often, and decision_share, the share of the
        filter's decided images for which it picks it. Both empty for a filter that decides none.
    """
    decided = decision_counts.sum(axis=1)
    label = pd.Series(decision_counts.argmax(axis=1), dtype="Int64").where(decided > 0)
    return pd.DataFrame({"decision_label": label, "decision_share": ratio(decision_counts.max(axis=1), decided)})


def labels_table(clusters: LayerClusters, class_names: Sequence[str], images_per_label: np.ndarray) -> pd.DataFrame:
    """Count in how many clusters of one layer of one sample each label is (Fig. 5B).

    Returns:
        One row per label: label, class_name, appearances; the last empty for a label without images.
    """
    appearances = (clusters.numbers >= 0).sum(axis=0)  # at most one cluster of a filter has the label
    appearances = pd.Series(appearances, dtype="Int64").where(images_per_label > 0)
    return pd.DataFrame({"label": range(len(appearances)), "class_name": class_names, "appearances": appearances})


def layers_table(samples: pd.DataFrame, intervals: pd.DataFrame) -> pd.DataFrame:
    """Average each layer's statistics over samples (Figs. 2 and 5A).

    Args:
        samples: One row per sample and layer: layer, the fractions accuracy, train_accuracy and validation_accuracy,
            and what layer.measure_layer gives. Where it is NaN in a sample, so are its mean and deviation.
        intervals: One row per layer, indexed by it, as bootstrap.intervals gives them.

    Returns:
        One row per layer: layer, filters, test_images, samples, then mean and standard deviation over samples (ddof 1,
        so NaN for one sample) of these accuracies; mean, standard deviation and interval (X_mean, X_std, X_low, X_high)
        of each statistic; the means size_share_1 … size_share_K, silent_filters_mean and faded_filters_mean; mean and
        standard deviation of noise, clusters and cluster size on the training set, after the reversed walk, and
        without the faded filters.
    """
    groups = samples.groupby("layer")
    shares = _share_columns(samples)
    statistics = _means_and_stds(groups, _STATISTICS).join(intervals)
    ends = ("mean", "std", "low", "high")
    table = pd.concat(
        [
            groups[["filters", "test_images"]].first(),
            groups.size().rename("samples"),
            _means_and_stds(groups, _ACCURACIES),
            statistics[[f"{name}_{end}" for name in _STATISTICS for end in ends]],
            groups[shares].mean(),
            groups[["silent_filters", "faded_filters"]].mean().add_suffix("_mean"),
            _means_and_stds(groups, _VARIANTS),
        ],
        axis=1,
    )
    return table.reset_index()


def sizes_table(layers: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """List the share of each cluster size, for plots that take one row per bar (Fig. 5A).

    Args:
        layers: As layers_table gives them.
        samples: As layers_table takes them.

    Returns:
        One row per layer and size, up to the largest of any layer: layer, size, then mean and standard deviation over
        samples (ddof 1) of its share of the layer's clusters.
    """
    shares = _share_columns(samples)
    stds = samples.groupby("layer")[shares].std(ddof=1)
    long = layers[["layer", *shares]].melt("layer", var_name="size", value_name="share_mean")
    long["share_std"] = stds.reindex(layers["layer"]).melt()["value"].to_numpy()
    long["size"] = long["size"].str.removeprefix("size_share_").astype(int)
    largest = long.loc[long["share_mean"] > 0, "size"].max()
    return long[long["size"] <= largest].sort_values(["layer", "size"], ignore_index=True)


def thresholds_table(samples: pd.DataFrame) -> pd.DataFrame:
    """Average the statistics that depend on the threshold over samples (SI, Robustness to different threshold values).

    Args:
        samples: One row per sample, layer, split, walk and threshold: these, and noise, clusters and cluster_size.

    Returns:
        One row per layer, split (test or train), walk (forward or reversed) and threshold: these, then mean and
        standard deviation over samples (ddof 1) of noise, clusters and cluster_size.
    """
    return _means_and_stds(samples.groupby(["layer", "split", "walk", "threshold"]), OVER_THRESHOLDS).reset_index()


def nulls_table(samples: pd.DataFrame) -> pd.DataFrame:
    """Compare each layer's statistics with its nulls', averaged over samples (method, section 5).

    Args:
        samples: One row per sample, layer, null and statistic: these, draws, measured, null_mean and null_std.

    Returns:
        One row per layer, null and statistic: these, samples, draws, the means of measured, null_mean and null_std, and
        z = (measured - null_mean) / null_std · √samples, NaN where null_std is 0. Samples are those that have both.
    """
    samples = samples[samples[["measured", "null_mean"]].notna().all(axis=1)]
    groups = samples.groupby(["layer", "null", "statistic"], sort=False)
    table = pd.concat(
        [
            groups.size().rename("samples"),
            groups["draws"].first(),
            groups[["measured", "null_mean", "null_std"]].mean(),
        ],
        axis=1,
    ).reset_index()
    differences = (table["measured"] - table["null_mean"]) * np.sqrt(table["samples"])  # of means over the samples
    return table.assign(z=ratio(differences.to_numpy(), table["null_std"].to_numpy()))


def histograms_table(samples: pd.DataFrame) -> pd.DataFrame:
    """Add up the histograms of fields that are not above threshold over samples (Fig. 5C).

    Args:
        samples: One row per sample, layer, kind of rows and bin: layer, rows, low, high, count.

    Returns:
        One row per layer, kind of rows and bin: these five, and share, of the counted fields of the layer in such rows;
        NaN where there is none.
    """
    groups = samples.groupby(["layer", "rows", "high"])
    table = pd.concat([groups["low"].first(), groups["count"].sum()], axis=1).reset_index()
    totals = table.groupby(["layer", "rows"])["count"].transform("sum")
    table["share"] = ratio(table["count"].to_numpy(), totals.to_numpy())
    return table[["layer", "rows", "low", "high", "count", "share"]]


def summarise(layers: pd.DataFrame, last_epochs: pd.DataFrame) -> dict[str, object]:
    """Gather the few numbers by which runs are compared, under keys that every architecture has.

    Args:
        layers: As layers_table gives them.
        last_epochs: One row per sample: test_accuracy and validation_accuracy of the whole network after the last
            epoch, as fractions.

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


def _clusters_text(numbers: np.ndarray) -> str:
    return ";".join(" ".join(map(str, labels)) for labels in list_clusters(numbers))


def _share_columns(samples: pd.DataFrame) -> list[str]:
    return [name for name in samples if name.startswith("size_share_")]


def _means_and_stds(groups: pd.api.typing.DataFrameGroupBy, names: Sequence[str]) -> pd.DataFrame:
    columns = {}
    for name in names:
        in_all = groups[name].count() == groups.size()
        columns[f"{name}_mean"] = groups[name].mean().where(in_all)
        columns[f"{name}_std"] = groups[name].std(ddof=1).where(in_all)
    return pd.DataFrame(columns)


def _existing(numbers: dict[str, float]) -> dict[str, float]:
    return {name: float(f"{number:.6g}") for name, number in numbers.items() if pd.notna(number)}
