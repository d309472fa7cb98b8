"""Train a linear head on each examined layer of a sample, from scratch or from where a stopped run was."""

import torch
from torch import Tensor

from singlefilter.features.of_sample import open_features, training_features
from singlefilter.heads.store import write_heads
from singlefilter.heads.train import correct, images_per_evaluation, train_heads
from singlefilter.pipeline.artifacts import Workspace
from singlefilter.pipeline.params import LayerName, Params
from singlefilter.training.checkpoint import Checkpoint
from singlefilter.training.device import chosen_device, warn_if_slow
from singlefilter.training.ranks import joined, leads
from stages import run


def main(params: Params, seed: int) -> float:
    files, device, layers = Workspace(params), chosen_device(), params.chosen_arch.examined_layers
    features, labels = training_features(files, params, seed, layers, device)
    for layer in layers:
        with files.read("features", seed=seed, layer=layer):  # which success rates are measured on
            pass
    if params.chosen_arch.heads.images == "augmented":
        warn_if_slow(device, params.precision)
    checkpoint = Checkpoint.of_stage(files, "train_heads", device, seed=seed)
    with files.read("dataset") as file:
        label_count = len(file.attrs["class_names"])
    weights = train_heads(features, labels, label_count, params, seed, checkpoint)
    if leads():
        accuracies = {layer: measure_head(files, params, seed, layer, head) for layer, head in weights.items()}
        with files.write("heads", seed=seed) as file:
            write_heads(file, weights, accuracies)
        checkpoint.remove()
    return checkpoint.seconds_before


def measure_head(files: Workspace, params: Params, seed: int, layer: LayerName, head: Tensor) -> dict[str, float]:
    """Give a head's success rates on the plain images of each split, such as test_accuracy."""
    found = {}
    with open_features(files, params, seed, layer, head.device) as stored:
        scaled = head * torch.from_numpy(stored.scales).to(head.device)[:, None]
        for split in ("train", *stored.unseen):
            parts = stored.stream(split, images_per_evaluation(head))
            right = sum(correct(*(torch.from_numpy(part).to(head.device) for part in pair), scaled) for pair in parts)
            found[f"{split}_accuracy"] = right / len(stored.labels(split))
    return found


if __name__ == "__main__":
    run(main, per_sample=True, joined=joined)
