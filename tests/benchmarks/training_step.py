"""A step of training a backbone: the loop of PyTorch's tutorials against ours, and against the machine."""

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from singlefilter.backbone import train as training
from singlefilter.data.dataset import Split
from singlefilter.pipeline.architecture import COLOURS, multiply_accumulates
from singlefilter.pipeline.params import POOLS, Backbone, Params
from singlefilter.pipeline.params import Dataset as DatasetRow
from tests.benchmarks.convolutions import convolutions_alone
from tests.benchmarks.harness import (
    HEADINGS,
    Options,
    judged,
    params_of,
    precision_here,
    quickest,
    row,
    run,
    show,
    table,
    time_in_turn,
)
from tests.benchmarks.synthetic import IMAGE_SIZE, LABELS, random_data

STEPS = {"vgg6": 20, "vgg16": 10, "avgg16": 1}
LEAST_RATIO = {"vgg6": 2.35, "vgg16": 2.1}
MOST_OF_LIMIT = 1.3  # times the step's convolutions alone
WORKERS = (0, 2)  # 2 is what PyTorch's CIFAR-10 tutorial takes
IN_FLOAT32 = "ours in float32"
PASSES = 3  # forward, and backward to the inputs and to the weights, each with as many multiply-accumulates
NOTES = (
    "Textbook: PIL transforms, DataLoader with 0, 2 or, on a GPU, as many workers as cores, whichever is quickest "
    "here, float32, SGD, a loss read in every step. Ours: the step of backbone/train.py in bf16, and in float32. The "
    "limits, in the same run, of the step in bf16: its convolutions alone, each in its quicker layout; and a bf16 "
    f"product of 4096² matrices, where a step counts as {PASSES} × 2 × multiply–accumulates an image. A few steps are "
    "timed at a time."
)


class Images(Dataset):
    """Transformed PIL images with their labels, as torchvision.datasets.CIFAR10 gives them."""

    def __init__(self, split: Split, transform: Callable[[Image.Image], Tensor]):
        self.split, self.transform = split, transform

    def __len__(self) -> int:
        return len(self.split.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.split.images[index])), int(self.split.labels[index])


def textbook_transform(dataset: DatasetRow) -> transforms.Compose:
    """The method's augmentation in torchvision's transforms, by the usual recipe for CIFAR-10.

    A random crop of the padded image is a translation by whole pixels; 128 is the grey nearest to 0 after scaling.
    """
    size, translation = dataset.image_size, dataset.translation
    return transforms.Compose(
        [
            transforms.RandomHorizontalFlip(0.5 if dataset.flip else 0.0),
            transforms.RandomCrop(size, padding=translation, fill=128),
            transforms.ToTensor(),
            transforms.Normalize((0.5,) * COLOURS, (0.5,) * COLOURS),
        ]
    )


def textbook_network(backbone: Backbone, labels: int, image_size: int) -> nn.Sequential:
    """The network as a chain of PyTorch's layers, in its default memory format, split as torchvision's VGG is."""
    features, channels = nn.Sequential(), COLOURS
    for item in backbone.convolutions:
        if item in POOLS:
            features.append(nn.MaxPool2d(2) if item == "M" else nn.AvgPool2d(4))
            image_size //= POOLS[item]
        else:
            features.extend([nn.Conv2d(channels, item, 3, padding=1), nn.BatchNorm2d(item), nn.ReLU(True)])
            channels = item
    classifier, width = nn.Sequential(nn.Flatten()), channels * image_size**2
    for hidden in backbone.fully_connected:
        classifier.append(nn.Linear(width, hidden))
        if backbone.activation == "relu":
            classifier.append(nn.ReLU(True))
        width = hidden
    classifier.append(nn.Linear(width, labels, bias=backbone.output_bias))
    return nn.Sequential(OrderedDict(features=features, classifier=classifier))


@contextlib.contextmanager
def tf32_as_by_default() -> Iterator[None]:
    """Let a GPU's convolutions round float32, as PyTorch does unless told otherwise; ours tells it otherwise."""
    before, torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.allow_tf32, True
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


class TextbookTraining:
    """The training loop of PyTorch's tutorials on CIFAR-10 and on optimising model parameters.

    They take float32, a shuffled DataLoader with two workers, and add up loss.item() in every step. Workers are kept
    over the epochs, and a GPU is fed from pinned memory without waiting, as the tutorial on performance advises.
    """

    def __init__(self, split: Split, params: Params, device: torch.device, workers: int):
        backbone, dataset = params.chosen_arch.backbone, params.chosen_dataset
        torch.manual_seed(0)
        self.device = device
        self.network = textbook_network(backbone, LABELS, dataset.image_size).to(device)
        groups = [
            (self.network.features, backbone.convolutional_rates),
            (self.network.classifier, backbone.fully_connected_rates),
        ]
        self.optimiser = torch.optim.SGD(
            [
                {
                    "params": list(part.parameters()),
                    "lr": rates.learning_rate,
                    "momentum": rates.momentum,
                    "weight_decay": rates.weight_decay,
                    "nesterov": True,
                }
                for part, rates in groups
            ]
        )
        self.loader = DataLoader(
            Images(split, textbook_transform(dataset)),
            batch_size=backbone.batch_size,
            shuffle=True,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=device.type == "cuda",
        )

    @tf32_as_by_default()
    def epoch(self) -> float:
        """Train for one epoch; give the mean loss."""
        self.network.train()
        running_loss = 0.0
        for images, labels in self.loader:
            images, labels = images.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)
            self.optimiser.zero_grad()
            loss = nn.functional.cross_entropy(self.network(images), labels)
            loss.backward()
            self.optimiser.step()
            running_loss += loss.item()
        return running_loss / len(self.loader)


