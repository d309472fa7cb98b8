"""Train a linear head on each examined layer of a sample, from scratch or from where a stopped run was."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from singlefilter import devices, heads
from singlefilter.checkpoints import Checkpoint, code_digest
from singlefilter.features import LayerFeatures, feature_path, open_features
from singlefilter.files import read_digest
from singlefilter.params import Params
from singlefilter.provenance import made_with
from stages import run


def main(params: Params, seed: int) -> None:
    device = devices.chosen_device()
    layers = params.chosen_arch.examined_layers
    network = read_digest(Path(f"models/backbone/seed{seed}.h5"), f"train_backbone@{seed}")
    features, made = {}, made_with(params, seed, "features") | {"network": network}
    for layer in layers:
        with open_layer(seed, layer, made) as file:
            features[layer], labels = read_split(file, "train", device)
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
    path = feature_path(Path(f"features/seed{seed}"), layer)
    return open_features(path, f"extract_features@{seed}", {**made, "layer": layer})


def read_split(file: LayerFeatures, split: str, device: torch.device) -> tuple[Tensor, Tensor]:
    features, labels = file.whole(split)
    return torch.from_numpy(features).to(device), torch.from_numpy(labels).to(device)


if __name__ == "__main__":
    run(main, per_sample=True)
