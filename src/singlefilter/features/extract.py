"""What the examined layers of a frozen network put out for every image: one HDF5 file a layer."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor

from singlefilter.backbone.network import Network
from singlefilter.data.dataset import Data, Split
from singlefilter.pipeline.architecture import feature_bytes
from singlefilter.pipeline.console import progress
from singlefilter.pipeline.errors import InputError, unusable
from singlefilter.pipeline.files import NOTHING, read_hdf5, require_space, write_hdf5
from singlefilter.training.augment import augment, scale
from singlefilter.training.batches import draw_moves

IMAGES_A_PASS = 200  # bounds the memory: one pass's features beyond what is on disk
LARGEST = float(np.finfo(np.float16).max)


def feature_path(folder: Path, layer: int) -> Path:
    """Name the file of a layer."""
    return folder / f"layer{layer}.h5"


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
    folder: Path,
    network: Network,
    data: Data,
    layers: Sequence[int],
    device: torch.device,
    views: Views = PLAIN,
    label: str = "features",
    made_with: Mapping[str, Any] = NOTHING,
) -> None:
    """Pass every image through the frozen network and write each layer's outputs (paper, Fig. 1B-C).

    The network computes in float32 whatever it was trained in; the outputs are stored as float16.

    Args:
        folder: Where the files `layer<m>.h5` are written: groups train, test, and validation if there is one, each with
            `features` float16 (N, F, H, W) and `labels` int64 (N,); attributes `class_names` and `origin`, which tells
            the features of one network and one set of images from all others. Files of other layers in it are removed.
        network: The trained network.
        data: The images.
        layers: The examined layers, counted from 1.
        device: Where to compute.
        views: Which images of the training set; with n augmented passes its N is n times the number of images.
        label: What the progress is called.
        made_with: What the files are to say that they were made with, beside their layer.

    Raises:
        InputError: An output is too large for float16, or not finite; or the disk cannot hold them all.
    """
    needed = feature_bytes(network.backbone, network.image_size, layers, data.passes(views.count))
    require_space(folder, needed, "examine fewer layers or heads.views")
    network.to(device).eval()
    origin = _origin(network, data, views)
    with ExitStack() as stack:
        files = {
            layer: stack.enter_context(write_hdf5(feature_path(folder, layer), {**made_with, "layer": layer}))
            for layer in layers
        }
        for file in files.values():
            file.attrs["class_names"] = list(data.class_names)
            file.attrs["origin"] = origin
        for name, split in data.splits.items():
            moves = _moves(len(split.labels), views if name == "train" else PLAIN)
            _write_split(files, name, split, moves, network, device, f"{label}, {name}")
    for path in set(folder.glob("layer*.h5")) - {feature_path(folder, layer) for layer in layers}:
        path.unlink()


class LayerFeatures:
    """A layer's file, open for reading.

    Attributes:
        class_names: The names of the K labels.
        origin: Says of which network and images these features are, SHA-256 in hex.
    """

    def __init__(self, file: h5py.File, path: Path, made_by: str):
        self._file, self._path, self._made_by = file, path, made_by
        if "class_names" not in file.attrs or "origin" not in file.attrs:
            raise self._error("is no file of features")
        self.class_names = [str(name) for name in file.attrs["class_names"]]
        self.origin = str(file.attrs["origin"])

    def whole(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Read the features of a split, float16 (N, F, S), and the labels, int64 (N,)."""
        features, labels = self._split(split)
        return _positions_together(features[()]), labels

    def mapped(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Give what whole gives, left in the file, of which the system keeps in memory what there is room for."""
        features, labels = self._split(split)
        place = features.id.get_offset()  # write_features stores them in one piece
        return _positions_together(np.memmap(self._path, np.float16, "r", place, features.shape)), labels

    def stream(self, split: str, images: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Read the features, float16 (n, F, S), and labels, int64 (n,), of at most `images` images at a time."""
        features, labels = self._split(split)
        for start in range(0, len(labels), images):
            yield _positions_together(features[start : start + images]), labels[start : start + images]

    @property
    def held_out(self) -> list[str]:
        """The splits that nothing is trained on: test, and validation if there is one."""
        return [name for name in self._file if name != "train"]

    def _split(self, split: str) -> tuple[h5py.Dataset, np.ndarray]:
        try:
            features, labels = self._file[split]["features"], self._file[split]["labels"][()]
        except KeyError as error:
            raise self._error(f"holds no features of the {split} set") from error
        if features.ndim != 4 or features.shape[:1] != labels.shape:
            raise self._error(f"holds {split} features of shape {features.shape} for labels of shape {labels.shape}")
        return features, labels

    def _error(self, what: str) -> InputError:
        return unusable(self._path, what, self._made_by)


@contextmanager
def open_features(path: Path, made_by: str, made_with: Mapping[str, Any] = NOTHING) -> Iterator[LayerFeatures]:
    """Open a file that write_features wrote.

    Args:
        path: The layer's file.
        made_by: The stage that makes it, for the error's way out.
        made_with: What they must have been made with.

    Raises:
        InputError: The file is missing, damaged, of another run or holds something else.
    """
    with read_hdf5(path, made_by, made_with) as file:
        yield LayerFeatures(file, path, made_by)


def _positions_together(features: np.ndarray) -> np.ndarray:
    return features.reshape(*features.shape[:2], -1)  # (N, F, H, W) -> (N, F, S)


def _origin(network: Network, data: Data, views: Views) -> str:
    digest = hashlib.sha256(network.backbone.model_dump_json().encode() + repr(views).encode())
    for values in network.state_dict().values():
        digest.update(values.cpu().contiguous().numpy().tobytes())
    for split in data.splits.values():
        digest.update(split.images.tobytes() + split.labels.tobytes())
    return digest.hexdigest()


Moves = tuple[np.ndarray, np.ndarray]  # flips bool (N,) and shifts int64 (N, 2)


def _moves(count: int, views: Views) -> list[Moves | None]:
    """Draw each pass's moves; None leaves the images where they are."""
    if views.count == 0:
        return [None]
    generators = (np.random.default_rng([views.seed, view]) for view in range(views.count))
    return [draw_moves(generator, (count,), views.translation, views.flip) for generator in generators]


@torch.no_grad()
def _write_split(
    files: dict[int, h5py.File],
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
            writing = writer.submit(_write_pass, files, f"{name}/features", outputs, written, len(labels))
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


def _write_pass(
    files: Mapping[int, h5py.File], name: str, outputs: Mapping[int, np.ndarray], start: int, count: int
) -> None:
    """Write each layer's outputs of some images, of `count` in all, from number `start` on."""
    for layer, values in outputs.items():
        if name not in files[layer]:
            files[layer].create_dataset(name, (count, *values.shape[1:]), np.float16)
        files[layer][name][start : start + len(values)] = values


def _network_inputs(split: Split, move: Moves | None, rows: slice, device: torch.device) -> Tensor:
    images = torch.from_numpy(split.images[rows]).to(device)
    if move is None:
        return scale(images)
    flips, shifts = (torch.from_numpy(draws[rows]).to(device) for draws in move)
    return augment(images, flips, shifts)
