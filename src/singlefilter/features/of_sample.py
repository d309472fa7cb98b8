"""The features of a sample, from its files or straight from its network, and what its heads are trained on."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from singlefilter.backbone.network import Tapped
from singlefilter.data.dataset import Data
from singlefilter.data.store import read_dataset
from singlefilter.features.augmented import AugmentedFeatures
from singlefilter.features.extract import IMAGES_PER_PASS, as_stored
from singlefilter.features.pooled import read_tapped
from singlefilter.features.store import LayerFeatures
from singlefilter.heads.train import Features, StoredFeatures
from singlefilter.pipeline.artifacts import Workspace, path_of
from singlefilter.pipeline.params import LayerName, Params
from singlefilter.training.augment import scale
from singlefilter.training.device import free_memory

SHARE_OF_MEMORY = 0.5  # that features may take, of a GPU's, or of the processor's in dilution


@contextmanager
def open_features(
    files: Workspace, params: Params, seed: int, layer: LayerName, device: torch.device
) -> Iterator[LayerFeatures]:
    """Open a layer's features: those in its file, or those that its network computes whenever they are asked for.

    Args:
        files: The run's files.
        params: The run's; features.streamed_layers says which layers are computed.
        seed: The sample.
        layer: The layer.
        device: Where to compute.

    Raises:
        InputError: A file is missing, or of another run.
    """
    path = path_of("features", seed=seed, layer=layer)
    with files.read("features", seed=seed, layer=layer) as file:
        if layer not in params.features.streamed_layers:
            yield LayerFeatures(file, path)
            return
        with files.read("dataset") as images:
            data = read_dataset(images)
        network = read_tapped(files, params, seed).to(device).eval()
        yield LayerFeatures(file, path, _Computed(network, data, layer, device))


class _Computed:
    """Computes a layer's outputs for some images of a split, as extract_features would have stored them."""

    def __init__(self, network: Tapped, data: Data, layer: LayerName, device: torch.device):
        self._network, self._data, self._layer, self._device = network, data, layer, device

    @torch.no_grad()
    def __call__(self, split: str, start: int, stop: int, scales: np.ndarray) -> np.ndarray:
        images = self._data.splits[split].images[start:stop]
        by = torch.from_numpy(scales).to(self._device)
        parts = []
        for first in range(0, len(images), IMAGES_PER_PASS):
            part = scale(torch.from_numpy(images[first : first + IMAGES_PER_PASS]).to(self._device))
            outputs = self._network.layer_outputs(part, [self._layer])[self._layer]
            parts.append(as_stored(self._layer, outputs, by).cpu().numpy())
        return np.concatenate(parts)


def training_features(
    files: Workspace, params: Params, seed: int, layers: Sequence[LayerName], device: torch.device
) -> tuple[Features, Tensor]:
    """Give what the heads of some layers are trained on (method, section 4).

    Args:
        files: The run's files; the data set, the backbone and the layers' features are read.
        params: The run's; archs.*.heads.images says which it is.
        seed: The sample.
        layers: The layers.
        device: Where to train.

    Returns:
        The features, and the images' labels, int64 (N,), on the device.

    Raises:
        InputError: A file is missing, or of another run.
    """
    with files.read("dataset") as file:
        images = read_dataset(file).train
    network = read_tapped(files, params, seed)
    labels = torch.from_numpy(images.labels).to(device)
    augmented = params.chosen_arch.heads.images == "augmented"
    if augmented or set(layers) & set(params.features.streamed_layers):
        row = params.chosen_dataset
        pixels = torch.from_numpy(images.images).to(device)
        moves = (row.translation, row.flip, params.precision) if augmented else (0, False, "float32")
        return AugmentedFeatures(network, pixels, layers, *moves, device), labels
    paths = {layer: path_of("features", seed=seed, layer=layer) for layer in layers}
    on_gpu = device.type != "cpu" and _fit(paths.values(), device)
    features, scales = {}, {}
    for layer, path in paths.items():
        with files.read("features", seed=seed, layer=layer) as file:
            stored = LayerFeatures(file, path)
            features[layer] = torch.from_numpy(stored.whole("train")[0]).to(device) if on_gpu else _mapped(stored)
        scales[layer] = torch.from_numpy(stored.scales).to(device)
    return StoredFeatures(features, scales, on_gpu or device.type == "cpu"), labels


def _mapped(file: LayerFeatures) -> Tensor:
    """Give the training set's features, float16 (N, F, S), left in their file: rows are read when they are used.

    The system keeps in memory what there is room for, once for all processes.
    """
    features = file.mapped("train")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # nor is it written to
        return torch.from_numpy(features)


def _fit(paths: Iterable[Path], gpu: torch.device) -> bool:
    """Tell whether files of features leave enough of a GPU's memory for the rest; if not, batches are brought there."""
    return sum(path.stat().st_size for path in paths if path.exists()) <= SHARE_OF_MEMORY * free_memory(gpu)
