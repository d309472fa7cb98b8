"""One epoch of all heads of VGG-16: from the file image by image, from plain tensors, and ours; and ours' memory."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, RandomSampler

from singlefilter.backbone.network import Network
from singlefilter.features.augmented import AugmentedFeatures
from singlefilter.heads.train import StoredFeatures, train_heads
from singlefilter.pipeline.params import Heads, Params
from singlefilter.training.checkpoint import Checkpoint
from tests.benchmarks.harness import (
    GIB,
    HEADINGS,
    Options,
    bytes_text,
    in_fresh_process,
    judged,
    params_of,
    peak_beyond,
    precision_here,
    quickest,
    quiet,
    ratios,
    row,
    run,
    seconds_text,
    show,
    table,
    time_in_turn,
)
from tests.benchmarks.synthetic import IMAGE_SIZE, LABELS, feature_shapes, random_data, write_random_features
from tests.benchmarks.training_step import OurTraining
from tests.feature_files import feature_path, open_features

ARCH = "vgg16"
LEAST_RATIO, LEAST_RATIO_TO_TENSORS = 20, 4
MOST_OF_FORWARD = 1.15  # that a step of augmented heads takes, in forward passes
WORKERS = (0, 2)  # PyTorch's tutorials take 0, 1 or 2
STEPS = 5  # on augmented images
PART = 5  # one image at a time, only a fifth of the epoch is timed


class FeatureFile(Dataset):
    """A layer's features in its file, one image at a time, as PyTorch's tutorial on custom data sets reads files.

    The file is opened at the first access, since an open one cannot be handed to a loader's workers.
    """

    def __init__(self, path: Path):
        self.path, self.features = path, None
        with h5py.File(path) as file:
            self.labels = file["train/labels"][()]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if self.features is None:
            self.features = h5py.File(self.path)["train/features"]
        return torch.from_numpy(self.features[index]).float().flatten(), int(self.labels[index])


class TextbookHead:
    """A linear layer and the loop of PyTorch's tutorial on optimising model parameters."""

    def __init__(self, inputs: int, labels: int, heads: Heads):
        self.linear = nn.Linear(inputs, labels, bias=False)
        self.optimiser = torch.optim.SGD(
            self.linear.parameters(),
            lr=heads.learning_rate,
            momentum=heads.momentum,
            weight_decay=heads.weight_decay,
            nesterov=True,
        )

    def train(self, batches: Iterable[tuple[Tensor, Tensor]]) -> float:
        """Train on one epoch's batches; give the sum of their losses."""
        running_loss = 0.0
        for features, labels in batches:
            self.optimiser.zero_grad()
            loss = nn.functional.cross_entropy(self.linear(features), labels)
            loss.backward()
            self.optimiser.step()
            running_loss += loss.item()
        return running_loss


class FromFiles:
    """One head after the other, from a loader over its layer's file, on a random part of the images."""

    def __init__(self, folder: Path, params: Params, images: int, workers: int):
        heads = params.chosen_arch.heads
        self.items = []
        for layer in params.chosen_arch.examined_layers:
            dataset = FeatureFile(feature_path(folder, layer))
            loader = DataLoader(
                dataset,
                batch_size=heads.batch_size,
                sampler=RandomSampler(dataset, num_samples=images),
                num_workers=workers,
                persistent_workers=workers > 0,
            )
            self.items.append((TextbookHead(len(dataset[0][0]), LABELS, heads), loader))

    def epoch(self) -> None:
        for head, loader in self.items:
            head.train(loader)


class FromTensors:
    """One head after the other, from features that are tensors in memory."""

    def __init__(self, features: Mapping[int, Tensor], labels: Tensor, params: Params):
        heads = params.chosen_arch.heads
        self.features, self.labels, self.size = features, labels, heads.batch_size
        self.heads = {layer: TextbookHead(values.shape[1], LABELS, heads) for layer, values in features.items()}

    def epoch(self) -> None:
        for layer, head in self.heads.items():
            head.train(shuffled_batches(self.features[layer], self.labels, self.size))


