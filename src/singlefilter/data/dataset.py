"""A data set and its fingerprint."""

import dataclasses
import hashlib
from dataclasses import dataclass

import numpy as np

from singlefilter.pipeline.errors import InputError


@dataclass(frozen=True, eq=False)
class Split:
    """The training or the test set.

    Attributes:
        images: (N, H, W, 3) uint8, RGB.
        labels: (N,) int64, each an index into the data set's class names.
        names: (N,) str, by which an image is found at its source: a file's path, or a number in the published order.
            None where they are not known, as in dataset.h5, whose content does not depend on them.
    """

    images: np.ndarray
    labels: np.ndarray
    names: np.ndarray | None = None

    def __repr__(self) -> str:
        return f"Split({self.images.dtype} {self.images.shape}, labels {self.labels.dtype} {self.labels.shape})"

    def take(self, rows: np.ndarray) -> "Split":
        """Give the images of these rows, with their labels and names."""
        return Split(self.images[rows], self.labels[rows], None if self.names is None else self.names[rows])


@dataclass(frozen=True, eq=False)
class Data:
    """A data set; the name is its row of catalog.yaml's datasets, and validation is what hold_out took from train.

    Only what trains a network and measures nothing goes without a test set.
    """

    name: str
    class_names: tuple[str, ...]
    train: Split
    test: Split | None
    validation: Split | None = None

    @property
    def splits(self) -> dict[str, Split]:
        """The splits that there are, by their names."""
        splits = {"train": self.train, "test": self.test, "validation": self.validation}
        return {name: split for name, split in splits.items() if split is not None}

    @property
    def image_count(self) -> int:
        """The number of images of all splits."""
        return sum(len(split.labels) for split in self.splits.values())


def numbers(images: np.ndarray) -> np.ndarray:
    """Name images by their place in the published order, from 0 on."""
    return np.arange(len(images)).astype(str)


def fingerprint(split: Split) -> str:
    """Tell a split by its content, whatever the order of its images.

    Returns:
        The SHA-256, in hexadecimal, over the sorted SHA-256 digests of each image: its label as one byte (two, little
        end first, where there are more than 256 classes), then its pixel bytes, row by row, RGB.
    """
    return hashlib.sha256(b"".join(sorted(_digests(split)))).hexdigest()


def hold_out(data: Data, size: int, seed: int) -> Data:
    """Move random training images into a validation set (SI, Optimization).

    They are drawn from the images in the order of their digests, so that every packaging holds out the same ones.

    Args:
        data: A data set without a validation set.
        size: The number of images; 0 leaves the data set as it is.
        seed: What the draw is seeded with.

    Raises:
        InputError: So many cannot be held out, or no training image of a label is left.
    """
    if size == 0:
        return data
    count = len(data.train.labels)
    check_held_out(size, count)
    train = in_order(data.train)
    held = np.isin(np.arange(count), np.random.default_rng(seed).choice(count, size, replace=False))
    missing = np.setdiff1d(train.labels, train.labels[~held])
    if len(missing):
        raise InputError(
            f"validation.images: is {size:,}, by which no training image of {data.class_names[missing[0]]} is left; "
            "hold out fewer, or others, by validation.seed"
        )
    return dataclasses.replace(data, train=train.take(~held), validation=train.take(held))


def check_held_out(size: int, count: int) -> None:
    """Raise InputError where not one of `count` training images would be left once `size` of them are held out."""
    if size >= count:
        raise InputError(f"validation.images: is {size:,}; must be below the number of training images, {count:,}")


def in_order(split: Split) -> Split:
    """Order images by their digests, so that every packaging of a data set has the same order."""
    digests = _digests(split)
    return split.take(np.array(sorted(range(len(digests)), key=digests.__getitem__), int))


def _digests(split: Split) -> list[bytes]:
    fits_byte = split.labels.min(initial=0) >= 0 and split.labels.max(initial=0) < 256
    label_type = "<u1" if fits_byte else "<u2"
    pairs = zip(split.labels.astype(label_type), split.images, strict=True)
    return [hashlib.sha256(label.tobytes() + image.tobytes()).digest() for label, image in pairs]
