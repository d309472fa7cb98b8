"""Train a linear head on each examined layer of a sample, from scratch or from where a stopped run was."""

import warnings
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from singlefilter.features.extract import LayerFeatures, feature_path, open_features
from singlefilter.heads import train as heads
from singlefilter.pipeline.files import read_digest
from singlefilter.pipeline.params import Params
from singlefilter.pipeline.provenance import made_with
from singlefilter.training import device as devices
from singlefilter.training.checkpoint import Checkpoint, code_digest
from stages import run

SHARE_OF_MEMORY = 0.5  # that the features of a sample may take


def main(params: Params, seed: int) -> None:
    device = devices.chosen_device()
    layers = params.chosen_arch.examined_layers
    network = read_digest(Path(f"models/backbone/seed{seed}.h5"), f"train_backbone@{seed}")
    features, made = {}, made_with(params, seed, "features") | {"network": network}
    in_memory = device.type != "cpu" or fit_in_memory(layer_path(seed, layer) for layer in layers)
    for layer in layers:
        with open_layer(seed, layer, made) as file:
            features[layer], labels = read_split(file, "train", device, in_memory)
            label_count, origin = len(file.class_names), file.origin
    checkpoint = Checkpoint(
        Path("checkpoints/heads"),
        heads=params.chosen_arch.heads.model_dump(),
        epochs_scale=params.epochs_scale,
        layers=layers,
        origin=origin,
        seed=seed,
        device=device.type,
        torch=torch.__version__,
        code=code_digest(),
    )
    weights = heads.train_heads(features, labels, label_count, params, seed, checkpoint)
    accuracies = {}
    for layer in layers:
        accuracies[layer] = {"train_accuracy": heads.accuracy(features[layer], labels, weights[layer])}
        with open_layer(seed, layer, made) as file:
            for split in file.held_out:
                held_out = read_split(file, split, device)
                accuracies[layer][f"{split}_accuracy"] = heads.accuracy(*held_out, weights[layer])
    made |= made_with(params, seed, "heads")
    heads.write_heads(Path(f"models/heads/seed{seed}.h5"), weights, accuracies, origin, made)
    checkpoint.remove()


def open_layer(seed: int, layer: int, made: Mapping[str, Any]) -> AbstractContextManager[LayerFeatures]:
    return open_features(layer_path(seed, layer), f"extract_features@{seed}", {**made, "layer": layer})


def layer_path(seed: int, layer: int) -> Path:
    return feature_path(Path(f"features/seed{seed}"), layer)


def read_split(file: LayerFeatures, split: str, device: torch.device, in_memory: bool = True) -> tuple[Tensor, Tensor]:
    features, labels = file.whole(split) if in_memory else file.mapped(split)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # nor is it written to
        return torch.from_numpy(features).to(device), torch.from_numpy(labels).to(device)


def fit_in_memory(paths: Iterable[Path]) -> bool:
    """Say whether files of features leave enough memory to other things; if not, batches are read when they are due."""
    return sum(path.stat().st_size for path in paths if path.exists()) <= SHARE_OF_MEMORY * devices.main_memory()


if __name__ == "__main__":
    run(main, per_sample=True)
