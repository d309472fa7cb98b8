"""Train a linear head on each examined layer of a sample, from scratch or from where a stopped run was."""

import torch
from torch import Tensor

from singlefilter.features.of_training import split_tensors, training_features
from singlefilter.features.store import LayerFeatures
from singlefilter.heads.store import write_heads
from singlefilter.heads.train import accuracy, train_heads
from singlefilter.pipeline.artifacts import Workspace, path_of
from singlefilter.pipeline.params import LayerName, Params
from singlefilter.training.checkpoint import Checkpoint
from singlefilter.training.device import chosen_device, warn_if_slow
from singlefilter.training.ranks import joined, leads
from stages import run


def main(params: Params, seed: int) -> None:
    files, device, layers = Workspace(params), chosen_device(), params.chosen_arch.examined_layers
    features, labels = training_features(files, params, seed, layers, device)
    for layer in layers:
        with files.read("features", seed=seed, layer=layer) as file:  # which success rates are measured on
            class_names = LayerFeatures(file, path_of("features", seed=seed, layer=layer)).class_names
    if params.chosen_arch.heads.images == "augmented":
        warn_if_slow(device, params.precision)
    checkpoint = Checkpoint.of_stage(files, "train_heads", device, seed=seed)
    weights = train_heads(features, labels, len(class_names), params, seed, checkpoint)
    if not leads():
        return
    accuracies = {layer: measure_head(files, seed, layer, head) for layer, head in weights.items()}
    with files.write("heads", seed=seed) as file:
        write_heads(file, weights, accuracies)
    checkpoint.remove()


def measure_head(files: Workspace, seed: int, layer: LayerName, head: Tensor) -> dict[str, float]:
    """Give a head's success rates on the plain images of each split, such as test_accuracy."""
    found = {}
    with files.read("features", seed=seed, layer=layer) as file:
        stored = LayerFeatures(file, path_of("features", seed=seed, layer=layer))
        scaled = head * torch.from_numpy(stored.scales).to(head.device)[:, None]
        for split in ("train", *stored.held_out):
            features, labels = split_tensors(stored, split, head.device, in_memory=False)
            found[f"{split}_accuracy"] = accuracy(features, labels, scaled)
    return found


if __name__ == "__main__":
    run(main, per_sample=True, joined=joined)
