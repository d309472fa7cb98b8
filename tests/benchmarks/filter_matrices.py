"""The matrices of every filter: literally silencing all others, filter by filter, against one pass for all."""

import os
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from singlefilter.filters.matrices import filter_matrices, images_per_pass
from singlefilter.filters.store import FilterMatrices
from tests.benchmarks.harness import HEADINGS, Options, judged, params_of, row, run, show, table, time_in_turn
from tests.benchmarks.synthetic import LABELS, feature_shapes, random_head, write_random_features
from tests.feature_files import feature_path, open_features

ARCH = "vgg16"
LEAST_RATIO = 100
MOST_TO_READING = 2
BATCH = 1000
CPU = torch.device("cpu")


@torch.no_grad()
def silence_others(
    batches: Iterable[tuple[Tensor, Tensor]], weights: Tensor, chosen: int
) -> tuple[np.ndarray, np.ndarray]:
    """Zero the weights of all filters but one, run the head over all images, and gather its outputs (Figs. 3 and 4).

    Args:
        batches: Features float32 (n, F * S) with labels (n,), as the test loop of PyTorch's quickstart takes them.
        weights: The head, float32 (K, F, S).
        chosen: The filter.

    Returns:
        Sums of the fields and counts of the decisions, (K, K) each as [input label, output].
    """
    label_count = len(weights)
    silenced = torch.zeros_like(weights)
    silenced[:, chosen] = weights[:, chosen]
    head = nn.Linear(weights[0].numel(), label_count, bias=False)
    head.weight.copy_(silenced.flatten(1))
    fields = torch.zeros(label_count, label_count, dtype=torch.float64)
    decisions = torch.zeros(label_count, label_count, dtype=torch.int64)
    for features, labels in batches:
        outputs = head(features)  # (n, K)
        fields.index_add_(0, labels, outputs.double())
        decided = (outputs != 0).any(1)
        pairs = labels[decided], outputs[decided].argmax(1)
        decisions.index_put_(pairs, torch.ones((), dtype=torch.int64), accumulate=True)
    return fields.numpy(), decisions.numpy()


def from_file(folder: Path, layer: int, weights: np.ndarray) -> FilterMatrices:
    """All filters' matrices straight from the file, as the stage gathers them."""
    with open_features(folder, layer) as file:
        return filter_matrices(file.stream("test", images_per_pass(weights)), weights, CPU)


def read_once(folder: Path, layer: int, weights: np.ndarray) -> None:
    """Read the features once, in the same pieces."""
    with open_features(folder, layer) as file:
        for _ in file.stream("test", images_per_pass(weights)):
            pass


def layer_rows(folder: Path, layer: int, shape: tuple[int, int], options: Options) -> list[list[str]]:
    filters, positions = shape
    path, weights = feature_path(folder, layer), random_head(LABELS, filters, positions)
    with open_features(folder, layer) as file:
        values, labels = (torch.from_numpy(part) for part in file.whole("test"))
    inputs = values.flatten(1).float()  # (n, F, S) -> (n, F * S)
    loader = DataLoader(TensorDataset(inputs, labels), batch_size=BATCH)
    plain = list(zip(inputs.split(BATCH), labels.split(BATCH), strict=True))
    timed = filters_timed(options)
    seconds = time_in_turn(
        {
            "loader": lambda: silence_some(loader, weights, timed),
            "plain": lambda: silence_some(plain, weights, timed),
            "ours": lambda: from_file(folder, layer, weights),
            "reading": lambda: read_once(folder, layer, weights),
            "ours, from disk": lambda: (forget(path), from_file(folder, layer, weights)),
            "reading, from disk": lambda: (forget(path), read_once(folder, layer, weights)),
        },
        options.times(3),
    )
    cached = float(np.median(seconds["ours"] / seconds["reading"]))
    disk = float(np.median(seconds["ours, from disk"] / seconds["reading, from disk"]))
    work, scale = f"layer {layer}: {filters} filters × {positions} positions", filters / timed
    share = f"{cached:.2g}× reading once (from disk {disk:.2g}×)"
    reading = judged(f"≤ {MOST_TO_READING}× reading", cached <= MOST_TO_READING)
    return [
        row(f"{work}, loader", seconds["loader"] * scale, seconds["ours"], LEAST_RATIO, share, [reading]),
        row(f"{work}, plain tensors", seconds["plain"] * scale, seconds["ours"], LEAST_RATIO),
    ]


def filters_timed(options: Options) -> int:
    return 2 if options.quick else 8


def forget(path: Path) -> None:
    """Drop a file from the system's cache, so that the next read comes from the disk (Linux)."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def silence_some(batches: Iterable[tuple[Tensor, Tensor]], weights: np.ndarray, count: int) -> None:
    for chosen in range(count):
        silence_others(batches, torch.from_numpy(weights), chosen)


def report(options: Options) -> None:
    images = 500 if options.quick else 10_000
    shapes = feature_shapes(params_of(ARCH).chosen_arch)
    rows = []
    with TemporaryDirectory() as name:
        folder = Path(name)
        for layer, shape in shapes.items():
            write_random_features(folder, {layer: shape}, "test", images)
            rows += layer_rows(folder, layer, shape, options)
            feature_path(folder, layer).unlink()
    notes = (
        f"{ARCH}, {images:,} test images. Textbook: for each filter a head in which all other weights are 0 runs over "
        "float32 features in memory, by a DataLoader or by plain batches of tensors; "
        f"{filters_timed(options)} filters are timed and scaled to all. Ours: filters.filter_matrices for all filters, "
        "with reading them from the file, from the system's cache unless said otherwise."
    )
    show("Filter matrices", notes, table(HEADINGS, rows))


if __name__ == "__main__":
    run(report)
