"""A data set, its fingerprint, and the file data/dataset.h5 that holds it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from singlefilter.errors import InputError
from singlefilter.files import read_hdf5, write_hdf5


@dataclass(frozen=True, eq=False)
class Split:
    """The training or the test set.

    Attributes:
        images: (N, H, W, 3) uint8, RGB.
        labels: (N,) int64, each an index into the data set's class names.
    """

    images: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True, eq=False)
class Data:
    """A data set; the name is its row of params.yaml's datasets."""

    name: str
    class_names: tuple[str, ...]
    train: Split
    test: Split

    @property
    def fingerprints(self) -> tuple[str, str]:
        """The fingerprints of the training and the test set."""
        return fingerprint(self.train), fingerprint(self.test)


def fingerprint(split: Split) -> str:
    """Tell a split by its content, whatever the order of its images.

    Returns:
        The SHA-256, in hexadecimal, over the sorted SHA-256 digests of each image: its label as one byte (two, little
        end first, where there are more than 256 classes), then its pixel bytes, row by row, RGB.
    """
    return hashlib.sha256(b"".join(sorted(_digests(split)))).hexdigest()


def write_dataset(path: Path, data: Data) -> None:
    """Write a data set, its images in the order of their digests: every packaging of it gives the same bytes.

    The file has the groups train and test, each with images, labels and the attribute fingerprint, and at its root
    the attributes name and class_names.
    """
    with write_hdf5(path) as file:
        file.attrs["name"] = data.name
        file.attrs.create("class_names", data.class_names, dtype=h5py.string_dtype())
        for name, split in (("train", data.train), ("test", data.test)):
            digests = _digests(split)
            order = sorted(range(len(digests)), key=digests.__getitem__)
            group = file.create_group(name)
            group.attrs["fingerprint"] = fingerprint(split)
            group["images"] = split.images[order]
            group["labels"] = split.labels[order].astype(np.int64)


def read_dataset(path: Path) -> Data:
    """Read what write_dataset wrote.

    Raises:
        InputError: The file is missing, or its content is not the one that was written.
    """
    with read_hdf5(path, made_by="download") as file:
        try:
            train, test = (_read_split(file[name]) for name in ("train", "test"))
            return Data(str(file.attrs["name"]), tuple(map(str, file.attrs["class_names"])), train, test)
        except (KeyError, TypeError, ValueError, OSError) as error:
            raise InputError(
                f"{path} is not what the stage download wrote: {error}. "
                "Make it again: dvc repro --force --single-item download"
            ) from error


def _read_split(group: h5py.Group) -> Split:
    split = Split(group["images"][:], group["labels"][:])
    if fingerprint(split) != group.attrs["fingerprint"]:
        raise ValueError(f"the content of {group.name} does not have the fingerprint stored with it")
    return split


def _digests(split: Split) -> list[bytes]:
    fits_byte = split.labels.min(initial=0) >= 0 and split.labels.max(initial=0) < 256
    label_type = "<u1" if fits_byte else "<u2"
    pairs = zip(split.labels.astype(label_type), split.images, strict=True)
    return [hashlib.sha256(label.tobytes() + image.tobytes()).digest() for label, image in pairs]
