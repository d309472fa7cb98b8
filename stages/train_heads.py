"""Train a linear head on each examined layer of a sample, from scratch or from where a stopped run was."""

from pathlib import Path

import torch

from singlefilter import batches, devices, heads, training
from singlefilter.checkpoints import Checkpoint, code_digest
from singlefilter.features import feature_path, open_features
from singlefilter.params import Params
from stages import run


def main(params: Params, seed: int) -> None:
    device = devices.chosen_device()
    layers = params.chosen_arch.examined_layers
    splits = {layer: _read(seed, layer, "train", device) for layer in layers}
    features = {layer: split[0] for layer, split in splits.items()}
    _, labels, class_names, origin = splits[layers[0]]
    checkpoint = Checkpoint(
        Path("checkpoints/heads"),
        heads=params.chosen_arch.heads.model_dump(),
        epochs_scale=params.epochs_scale,
        layers=layers,
        origin=origin,
        seed=seed,
        device=device.type,
        torch=torch.__version__,
        code=code_digest([batches, devices, heads, training]),
    )
    weights = heads.train_heads(features, labels, len(class_names), params, seed, checkpoint)
    accuracies = {}
    for layer in layers:
        test_features, test_labels, _, _ = _read(seed, layer, "test", device)
        accuracies[layer] = {
            "train_accuracy": heads.accuracy(features[layer], labels, weights[layer]),
            "test_accuracy": heads.accuracy(test_features, test_labels, weights[layer]),
        }
    heads.write_heads(Path(f"models/heads/seed{seed}.h5"), weights, accuracies, origin)
    checkpoint.remove()


def _read(seed: int, layer: int, split: str, device: torch.device) -> tuple[torch.Tensor, torch.Tensor, list[str], str]:
    with open_features(feature_path(Path(f"features/seed{seed}"), layer), f"extract_features@{seed}") as file:
        features, labels = file.whole(split)
        return torch.from_numpy(features).to(device), torch.from_numpy(labels).to(device), file.class_names, file.origin


if __name__ == "__main__":
    run(main, per_sample=True)
