"""The outputs of the examined layers of a frozen network, for every image."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import h5py
import numpy as np
import torch
from torch import Tensor

from singlefilter.backbone.network import Network
from singlefilter.data.dataset import Data, Split
from singlefilter.features.store import write_largest, write_outputs, write_scales
from singlefilter.pipeline.console import progress
from singlefilter.pipeline.errors import InputError
from singlefilter.training.augment import scale

IMAGES_A_PASS = 200  # bounds the memory: one pass's features beyond what is on disk
SCALED_ON = 2_000  # training images, from which the scale of a filter is taken
LARGEST = float(np.finfo(np.float16).max)


@torch.no_grad()
def write_features(
    files: Mapping[int, h5py.File], network: Network, data: Data, device: torch.device, label: str = "features"
) -> None:
    """Pass every image through the frozen network and write each layer's outputs (paper, Fig. 1B-C).

    The network computes in float32 whatever it was trained in. The outputs are stored as float16, each filter's divided
    by a power of two of its own: weight decay can shrink a filter by many orders of magnitude, beyond what float16
    holds, while its head, which does not depend on the scale, still reads it (method, section 5).

    Args:
        files: For each examined layer, counted from 1, its file, open for writing; features.store has the format.
        network: The trained network.
        data: The images.
        device: Where to compute.
        label: What the progress is called.

    Raises:
        InputError: An output is too large for float16, or not finite.
    """
    network.to(device).eval()
    scales = {layer: filter_scales(values) for layer, values in _largest_outputs(files, network, data, device).items()}
    for layer, file in files.items():
        file.attrs["class_names"] = list(data.class_names)
        write_scales(file, scales[layer].cpu().numpy())
    for name, split in data.splits.items():
        largest = _write_split(files, name, split, scales, network, device, f"{label}, {name}")
        if name == "train":
            for layer, file in files.items():
                write_largest(file, largest[layer].cpu().numpy())


def filter_scales(largest: Tensor) -> Tensor:
    """Give the powers of two by which filters are divided so that their largest outputs, float32 (F,), are near 2⁻³."""
    _, exponents = torch.frexp(largest)  # largest = mantissa * 2**exponent with a mantissa from 0.5 on, below 1
    return torch.where(largest > 0, torch.exp2((exponents + 3.0).clamp(-100, 100)), 1.0)


def _largest_outputs(
    files: Mapping[int, h5py.File], network: Network, data: Data, device: torch.device
) -> dict[int, Tensor]:
    """Give the largest output of each filter over the first training images, float32 (F,) for each layer."""
    largest: dict[int, Tensor] = {}
    images = data.train.images[:SCALED_ON]
    for start in range(0, len(images), IMAGES_A_PASS):
        part = torch.from_numpy(images[start : start + IMAGES_A_PASS]).to(device)
        _raise_to(largest, network.layer_outputs(scale(part), list(files)))
    return largest


def _raise_to(largest: dict[int, Tensor], outputs: Mapping[int, Tensor]) -> None:
    """Raise each filter's largest output, float32 (F,), to those of more images, float32 (n, F, H, W)."""
    for layer, values in outputs.items():
        found = values.amax((0, 2, 3))
        largest[layer] = torch.maximum(largest[layer], found) if layer in largest else found


def _write_split(
    files: Mapping[int, h5py.File],
    name: str,
    split: Split,
    scales: Mapping[int, Tensor],
    network: Network,
    device: torch.device,
    label: str,
) -> dict[int, Tensor]:
    """Write the outputs of a split's images; give the largest of each filter, float32 (F,) for each layer."""
    for file in files.values():
        file[f"{name}/labels"] = split.labels
    largest: dict[int, Tensor] = {}
    with ThreadPoolExecutor(1) as writer:  # of one pass while the next is computed
        writing: Future[None] | None = None
        for start in progress(range(0, len(split.labels), IMAGES_A_PASS), label, "pass"):
            images = torch.from_numpy(split.images[start : start + IMAGES_A_PASS]).to(device)
            outputs = network.layer_outputs(scale(images), list(files))
            _raise_to(largest, outputs)
            stored = {layer: _stored(layer, values, scales[layer]) for layer, values in outputs.items()}
            if writing:
                writing.result()
            writing = writer.submit(write_outputs, files, f"{name}/features", stored, start, len(split.labels))
        if writing:
            writing.result()
    return largest


def _stored(layer: int, outputs: Tensor, scales: Tensor) -> np.ndarray:
    """Give a layer's outputs as they are stored, float16 (n, F, H, W); refuse those that are too large for it."""
    outputs = outputs / scales[:, None, None]
    smallest, largest = outputs.aminmax()
    if not (smallest >= -LARGEST and largest <= LARGEST):  # neither is NaN
        raise InputError(
            f"layer {layer}: outputs are infinite, or beyond float16 although they are stored on the scale of the "
            f"first {SCALED_ON:,} training images: training has diverged or only begun; raise epochs_scale, or lower "
            "the backbone's learning rates"
        )
    return outputs.to(torch.float16, memory_format=torch.contiguous_format).cpu().numpy()
