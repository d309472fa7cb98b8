"""A layer's clusters and statistics: filter by filter as the paper's text describes it, against ours."""

import numpy as np

from singlefilter.filters.layer_clusters import cluster_layer
from singlefilter.statistics.cluster_means import layer_statistics
from tests.benchmarks.harness import HEADINGS, Options, row, run, show, table, time_in_turn

THRESHOLD = 0.3
SIZES = [(512, 10), (512, 100)]  # filters, labels
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
        "filter. Ours: statistics.cluster_layer and layer_statistics."
    )
    show("Cluster statistics", notes, table(HEADINGS, rows))


if __name__ == "__main__":
    run(report)
