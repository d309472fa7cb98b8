"""Train a linear head on each examined layer of a sample, from scratch or from where a stopped run was."""

import warnings
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from singlefilter.features.store import LayerFeatures
from singlefilter.heads.store import write_heads
from singlefilter.heads.train import accuracy, train_heads
from singlefilter.pipeline.artifacts import Workspace, path_of
from singlefilter.pipeline.params import Params
from singlefilter.training.checkpoint import Checkpoint
from singlefilter.training.device import chosen_device, main_memory
from stages import run

SHARE_OF_MEMORY = 0.5  # that the features of a sample may take


def main(params: Params, seed: int) -> None:
    files, device, layers = Workspace(params), chosen_device(), params.chosen_arch.examined_layers
    with files.read("backbone", seed=seed):
        pass  # the features must be those of this network
    paths = {layer: path_of("features", seed=seed, layer=layer) for layer in layers}
    in_memory = device.type != "cpu" or fit_in_memory(paths.values())
    features = {}
    for layer, path in paths.items():
        with files.read("features", seed=seed, layer=layer) as file:
            stored = LayerFeatures(file, path)
            features[layer], labels = read_split(stored, "train", device, in_memory)
    checkpoint = Checkpoint.of_stage(files, "train_heads", device, seed=seed)
    weights = train_heads(features, labels, len(stored.class_names), params, seed, checkpoint)
    accuracies = {}
    for layer, path in paths.items():
        accuracies[layer] = {"train_accuracy": accuracy(features[layer], labels, weights[layer])}
        with files.read("features", seed=seed, layer=layer) as file:
            stored = LayerFeatures(file, path)
            for split in stored.held_out:
                accuracies[layer][f"{split}_accuracy"] = accuracy(*read_split(stored, split, device), weights[layer])
    with files.write("heads", seed=seed) as file:
        write_heads(file, weights, accuracies)
    checkpoint.remove()


def read_split(file: LayerFeatures, split: str, device: torch.device, in_memory: bool = True) -> tuple[Tensor, Tensor]:
    features, labels = file.whole(split) if in_memory else file.mapped(split)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # nor is it written to
        return torch.from_numpy(features).to(device), torch.from_numpy(labels).to(device)


def fit_in_memory(paths: Iterable[Path]) -> bool:
    """Tell whether files of features leave enough memory for the rest; if not, each batch is read when it is used."""
    return sum(path.stat().st_size for path in paths if path.exists()) <= SHARE_OF_MEMORY * main_memory()


if __name__ == "__main__":
    run(main, per_sample=True)
