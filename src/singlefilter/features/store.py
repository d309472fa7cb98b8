"""The format of features/seed*/layer*.h5."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import h5py
import numpy as np

from singlefilter.pipeline.params import LayerName

# A filter has faded if its largest output is below FADED times that of the layer's third strongest filter (method,
# section 5). Most filters may have faded, so no median will do; one or two may be far above all others.
FADED, STRONG = 1e-4, 3


def write_outputs(
    files: Mapping[LayerName, h5py.File], name: str, outputs: Mapping[LayerName, np.ndarray], start: int, count: int
) -> None:
    """Write the outputs of consecutive images of a split.

    Args:
        files: For each layer its file, which has the groups train, test, and validation if there is one, each with
            `features` float16 (N, F, H, W) and `labels` int64 (N,); the attribute class_names; and what write_scales
            and write_largest write.
        name: The data set in it, such as train/features.
        outputs: For each layer those of n images, float16 (n, F, H, W).
        start: The number of the first image.
        count: N, the number of all images of the split.
    """
    for layer, values in outputs.items():
        if name not in files[layer]:
            files[layer].create_dataset(name, (count, *values.shape[1:]), np.float16)
        files[layer][name][start : start + len(values)] = values


def write_scales(file: h5py.File, scales: np.ndarray) -> None:
    """Write what each filter's stored outputs are to be multiplied by: powers of two, float32 (F,)."""
    file["scales"] = scales


def write_largest(file: h5py.File, largest: np.ndarray) -> None:
    """Write how far from 0 each filter's outputs get over the training set, float32 (F,)."""
    file["largest"] = largest


def write_place(file: h5py.File, place: Mapping[str, float]) -> None:
    """Write where a layer is in a network that is no chain: depth, positions, and the costs of layers.csv."""
    file.attrs["place"] = json.dumps(place)


class LayerFeatures:
    """A layer's features, read from its file.

    Args:
        file: The file, open for reading.
        path: Its path.
        computed: For a layer that is not stored: gives the features of images `start` to `stop` of a split as they
            would have been stored, float16 (n, F, H, W), divided by the scales.

    Attributes:
        class_names: The names of the K labels.
        unseen: The splits that nothing is trained on: test, and validation if there is one.
        scales: Powers of two, float32 (F,), by which what is read of each filter is to be multiplied: the product is
            what the network puts out. Exact in float32, and beyond float16.
        faded: Which filters are far weaker than the layer's others, bool (F,): their weights have got no gradient for
            so long that weight decay has shrunk them, and their heads keep their random start.
        place: What write_place wrote; empty for a chain of convolutions, whose row says it.
    """

    def __init__(
        self, file: h5py.File, path: Path, computed: Callable[[str, int, int, np.ndarray], np.ndarray] | None = None
    ):
        self._file, self._path, self._computed = file, path, computed
        self.class_names = [str(name) for name in file.attrs["class_names"]]
        self.unseen = [name for name in ("test", "validation") if name in file]
        self.scales = file["scales"][()]
        self.place: dict[str, float] = json.loads(file.attrs.get("place", "{}"))
        largest = file["largest"][()]
        self.faded = largest < FADED * np.sort(largest)[-STRONG:][0]

    def whole(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Give the features of a split, float16 (N, F, S), and the labels, int64 (N,)."""
        labels = self.labels(split)
        return self._rows(split, 0, len(labels)), labels

    def mapped(self, split: str) -> np.ndarray:
        """Give stored features, left in the file: the system keeps in memory as much of it as there is room for."""
        features = self._file[split]["features"]
        offset = features.id.get_offset()  # write_outputs stores them in one piece
        return _flatten_positions(np.memmap(self._path, np.float16, "r", offset, features.shape))

    def stream(self, split: str, images: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Give the features, float16 (n, F, S), and labels, int64 (n,), of at most `images` images at a time."""
        labels = self.labels(split)
        for start in range(0, len(labels), images):
            stop = min(start + images, len(labels))
            yield self._rows(split, start, stop), labels[start:stop]

    def labels(self, split: str) -> np.ndarray:
        """Give the labels of a split, int64 (N,)."""
        return self._file[split]["labels"][()]

    def _rows(self, split: str, start: int, stop: int) -> np.ndarray:
        if self._computed:
            return _flatten_positions(self._computed(split, start, stop, self.scales))
        return _flatten_positions(self._file[split]["features"][start:stop])


def _flatten_positions(features: np.ndarray) -> np.ndarray:
    return features.reshape(*features.shape[:2], -1)  # (N, F, H, W) -> (N, F, S)