def shuffled_batches(features: Tensor, labels: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Give features (N, F * S) with labels (N,) in batches of a random order, as float32."""
    for rows in torch.randperm(len(labels)).split(size):
        yield features[rows].float(), labels[rows]


def train_quietly(
    features: Mapping[int, Tensor], labels: Tensor, label_count: int, params: Params, folder: Path
) -> dict[int, Tensor]:
    """All heads in one pass, from the start; with one epoch, no checkpoint is due."""
    with quiet():
        ones = {layer: torch.ones(values.shape[1]) for layer, values in features.items()}  # as in the chain, multiplied
        checkpoint = Checkpoint(folder / "checkpoints", {})
        return train_heads(StoredFeatures(features, ones), labels, label_count, params, 0, checkpoint)


def read_features(folder: Path, layers: Iterable[int]) -> tuple[dict[int, Tensor], Tensor]:
    """Read the layers' features, float16 (N, F, S), and labels, as the stage does."""
    features = {}
    for layer in layers:
        with open_features(folder, layer) as file:
            values, labels = file.whole("train")
        features[layer] = torch.from_numpy(values)
    return features, torch.from_numpy(labels)


def gather(features: Mapping[int, Tensor], size: int) -> None:
    """Only put each batch's rows together, in float32: what the memory allows."""
    for rows in torch.randperm(len(next(iter(features.values())))).split(size):
        for values in features.values():
            values.index_select(0, rows).float()


def measure(folder: Path, params: Params, part: int, repeats: int) -> tuple[dict[str, np.ndarray], int]:
    """Time an epoch each way; give the seconds, float64 (repeats,), and the loader's workers."""
    features, labels = read_features(folder, params.chosen_arch.examined_layers)
    halves = {layer: values.flatten(1) for layer, values in features.items()}  # (N, F, S) -> (N, F * S)
    singles = {layer: values.float() for layer, values in halves.items()}
    files = {count: FromFiles(folder, params, part, count) for count in WORKERS}
    count = quickest({count: way.epoch for count, way in files.items()})
    ways = {
        "files": files[count].epoch,
        "float16": FromTensors(halves, labels, params).epoch,
        "float32": FromTensors(singles, labels, params).epoch,
        "ours": lambda: train_quietly(features, labels, LABELS, params, folder),
        "gather": lambda: gather(halves, params.chosen_arch.heads.batch_size),
    }
    seconds = time_in_turn(ways, repeats)
    return seconds | {"files": seconds["files"] * len(labels) / part}, count


def peak_of_ours(folder: Path, params: Params) -> int | None:
    """The memory of reading the features and of one epoch, in bytes; for a process of its own."""

    def work() -> None:
        features, labels = read_features(folder, params.chosen_arch.examined_layers)
        train_quietly(features, labels, LABELS, params, folder)

    torch.ones(2).sum()  # what torch starts once
    return peak_beyond(work)


def beside_the_backbone(arch: str, steps: int, repeats: int) -> list[str]:
    """Time a step of all heads on augmented images, the forward pass that it has, and a step of the backbone."""
    cpu = torch.device("cpu")
    params = params_of(arch, epochs=1).model_copy(update={"precision": precision_here(cpu)})
    split, layers = (
        random_data(steps * params.chosen_arch.heads.batch_size, 1).train,
        params.chosen_arch.examined_layers,
    )
    network = Network(params.chosen_arch.backbone, LABELS, IMAGE_SIZE)
    pixels, labels = torch.from_numpy(split.images), torch.from_numpy(split.labels)
    features = AugmentedFeatures(network, pixels, layers, 4, True, params.precision, cpu)

    def train() -> None:
        with quiet():
            train_heads(features, labels, LABELS, params, 0)

    def forward() -> None:
        for index in torch.arange(len(labels)).split(params.chosen_arch.heads.batch_size):
            for _ in features.rows(index, torch.zeros(len(index), dtype=torch.bool), torch.zeros(len(index), 2).long()):
                pass

    ways = {"heads": train, "forward": forward, "backbone": OurTraining(split, params, cpu).epoch}
    seconds = time_in_turn(ways, repeats)
    times = [seconds_text(float(np.median(values)) / steps) for values in seconds.values()]
    of_forward = float(np.median(seconds["heads"] / seconds["forward"]))
    median, least, most = ratios(seconds["backbone"], seconds["heads"])
    aim = judged(f"≤ {MOST_OF_FORWARD} × forward alone", of_forward <= MOST_OF_FORWARD)
    work = f"{len(layers)} heads of {arch}, {params.precision}"
    return [work, *times, f"{of_forward:.2f}", f"{median:.2g} ({least:.2g}–{most:.2g})", aim]


def report(options: Options) -> None:
    images = options.image_count(10_000, quick=500)
    params = params_of(ARCH, epochs=1)
    shapes = feature_shapes(params.chosen_arch)
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_random_features(folder, shapes, "train", images)
        peak = in_fresh_process(peak_of_ours, folder, params)
        seconds, count = measure(folder, params, images // PART, options.times(5))
    of_features = 2 * images * sum(filters * positions for filters, positions in shapes.values())
    ours, heads = seconds["ours"], f"{len(shapes)} heads of {ARCH}"
    share = f"{np.median(ours) / np.median(seconds['gather']):.2g}× gathering the batches alone"
    rows = [
        row(
            f"{heads}, DataLoader over the files with {count} workers (1/{PART} of the epoch timed, scaled)",
            seconds["files"],
            ours,
            LEAST_RATIO,
            share,
        ),
        *(
            row(f"{heads}, plain {kind} tensors", seconds[kind], ours, LEAST_RATIO_TO_TENSORS)
            for kind in ("float16", "float32")
        ),
    ]
    notes = (
        f"One epoch of {images:,} images (CIFAR-10 has 50,000), {bytes_text(of_features)} of float16 features. "
        "Textbook: nn.Linear and SGD, one head after the other. Ours: heads.train_heads, all in one pass."
    )
    steps = 1 if options.quick else STEPS
    augmented = [beside_the_backbone(arch, steps, options.times(5)) for arch in ("vgg6", ARCH)]
    headings = (
        "a step of 100 augmented images",
        "heads",
        "forward alone",
        "backbone",
        "heads / forward",
        "backbone / heads (min–max)",
        "aim",
    )
    show("Heads", notes, table(HEADINGS, rows), memory_text(peak, of_features), table(headings, augmented))


def memory_text(peak: int | None, of_features: int) -> str:
    if peak is None:
        return "Peak memory: this system does not tell it."
    beyond = peak - of_features
    aim = judged("at most 1 GiB", beyond <= GIB)
    return (
        f"Peak memory of reading the features and one epoch: {bytes_text(peak)}; beyond the features once: "
        f"{bytes_text(max(beyond, 0))} (aim: {aim})."
    )


if __name__ == "__main__":
    run(report)
