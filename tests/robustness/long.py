"""The memory of a long training: it does not grow from epoch to epoch."""

import multiprocessing
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from singlefilter.backbone import train as training
from singlefilter.heads import train as heads
from singlefilter.pipeline.params import Params
from singlefilter.pipeline.params_files import load_params
from singlefilter.training.checkpoint import Checkpoint
from tests.benchmarks.harness import quiet
from tests.benchmarks.synthetic import random_data, random_features, random_labels
from tests.robustness import ROOT
from tests.robustness.harness import Options, Row, say

EPOCHS = 200
FIRST = 20  # by then every buffer has been made
MOST_GROWTH = 0.05
BETWEEN_CHECKPOINTS = 10  # epochs
CONVOLUTIONS = (16, "M", 32, "M", 64, "M")
HEAD_SHAPES = {1: (64, 64), 2: (128, 16), 3: (256, 4)}  # filters and positions of each layer
NOTES = (
    f"Resident memory after each of {EPOCHS} epochs of synthetic data, in a process of its own, with a checkpoint "
    f"every {BETWEEN_CHECKPOINTS} epochs. Well: from epoch {FIRST} on, the second half's largest is at most "
    f"{MOST_GROWTH:.0%} above the first half's."
)


class Watch(Checkpoint):
    """Notes the resident memory after each epoch; all states that a stage would save are saved, and more often."""

    def __init__(self, folder: Path):
        super().__init__(folder, {})
        self.resident: list[int] = []

    def save_if_due(self, state: Mapping[str, Any]) -> None:
        if len(self.resident) % BETWEEN_CHECKPOINTS == 0:
            self.save(state)
        self.resident.append(resident_bytes())


def resident_bytes() -> int:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


def params_with(epochs: int) -> Params:
    """The default parameters with a small backbone, and so many epochs of it and of its heads."""
    params = load_params(ROOT / "params.yaml")
    arch = params.archs["vgg6"]
    backbone = arch.backbone.model_copy(update={"convolutions": CONVOLUTIONS, "epochs": epochs})
    arch = arch.model_copy(
        update={"backbone": backbone, "heads": arch.heads.model_copy(update={"epochs": epochs, "learning_rate": 0.01})}
    )
    return params.model_copy(
        update={"arch": "vgg6", "dataset": "cifar10", "epochs_scale": 1.0, "archs": params.archs | {"vgg6": arch}}
    )


def train_backbone(epochs: int, images: int) -> list[int]:
    """Train a small backbone; give the resident memory after each epoch but the last, in bytes."""
    params = params_with(epochs)
    data = random_data(images, images // 2)
    with TemporaryDirectory() as folder, quiet():
        watch = Watch(Path(folder))
        training.train(training.new_network(data, params, 0), data, params, 0, torch.device("cpu"), watch)
    return watch.resident


def train_heads(epochs: int, images: int) -> list[int]:
    """Train heads on three layers; give the resident memory after each epoch but the last, in bytes."""
    drawn = {layer: torch.from_numpy(random_features(images, *shape, layer)) for layer, shape in HEAD_SHAPES.items()}
    labels = torch.from_numpy(random_labels(images, 10, seed=0))
    with TemporaryDirectory() as folder, quiet():
        watch = Watch(Path(folder))
        heads.train_heads(heads.StoredFeatures(drawn), labels, 10, params_with(epochs), 0, watch)
    return watch.resident


def growth(resident: list[int]) -> float:
    """How far the largest of the second half is above that of the first, from epoch FIRST on, as a fraction of it."""
    later = resident[FIRST:]
    half = len(later) // 2
    return max(later[half:]) / max(later[:half]) - 1


def report(options: Options) -> list[Row]:
    epochs, images = (FIRST + 10, 200) if options.quick else (EPOCHS, 1000)
    rows = []
    for name, train in {"a small backbone": train_backbone, "the heads of three layers": train_heads}.items():
        say(f"long: {name}")
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            resident = pool.apply(train, (epochs, images))
        mebibytes = np.array(resident) / 2**20
        happened = (
            f"{mebibytes[FIRST]:.0f} MiB after epoch {FIRST + 1}, {mebibytes[-1]:.0f} MiB after epoch {len(resident)}, "
            f"between {mebibytes[FIRST:].min():.0f} and {mebibytes[FIRST:].max():.0f} MiB; "
            f"second half's largest above the first half's: {growth(resident):.1%}"
        )
        rows.append(Row(f"{epochs} epochs of {name}", 1, happened, growth(resident) <= MOST_GROWTH))
    return rows
