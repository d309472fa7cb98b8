"""All that is measured of a layer of one sample, read a part of its matrices at a time."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd

from singlefilter.filters.clusters import clip
from singlefilter.filters.layer_clusters import (
    LayerClusters,
    cluster_layer,
    concatenate,
    find_at_thresholds,
    normalised_slabs,
)
from singlefilter.filters.store import FilterMatrices
from singlefilter.paper.values import SWEPT_THRESHOLDS
from singlefilter.pipeline.params import LayerName
from singlefilter.statistics.bootstrap import resampling_weights
from singlefilter.statistics.cluster_means import (
    appearance_statistics,
    cluster_means,
    count_decisions,
    decision_statistics,
    layer_statistics,
)
from singlefilter.statistics.nulls import NULLS, NullLayer
from singlefilter.statistics.over_samples import OVER_THRESHOLDS, decisions_table, filters_table, labels_table
from singlefilter.statistics.signal import FieldSums, counted_signal, measure_signal


def measure_layer(
    test: FilterMatrices,
    train: FilterMatrices,
    faded: np.ndarray,
    class_names: list[str],
    threshold: float,
    layer: LayerName,
    seed: int,
) -> dict[str, pd.DataFrame]:
    """Compute every statistic of method, section 5, of one layer of one sample.

    Args:
        test: The layer's matrices over the test set, from which all statistics are.
        train: Those over the training set, whose noise, clusters and sizes stand beside.
        faded: Which filters are far weaker than the others, bool (F,); they count as the others do, and noise,
            clusters and sizes without them stand beside.
        class_names: K.
        threshold: In (0, 1); the swept thresholds are measured beside it.
        layer: The layer; with the seed it fixes the random draws.
        seed: The layer's sample.

    Returns:
        samples: One row: the statistics that over_samples.layers_table averages, but for the accuracies.
        draws: One row per draw: draw, and the statistics that get an interval, of the resampled layer; draw 0 is the
            layer as it is. For bootstrap.intervals.
        thresholds: One row per split, walk and threshold, for over_samples.thresholds_table.
        nulls: One row per null and statistic, for over_samples.nulls_table.
        histograms: One row per bin, for over_samples.histograms_table.
        filters, labels: One row per filter and one row per label.

    Raises:
        InputError: A field is not finite.
    """
    thresholds = sorted({*SWEPT_THRESHOLDS, threshold})
    filters, label_count, _ = test.fields.shape
    images = test.images_per_label
    weights = resampling_weights(filters, label_count, layer, seed)
    field_sums = FieldSums(weights, images, threshold)
    nulls = [NullLayer(null, filters, images, layer, seed) for null in NULLS]
    walks_of_parts, largest = [], []
    with ThreadPoolExecutor(len(nulls)) as drawers:  # of the nulls of some filters, while the rest of them is measured
        for fields, silent, largest_of_part in normalised_slabs(test.fields, images):
            clipped = clip(fields[~silent], threshold)
            drawing = [drawers.submit(null.add, clipped) for null in nulls]
            forward, backward = find_at_thresholds(fields, silent, thresholds, reverse=(False, True))
            field_sums.add(fields, forward[threshold])
            walks_of_parts.append((forward, backward))
            largest.append(largest_of_part)
            for drawn in drawing:
                drawn.result()
    forward, backward = map(concatenate, zip(*walks_of_parts, strict=True))
    walks = {
        ("test", "forward"): forward,
        ("test", "reversed"): backward,
        ("train", "forward"): cluster_layer(train.fields, train.images_per_label, thresholds),
    }
    clusters = forward[threshold]
    decision_counts, right = count_decisions(test.decisions)
    of_fields = field_sums.statistics()
    of_fields |= measure_signal(
        test.fields, images, clusters, np.concatenate(largest), weights, of_fields["fields_in_clusters"]
    )
    resampled = _statistics(clusters, images, weights) | of_fields
    resampled |= decision_statistics(decision_counts, right, int(images.sum()), weights)
    swept = _thresholds(walks)
    measured = layer_statistics(clusters) | {name: values[0] for name, values in resampled.items()}
    measured["test_images"] = int(images.sum())
    measured |= _variants(swept[swept["threshold"] == threshold]) | _without_faded(clusters, faded)
    return {
        "samples": pd.DataFrame([measured]),
        "draws": pd.DataFrame(resampled).rename_axis("draw").reset_index(),
        "thresholds": swept,
        "nulls": _nulls(nulls, measured),
        "histograms": field_sums.histogram(),
        "filters": filters_table(clusters).join(decisions_table(decision_counts)),
        "labels": labels_table(clusters, class_names, images),
    }


def _statistics(clusters: LayerClusters, images_per_label: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """The statistics of the clusters, of the layer resampled as weights (D, F) say, float64 (D,) each."""
    return (
        cluster_means(clusters, weights)
        | appearance_statistics(clusters, images_per_label, weights)
        | counted_signal(clusters, np.count_nonzero(images_per_label), weights)
    )


def _thresholds(walks: dict[tuple[str, str], dict[float, LayerClusters]]) -> pd.DataFrame:
    rows = []
    for (split, walk), found in walks.items():
        for threshold, clusters in found.items():
            statistics = layer_statistics(clusters)
            compared = {name: statistics[name] for name in OVER_THRESHOLDS}
            rows.append({"split": split, "walk": walk, "threshold": threshold, **compared})
    return pd.DataFrame(rows)


def _variants(swept: pd.DataFrame) -> dict[str, float]:
    """Noise, clusters and sizes on the training set, and after the reversed walk, from the rows of one threshold."""
    rows = swept.set_index(["split", "walk"])
    variants = {"train": rows.loc["train", "forward"], "reversed": rows.loc["test", "reversed"]}
    return {f"{variant}_{name}": row[name] for variant, row in variants.items() for name in OVER_THRESHOLDS}


def _without_faded(clusters: LayerClusters, faded: np.ndarray) -> dict[str, float]:
    """Count the faded filters that are not silent; noise, clusters and sizes of the layer without them."""
    left = layer_statistics(replace(clusters, silent=clusters.silent | faded))
    return {"faded_filters": int((faded & ~clusters.silent).sum())} | {
        f"unfaded_{name}": left[name] for name in OVER_THRESHOLDS
    }


def _nulls(nulls: list[NullLayer], measured: dict[str, float]) -> pd.DataFrame:
    table = pd.concat([null.table() for null in nulls], ignore_index=True)
    return table.assign(measured=table["statistic"].map(measured))
