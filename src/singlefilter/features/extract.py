"""The outputs of the examined layers of a frozen network, for every image."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import h5py
import numpy as np
import torch
from torch import Tensor

from singlefilter.backbone.network import Network
from singlefilter.data.dataset import Data, Split
from singlefilter.features.store import write_outputs
from singlefilter.pipeline.console import progress
from singlefilter.pipeline.errors import InputError
from singlefilter.training.augment import augment, scale
from singlefilter.training.batches import draw_moves

IMAGES_A_PASS = 200  # bounds the memory: one pass's features beyond what is on disk
LARGEST = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class Views:
    """Augmented passes of the training set, whose features take the place of the plain images'.

    Attributes:
        count: The number of passes; 0 for the plain images.
        translation: The largest translation in pixels, either way on either axis.
        flip: Whether half of the images are mirrored.
        seed: The sample's seed.
    """

    count: int
    translation: int
    flip: bool
    seed: int


PLAIN = Views(0, 0, False, 0)


def write_features(
    files: Mapping[int, h5py.File],
    network: Network,
    data: Data,
    device: torch.device,
    views: Views = PLAIN,
    label: str = "features",
) -> None:
    """Pass every image through the frozen network and write each layer's outputs (paper, Fig. 1B-C).

    The network computes in float32 whatever it was trained in; the outputs are stored as float16.

    Args:
        files: For each examined layer, counted from 1, its file, open for writing; features.store has the format.
        network: The trained network.
        data: The images.
        device: Where to compute.
        views: Which images of the training set; with n augmented passes its N is n times the number of images.
        label: What the progress is called.

    Raises:
        InputError: An output is too large for float16, or not finite.
    """
    network.to(device).eval()
    for file in files.values():
        file.attrs["class_names"] = list(data.class_names)
    for name, split in data.splits.items():
        moves = _moves(len(split.labels), views if name == "train" else PLAIN)
        _write_split(files, name, split, moves, network, device, f"{label}, {name}")


Moves = tuple[np.ndarray, np.ndarray]  # flips bool (N,) and shifts int64 (N, 2)


def _moves(count: int, views: Views) -> list[Moves | None]:
    """Draw each pass's moves; None leaves the images where they are."""
    if views.count == 0:
        return [None]
    generators = (np.random.default_rng([views.seed, view]) for view in range(views.count))
    return [draw_moves(generator, (count,), views.translation, views.flip) for generator in generators]


@torch.no_grad()
def _write_split(
    files: Mapping[int, h5py.File],
    name: str,
    split: Split,
    moves: Sequence[Moves | None],
    network: Network,
    device: torch.device,
    label: str,
) -> None:
    labels = np.tile(split.labels, len(moves))
    for file in files.values():
        file[f"{name}/labels"] = labels
    passes = [(move, start) for move in moves for start in range(0, len(split.labels), IMAGES_A_PASS)]
    written = 0
    with ThreadPoolExecutor(1) as writer:  # of one pass while the next is computed
        writing: Future[None] | None = None
        for move, start in progress(passes, label, "pass"):
            inputs = _network_inputs(split, move, slice(start, start + IMAGES_A_PASS), device)
            outputs = {layer: _stored(layer, out) for layer, out in network.layer_outputs(inputs, list(files)).items()}
            if writing:
                writing.result()
            writing = writer.submit(write_outputs, files, f"{name}/features", outputs, written, len(labels))
            written += len(inputs)
        if writing:
            writing.result()


def _stored(layer: int, outputs: Tensor) -> np.ndarray:
    """Give a layer's outputs as they are stored, float16 (n, F, H, W); refuse those that are too large for it."""
    smallest, largest = outputs.aminmax()
    if not (smallest >= -LARGEST and largest <= LARGEST):  # neither is NaN
        raise InputError(
            f"layer {layer}: outputs are beyond float16's {LARGEST:g}: training has diverged "
            "or only begun; raise epochs_scale, or lower the backbone's learning rates"
        )
    return outputs.to(torch.float16, memory_format=torch.contiguous_format).cpu().numpy()


def _network_inputs(split: Split, move: Moves | None, rows: slice, device: torch.device) -> Tensor:
    images = torch.from_numpy(split.images[rows]).to(device)
    if move is None:
        return scale(images)
    flips, shifts = (torch.from_numpy(draws[rows]).to(device) for draws in move)
    return augment(images, flips, shifts)
