"""The outputs of the examined layers of a frozen network, for every image."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import h5py
import numpy as np
import torch
from torch import Tensor

from singlefilter.backbone.network import Tapped
from singlefilter.data.dataset import Data, Split
from singlefilter.features.store import write_largest, write_outputs, write_scales
from singlefilter.pipeline.console import progress
from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.params import LayerName, layer_text
from singlefilter.training import ranks
from singlefilter.training.augment import scale

IMAGES_PER_PASS = 200  # bounds the memory: one pass's features beyond what is on disk
SCALED_ON = 2_000  # training images, from which the scale of a filter is taken
LARGEST = float(np.finfo(np.float16).max)


@torch.no_grad()
def write_features(
    files: Mapping[LayerName, h5py.File],
    layers: Sequence[LayerName],
    network: Tapped,
    data: Data,
    device: torch.device,
    label: str = "features",
    streamed: Collection[LayerName] = (),
) -> None:
    """Pass every image through the frozen network and write each layer's outputs (paper, Fig. 1B-C).

    The network computes in float32 whatever it was trained in. The outputs are stored as float16, each filter's divided
    by a power of two of its own: weight decay can shrink a filter by many orders of magnitude, beyond what float16
    holds, while its head, which does not depend on the scale, still reads it.

    Args:
        files: For each examined layer its file, open for writing; features.store has the format. Of several ranks the
            first alone has files, and writes what the others compute.
        layers: The examined layers, by their numbers, counted from 1, or their names.
        network: The trained network.
        data: The images.
        device: Where to compute.
        label: What the progress is called.
        streamed: Layers of which no output is written, only what tells how they would be.

    Raises:
        InputError: An output is too large for float16, or not finite.
    """
    network.to(device).eval()
    scales = {layer: filter_scales(values) for layer, values in _largest_outputs(network, layers, data, device).items()}
    for layer, file in files.items():
        file.attrs["class_names"] = list(data.class_names)
        write_scales(file, scales[layer].cpu().numpy())
    for name, split in data.splits.items():
        for file in files.values():
            file[f"{name}/labels"] = split.labels
        if name != "train" and set(layers) <= set(streamed):
            continue
        largest = _write_split(files, name, split, scales, network, device, f"{label}, {name}", streamed)
        if name == "train":
            for layer, file in files.items():
                write_largest(file, largest[layer].cpu().numpy())


def filter_scales(largest: Tensor) -> Tensor:
    """Give the powers of two by which filters are divided so that their largest outputs, float32 (F,), are near 2⁻³."""
    _, exponents = torch.frexp(largest)  # largest = mantissa * 2**exponent with a mantissa from 0.5 on, below 1
    return torch.where(largest > 0, torch.exp2((exponents + 3.0).clamp(-100, 100)), 1.0)


def _largest_outputs(
    network: Tapped, layers: Sequence[LayerName], data: Data, device: torch.device
) -> dict[LayerName, Tensor]:
    """Give how large each filter's outputs get over the first training images, float32 (F,) for each layer."""
    largest: dict[LayerName, Tensor] = {}
    images = data.train.images[:SCALED_ON]
    for start in range(0, len(images), IMAGES_PER_PASS):
        part = torch.from_numpy(images[start : start + IMAGES_PER_PASS]).to(device)
        for layer, values in network.layer_outputs(scale(part), layers).items():
            _raise_to(largest, layer, _largest(values))
    return largest


def _largest(outputs: Tensor) -> Tensor:
    """Give each filter's output that is farthest from 0, without its sign, float32 (F,), of float32 (n, F, H, W)."""
    return torch.maximum(outputs.amax((0, 2, 3)), -outputs.amin((0, 2, 3))).abs()  # never −0


def _raise_to(largest: dict[LayerName, Tensor], layer: LayerName, found: Tensor) -> None:
    """Raise a layer's largest outputs, float32 (F,), to those of more images."""
    largest[layer] = torch.maximum(largest[layer], found) if layer in largest else found


def _write_split(
    files: Mapping[LayerName, h5py.File],
    name: str,
    split: Split,
    scales: Mapping[LayerName, Tensor],
    network: Tapped,
    device: torch.device,
    label: str,
    streamed: Collection[LayerName],
) -> dict[LayerName, Tensor]:
    """Write the outputs of a split's images; give how large each filter's get, float32 (F,) for each layer."""
    largest: dict[LayerName, Tensor] = {}
    with ThreadPoolExecutor(1) as writer:  # of one pass while the next is computed
        writing: Future[None] | None = None
        for start, outputs in _passes(split, scales, network, device, label):
            stored = {}
            for layer, (values, found) in outputs.items():
                if layer not in streamed:
                    stored[layer] = values.cpu().numpy()
                _raise_to(largest, layer, found)
            if writing:
                writing.result()
            writing = writer.submit(write_outputs, files, f"{name}/features", stored, start, len(split.labels))
        if writing:
            writing.result()
    return largest


def _passes(
    split: Split, scales: Mapping[LayerName, Tensor], network: Tapped, device: torch.device, label: str
) -> Iterator[tuple[int, dict[LayerName, tuple[Tensor, Tensor]]]]:
    """Go through the images of a split, and on the first rank give what all ranks have computed, in order.

    A pass is never divided: its outputs are the same, whoever computes them.

    Yields:
        The number of the first image, and for each layer its outputs as they are stored, float16 (n, F, H, W), and the
        largest of each filter, as _largest gives them.
    """
    count = len(split.labels)
    for turn in progress(range(0, count, IMAGES_PER_PASS * ranks.count()), label, "pass"):
        # Of the ranks' passes.
        starts = range(turn, min(turn + IMAGES_PER_PASS * ranks.count(), count), IMAGES_PER_PASS)
        if ranks.rank() >= len(starts):
            continue
        start = starts[ranks.rank()]
        images = torch.from_numpy(split.images[start : start + IMAGES_PER_PASS]).to(device)
        outputs = {
            layer: (as_stored(layer, values, scales[layer]), _largest(values))
            for layer, values in network.layer_outputs(scale(images), [*scales]).items()
        }
        if not ranks.leads():
            ranks.send(tensor for pair in outputs.values() for tensor in pair)
            continue
        yield start, outputs
        for sender, start in enumerate(starts[1:], start=1):
            images_there = min(IMAGES_PER_PASS, count - start)
            yield (
                start,
                {
                    layer: ranks.receive(sender, [(images_there, *values.shape[1:]), found.shape], (values, found))
                    for layer, (values, found) in outputs.items()
                },
            )


def as_stored(layer: LayerName, outputs: Tensor, scales: Tensor) -> Tensor:
    """Give a layer's outputs as they are stored, float16 (n, F, H, W); refuse those that are too large for it."""
    outputs = outputs / scales[:, None, None]
    smallest, largest = outputs.aminmax()
    if not (smallest >= -LARGEST and largest <= LARGEST):  # neither is NaN
        raise InputError(
            f"{layer_text(layer)}: outputs are infinite, or beyond float16 although they are stored on the scale of "
            f"the first {SCALED_ON:,} training images: training has diverged or only begun; raise epochs_scale, or "
            "lower the backbone's learning rates"
        )
    return outputs.to(torch.float16, memory_format=torch.contiguous_format)
