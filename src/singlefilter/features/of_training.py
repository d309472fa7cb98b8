"""What a sample's heads are trained on, from its files: augmented images through the network, or stored outputs."""

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from singlefilter.backbone.store import read_network
from singlefilter.data.store import read_dataset
from singlefilter.features.augmented import AugmentedFeatures
from singlefilter.features.store import LayerFeatures
from singlefilter.heads.train import Features, StoredFeatures
from singlefilter.pipeline.artifacts import Workspace, path_of
from singlefilter.pipeline.params import LayerName, Params
from singlefilter.training import ranks
from singlefilter.training.device import main_memory

SHARE_OF_MEMORY = 0.5  # that the features of a sample may take


def training_features(
    files: Workspace, params: Params, seed: int, layers: Sequence[LayerName], device: torch.device
) -> tuple[Features, Tensor]:
    """Give what the heads of some layers are trained on (method, section 4).

    Args:
        files: The run's files; the data set, the backbone and the layers' features are read.
        params: The run's; archs.*.heads.images says which it is.
        seed: The sample.
        layers: The layers, counted from 1.
        device: Where to train.

    Returns:
        The features, and the images' labels, int64 (N,), on the device.

    Raises:
        InputError: A file is missing, or of another run.
    """
    with files.read("dataset") as file:
        images = read_dataset(file).train
    with files.read("backbone", seed=seed) as file:
        network = read_network(file)
    labels = torch.from_numpy(images.labels).to(device)
    if params.chosen_arch.heads.images == "augmented":
        row, pixels = params.chosen_dataset, torch.from_numpy(images.images).to(device)
        moved = AugmentedFeatures(network, pixels, layers, row.translation, row.flip, params.precision, device)
        return moved, labels
    paths = {layer: path_of("features", seed=seed, layer=layer) for layer in layers}
    # On one processor several ranks share what the system keeps of the files.
    in_memory = device.type != "cpu" or (ranks.count() == 1 and _fit_in_memory(paths.values()))
    features, scales = {}, {}
    for layer, path in paths.items():
        with files.read("features", seed=seed, layer=layer) as file:
            stored = LayerFeatures(file, path)
            features[layer], _ = split_tensors(stored, "train", device, in_memory)
        scales[layer] = torch.from_numpy(stored.scales).to(device)
    return StoredFeatures(features, scales), labels


def split_tensors(file: LayerFeatures, split: str, device: torch.device, in_memory: bool) -> tuple[Tensor, Tensor]:
    """Give a split's features as they are stored, float16 (N, F, S), and its labels, int64 (N,), on a device.

    Args:
        file: The layer's features.
        split: train, test or validation.
        device: On a GPU, all are brought there.
        in_memory: Whether all are read now; if not, on a processor, rows are read when they are used.
    """
    features, labels = file.whole(split) if in_memory else file.mapped(split)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # nor is it written to
        return torch.from_numpy(features).to(device), torch.from_numpy(labels).to(device)


def _fit_in_memory(paths: Iterable[Path]) -> bool:
    """Tell whether files of features leave enough memory for the rest; if not, each batch is read when it is used."""
    return sum(path.stat().st_size for path in paths if path.exists()) <= SHARE_OF_MEMORY * main_memory()