class OurTraining:
    """The step that training.train runs, without its measurements on the test set between epochs."""

    def __init__(self, split: Split, params: Params, device: torch.device):
        torch.manual_seed(0)
        backbone = params.chosen_arch.backbone
        self.network = training.build_network(backbone, LABELS, params.chosen_dataset.image_size).to(device)
        self.rates = [backbone.convolutional_rates.learning_rate, backbone.fully_connected_rates.learning_rate]
        self.run = training._Training(self.network, split, params, 0, device)
        self.epochs = 0

    def epoch(self) -> float:
        """Train for one epoch; give the mean loss."""
        loss, _ = self.run.epoch(self.epochs, self.rates)
        self.epochs += 1
        return loss


def measure(
    arch: str, steps: int, device: torch.device, workers: Sequence[int], options: Options
) -> tuple[dict[str, np.ndarray], int]:
    """Time epochs of a few steps both ways, and what limits them in turn.

    Returns:
        Seconds of one step, textbook, ours, and ours in the textbook's float32, of the matrix product, and on a
        processor of the step's convolutions alone, float64 (repeats,); and the loader's workers.
    """
    params = params_of(arch).model_copy(update={"precision": precision_here(device)})
    split = random_data(steps * params.chosen_arch.backbone.batch_size, 1).train
    trainings = {count: TextbookTraining(split, params, device, count) for count in workers}
    count = quickest({count: textbook.epoch for count, textbook in trainings.items()})
    textbook, ours = trainings.pop(count), OurTraining(split, params, device)
    trainings.clear()  # ends the other loaders' workers
    alike = OurTraining(split, params.model_copy(update={"precision": "float32"}), device)
    epochs = {"textbook": textbook.epoch, "ours": ours.epoch, IN_FLOAT32: alike.epoch}
    alone = {"product": matrix_product(product_side(options), device)}
    if device.type == "cpu":
        alone["convolutions"] = convolutions_alone(arch, params.precision)
    seconds = time_in_turn(epochs | alone, options.times(5))
    return {name: values / (steps if name in epochs else 1) for name, values in seconds.items()}, count


def product_side(options: Options) -> int:
    return 512 if options.quick else 4096


def matrix_product(side: int, device: torch.device) -> Callable[[], float]:
    """A bf16 product of two square matrices: what the machine can do."""
    left, right = (torch.randn(side, side, device=device).bfloat16() for _ in range(2))
    return lambda: (left @ right)[0, 0].item()  # waits for a GPU


def step_operations(params: Params) -> float:
    """The floating-point operations of a step's matrix products."""
    backbone = params.chosen_arch.backbone
    _, whole = multiply_accumulates(backbone, LABELS, IMAGE_SIZE)
    return PASSES * 2 * whole * backbone.batch_size


def step_row(
    arch: str, seconds: dict[str, np.ndarray], workers: int, aims: Sequence[str], options: Options
) -> list[str]:
    """The table's row for what `measure` gave."""
    rate = 2 * product_side(options) ** 3 / np.median(seconds["product"])
    share = float(step_operations(params_of(arch)) / np.median(seconds["ours"]) / rate)
    limit = f"{share:.0%} of {rate / 1e9:,.0f} GFLOP/s"
    if "convolutions" in seconds:
        times = float(np.median(seconds["ours"] / seconds["convolutions"]))
        limit = f"{times:.2f} × its convolutions alone; {limit}"
        aims = [*aims, judged(f"≤ {MOST_OF_LIMIT} × its convolutions", times <= MOST_OF_LIMIT)]
    work = f"{arch}, a step of 100 images (textbook with {workers} loader workers)"
    return row(work, seconds["textbook"], seconds["ours"], LEAST_RATIO.get(arch), limit, aims)


def report(options: Options) -> None:
    rows = []
    for arch, steps in list(STEPS.items())[: 1 if options.quick else len(STEPS)]:
        seconds, workers = measure(arch, 2 if options.quick else steps, torch.device("cpu"), WORKERS, options)
        rows.append(step_row(arch, seconds, workers, [], options))
        rows.append(row(f"{arch}, ours in float32 too", seconds["textbook"], seconds[IN_FLOAT32]))
    show("Training step", NOTES, table(HEADINGS, rows))


if __name__ == "__main__":
    run(report)
