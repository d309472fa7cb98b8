"""A step of training VGG-16 on a GPU, the textbook way and ours, and what the paper's 200 epochs take."""

import os

import numpy as np

from singlefilter.training.device import chosen_device
from tests.benchmarks.harness import HEADINGS, Options, judged, params_of, run, show, table
from tests.benchmarks.training_step import NOTES, WORKERS, measure, step_row

ARCH = "vgg16"
STEPS = 200
CIFAR_IMAGES = 50_000
MOST_SECONDS = 180  # for all epochs, on an H200


def report(options: Options) -> None:
    device = chosen_device()
    if device.type != "cuda":
        show("GPU", "No GPU here.")
        return
    seconds, workers = measure(ARCH, 10 if options.quick else STEPS, device, (*WORKERS, os.cpu_count() or 1), options)
    backbone = params_of(ARCH).chosen_arch.backbone
    epoch = float(np.median(seconds["ours"])) * CIFAR_IMAGES / backbone.batch_size
    whole = epoch * backbone.epochs
    aim = judged(f"{backbone.epochs} epochs in ≤ {MOST_SECONDS} s on an H200", whole <= MOST_SECONDS)
    epochs = f"Ours: {epoch:.2f} s an epoch of CIFAR-10, {whole:,.0f} s for {backbone.epochs} epochs."
    show("GPU", f"{NOTES} {epochs}", table(HEADINGS, [step_row(ARCH, seconds, workers, [aim], options)]))


if __name__ == "__main__":
    run(report)
