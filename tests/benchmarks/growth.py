"""How time grows with images, filters, labels and layers, beside how the work does."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from singlefilter.filters.matrices import filter_matrices, images_per_pass
from tests.benchmarks.cluster_statistics import THRESHOLD, our_statistics, random_fields
from tests.benchmarks.harness import Options, median_seconds, params_of, run, seconds_text, show, table
from tests.benchmarks.heads import train_quietly
from tests.benchmarks.synthetic import random_features, random_head, random_labels

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Size:
    """How large a problem is; layers are all alike."""

    images: int = 2000
    filters: int = 64
    labels: int = 10
    layers: int = 1
    positions: int = 16


QUICK = Size(images=100, filters=8, positions=4)


@dataclass(frozen=True)
class Subject:
    """What is timed.

    Attributes:
        name: Of the function.
        prepare: Gives, for a size, the call that is timed.
        work: Counts, for a size, what the call does at least: the elements of the arrays that it goes through, or
            its multiply-accumulates.
        unit: What work counts.
        grows: Which sizes it depends on.
    """

    name: str
    prepare: Callable[[Size], Callable[[], object]]
    work: Callable[[Size], int]
    unit: str
    grows: tuple[str, ...]


def prepare_matrices(size: Size) -> Callable[[], object]:
    values = random_features(size.images, size.filters, size.positions, seed=0)
    labels = random_labels(size.images, size.labels, seed=0)
    weights = random_head(size.labels, size.filters, size.positions)
    step = images_per_pass(weights)
    starts = range(0, size.images, step)

    def call() -> None:
        for _ in range(size.layers):
            batches = ((values[start : start + step], labels[start : start + step]) for start in starts)
            filter_matrices(batches, weights, CPU)

    return call


def prepare_statistics(size: Size) -> Callable[[], object]:
    fields = random_fields(size.filters, size.labels)
    return lambda: [our_statistics(fields, THRESHOLD) for _ in range(size.layers)]


def prepare_heads(size: Size) -> Callable[[], object]:
    params = params_of("vgg16", epochs=1)
    values = torch.from_numpy(random_features(size.images, size.filters, size.positions, seed=0))
    features = dict.fromkeys(range(1, size.layers + 1), values)
    labels = torch.from_numpy(random_labels(size.images, size.labels, seed=0))

    def call() -> None:
        with TemporaryDirectory() as folder:
            train_quietly(features, labels, size.labels, params, Path(folder))

    return call


SUBJECTS = (
    Subject(
        "filter_matrices",
        prepare_matrices,
        lambda size: size.layers * size.images * size.filters * size.positions * size.labels,
        "multiply–accumulates",
        ("images", "filters", "labels", "layers"),
    ),
    Subject(
        "cluster statistics",
        prepare_statistics,
        lambda size: size.layers * size.filters * size.labels**2,
        "matrix elements",
        ("filters", "labels", "layers"),
    ),
    Subject(
        "train_heads, an epoch",
        prepare_heads,
        lambda size: size.layers * size.images * size.filters * size.positions * size.labels,
        "multiply–accumulates",
        ("images", "filters", "labels", "layers"),
    ),
)
FACTORS = {"images": (10,), "filters": (4,), "labels": (10, 100), "layers": (4,)}


def rows_of(subject: Subject, base: Size, options: Options) -> list[list[str]]:
    sizes = {"base": base}
    for name in subject.grows:
        for factor in FACTORS[name][:1] if options.quick else FACTORS[name]:
            sizes[f"{name} ×{factor}"] = replace(base, **{name: getattr(base, name) * factor})
    rows, first = [], None
    for text, size in sizes.items():
        seconds = median_seconds(subject.prepare(size), options.times(5))
        first = first or seconds
        work = subject.work(size) / subject.work(base)
        rows.append(
            [subject.name, text, seconds_text(seconds), f"×{seconds / first:.3g}", f"×{work:.3g} {subject.unit}"]
        )
    return rows


def report(options: Options) -> None:
    base = QUICK if options.quick else Size()
    rows = [cells for subject in SUBJECTS for cells in rows_of(subject, base, options)]
    notes = (
        f"Base: {base.images:,} images, {base.filters} filters of {base.positions} positions, {base.labels} labels, "
        f"{base.layers} layer; one of these grows at a time. Growth below that of the work means that a fixed cost or "
        "one of fewer dimensions (reading features, a step's overhead) still prevails at the base."
    )
    show("Growth", notes, table(["work", "size", "ours", "growth", "growth of the work"], rows))


if __name__ == "__main__":
    run(report)
