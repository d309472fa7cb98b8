"""A layer's clusters and statistics: filter by filter as the paper's text describes it, against ours."""

import time
from collections.abc import Callable

import numpy as np

from singlefilter.filters.layer_clusters import cluster_layer
from singlefilter.filters.store import FilterMatrices
from singlefilter.statistics.cluster_means import layer_statistics
from singlefilter.statistics.layer import measure_layer
from tests.benchmarks.harness import (
    HEADINGS,
    Options,
    bytes_text,
    in_fresh_process,
    peak_beyond,
    row,
    run,
    seconds_of,
    seconds_text,
    show,
    table,
    time_in_turn,
)

THRESHOLD = 0.3
SIZES = [(512, 10), (512, 100)]  # filters, labels
LAYER_SIZES = [(512, 10), (512, 100), (64, 1000)]
QUICK_SIZES = [(16, 10)]


def random_fields(filters: int, labels: int, seed: int = 0) -> np.ndarray:
    """Draw fields, float64 (F, K, K), in which some labels support each other."""
    generator = np.random.default_rng(seed)
    supports = generator.integers(max(labels // 3, 1), size=(filters, labels))
    together = supports[:, :, np.newaxis] == supports[:, np.newaxis, :]
    return generator.normal(0, 0.3, (filters, labels, labels)) + together


def filter_clusters(clipped: np.ndarray) -> list[list[int]]:
    """Walk along one filter's diagonal (SI, "The calculation of the clusters")."""
    unassigned = [label for label in range(len(clipped)) if clipped[label, label]]
    clusters = []
    while unassigned:
        cluster = [unassigned.pop(0)]
        for label in list(unassigned):
            if all(clipped[label, member] and clipped[member, label] for member in cluster):
                cluster.append(label)
                unassigned.remove(label)
        clusters.append(cluster)
    return clusters


def textbook_statistics(fields: np.ndarray, threshold: float) -> dict[str, float]:
    """Mean noise, clusters per filter and cluster size over a layer, filter by filter (SI, Figs. 4 and 5A)."""
    noises, counts, sizes = [], [], []
    for matrix in fields:
        if matrix.max() <= 0:
            continue
        clipped = matrix / matrix.max() > threshold
        clusters = filter_clusters(clipped)
        outside = clipped.copy()
        for cluster in clusters:
            outside[np.ix_(cluster, cluster)] = False
        noises.append(outside.sum())
        counts.append(len(clusters))
        sizes += map(len, clusters)
    return {"noise": float(np.mean(noises)), "clusters": float(np.mean(counts)), "cluster_size": float(np.mean(sizes))}


def our_statistics(fields: np.ndarray, threshold: float) -> dict[str, float]:
    images = np.ones(fields.shape[1], dtype=np.int64)
    return layer_statistics(cluster_layer(fields, images, [threshold])[threshold])


def prepare_layer(filters: int, labels: int) -> Callable[[], object]:
    """Make up a layer, the same on both splits; give the call that measures all of it."""
    decisions = np.random.default_rng(1).integers(5, size=(filters, labels, labels))
    images, correct_without = np.full(labels, 50), np.zeros(filters, dtype=np.int64)
    matrices = FilterMatrices(random_fields(filters, labels), decisions, images, correct_without)
    names, faded = [str(label) for label in range(labels)], np.zeros(filters, dtype=bool)
    return lambda: measure_layer(matrices, matrices, faded, names, THRESHOLD, layer=1, seed=0)


def time_and_memory(filters: int, labels: int) -> tuple[float, float, int | None]:
    """Measure calls of measure_layer: seconds, those of all threads together, and bytes beyond the matrices."""
    work = prepare_layer(filters, labels)
    peak = peak_beyond(work)  # of the first call: it leaves memory behind that later ones use again
    began = time.process_time()
    return seconds_of(work), time.process_time() - began, peak


def layer_row(filters: int, labels: int) -> list[str]:
    seconds, of_threads, peak = in_fresh_process(time_and_memory, filters, labels)
    each = seconds_text(seconds / filters)
    return [
        f"{filters} filters, {labels} labels",
        seconds_text(seconds),
        seconds_text(of_threads),
        each,
        bytes_text(peak),
    ]


def report(options: Options) -> None:
    rows = []
    for filters, labels in QUICK_SIZES if options.quick else SIZES:
        fields = random_fields(filters, labels)
        seconds = time_in_turn(
            {
                "textbook": lambda fields=fields: textbook_statistics(fields, THRESHOLD),
                "ours": lambda fields=fields: our_statistics(fields, THRESHOLD),
            },
            options.times(5),
        )
        rows.append(row(f"{filters} filters, {labels} labels", seconds["textbook"], seconds["ours"]))
    notes = (
        "Noise, clusters and cluster size of a layer at one threshold. Textbook: NumPy and Python's loops, filter by "
        "filter. Ours: filters.layer_clusters.cluster_layer and statistics.cluster_means.layer_statistics."
    )
    show("Cluster statistics", notes, table(HEADINGS, rows))
    rows = [layer_row(*size) for size in (QUICK_SIZES if options.quick else LAYER_SIZES)]
    notes = (
        "All that cluster_stats measures of a layer (statistics.layer.measure_layer): both splits, all thresholds, "
        "nulls and resampled layers; a single call after an untimed one, in a process of its own, of as many filters "
        "as the row says. At 1,000 labels a layer of 512 takes 512 times as long as a filter. Memory: at most, beyond "
        "the matrices."
    )
    show("All statistics of a layer", notes, table(("work", "time", "of all threads", "a filter", "memory"), rows))


if __name__ == "__main__":
    run(report)
