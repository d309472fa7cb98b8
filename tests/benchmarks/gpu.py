"""A step of training VGG-16 on a GPU, the textbook way and ours, and what the paper's 200 epochs take."""

import os

import torch

from singlefilter.backbone.train import new_network, train
from singlefilter.data.dataset import Data
from singlefilter.pipeline.params import Params
from singlefilter.training.device import chosen_device
from tests.benchmarks.harness import HEADINGS, Options, judged, params_of, quiet, run, seconds_of, show, table
from tests.benchmarks.synthetic import random_data
from tests.benchmarks.training_step import NOTES, WORKERS, measure, step_row

ARCH = "vgg16"
STEPS = 200
IMAGES = 50_000, 10_000  # CIFAR-10's, to train and to test on
MOST_SECONDS = 180  # for all epochs


def seconds_of_training(params: Params, data: Data, epochs: int, device: torch.device) -> float:
    """Time a training of so many epochs, start and measurements on the test set included."""
    arch = params.chosen_arch
    arch = arch.model_copy(update={"backbone": arch.backbone.model_copy(update={"epochs": epochs})})
    params = params.model_copy(update={"archs": params.archs | {params.arch: arch}})

    def whole() -> None:
        with quiet():
            train(new_network(data, params, 0), data, params, 0, device)

    return seconds_of(whole)


def seconds_of_all_epochs(params: Params, data: Data, device: torch.device) -> tuple[float, float]:
    """Give the seconds of an epoch, and of all: those of the first, which starts everything, and of the others."""
    first, three = (seconds_of_training(params, data, epochs, device) for epochs in (1, 3))
    epoch = (three - first) / 2
    return epoch, first + (params.chosen_arch.backbone.epochs - 1) * epoch


def report(options: Options) -> None:
    device = chosen_device()
    if device.type != "cuda":
        show("GPU", "No GPU here.")
        return
    params = params_of(ARCH).model_copy(update={"precision": "bf16"})
    data = random_data(*((1_000, 200) if options.quick else IMAGES))
    epoch, whole = seconds_of_all_epochs(params, data, device)
    seconds, workers = measure(ARCH, 10 if options.quick else STEPS, device, (*WORKERS, os.cpu_count() or 1), options)
    epochs = params.chosen_arch.backbone.epochs
    aim = judged(f"{epochs} epochs in ≤ {MOST_SECONDS} s", whole <= MOST_SECONDS)
    notes = (
        f"{NOTES} On {torch.cuda.get_device_name(device)}: {epoch:.2f} s an epoch of {len(data.train.labels):,} images "
        f"and its measurement on {len(data.test.labels):,}, {whole:,.0f} s for {epochs} epochs, start included."
    )
    show("GPU", notes, table(HEADINGS, [step_row(ARCH, seconds, workers, [aim], options)]))


if __name__ == "__main__":
    run(report)
