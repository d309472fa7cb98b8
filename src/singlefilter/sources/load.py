"""Where a data set comes from: the digits within scikit-learn, CIFAR, or class folders of the user's own."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from singlefilter.data.dataset import Data, Split, numbers
from singlefilter.pipeline.artifacts import IMAGES
from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.params import Dataset
from singlefilter.sources.cifar import KNOWN, load_cifar
from singlefilter.sources.class_folders import check_class_folders, load_class_folders, refuse_links

PUBLISHED = ("digits", *KNOWN)
TEST_DIGITS = 30  # images per label
DIGITS_SEED = 0


class Counts(NamedTuple):
    """How many labels and training images a data set has."""

    labels: int
    training_images: int


COUNTS = {"digits": Counts(10, 1_497), "cifar10": Counts(10, 50_000), "cifar100": Counts(100, 50_000)}


def check_source(name: str, row: Dataset) -> Counts | None:
    """Check that a data set's images are at hand, without reading them.

    Images that DVC tracks may be elsewhere: what does not need them runs all the same (dvc repro --allow-missing).

    Args:
        name: The row's name in catalog.yaml's datasets, and that of its folder in data/images.
        row: The row.

    Returns:
        The numbers of labels and of training images; None where the images are not here.

    Raises:
        InputError: The folder is missing, or its layout is none that can be read.
    """
    folder = IMAGES / name
    if not folder.is_dir() and folder.with_name(f"{name}.dvc").exists():
        print(f"{folder} is not here; where the images are needed, get them: dvc pull {folder}")
        return None
    if row.source == "class_folders":
        return Counts(*check_class_folders(folder))
    if not folder.is_dir():
        raise InputError(f"{folder} is missing; make it, with a note of where the images come from")
    return COUNTS[row.source]


def load_source(name: str, row: Dataset, mirror: Path | None, downloads: Path) -> Data:
    """Load the data set that a row of catalog.yaml's datasets describes.

    Args:
        name: The row's name.
        row: The row.
        mirror: A folder with a copy of CIFAR, or None to download it.
        downloads: Where downloaded archives are kept.

    Raises:
        InputError: The source is missing, unreadable or not what it should be.
    """
    if row.source == "digits":
        return load_digits(name, row.image_size)
    if row.source in KNOWN:
        return load_cifar(name, row.source, mirror, downloads)
    refuse_links(IMAGES / name)
    return load_class_folders(name, IMAGES / name, row.image_size)


def load_digits(name: str, image_size: int) -> Data:
    """Scikit-learn's 1,797 scanned digits: 30 a label, drawn with a fixed seed, are the test set, the rest train.

    A scan's 8x8 values 0..16 are scaled to 0..255, resized bilinearly to image_size x image_size in floating point
    (Pillow's mode F, so that nothing is rounded before the end), rounded to the nearest integer, and repeated as three
    equal channels.
    """
    from sklearn import datasets  # here, since it takes a second

    digits = datasets.load_digits()
    images = np.stack([_enlarge(scan * (255 / 16), image_size) for scan in digits.images])
    generator = np.random.default_rng(DIGITS_SEED)
    chosen = [generator.choice(np.flatnonzero(digits.target == k), TEST_DIGITS, replace=False) for k in range(10)]
    in_test = np.isin(np.arange(len(images)), chosen)
    scans = Split(images, digits.target, numbers(images))
    return Data(name, tuple(map(str, digits.target_names)), scans.take(~in_test), scans.take(in_test))


def _enlarge(scan: np.ndarray, image_size: int) -> np.ndarray:
    image = Image.fromarray(scan.astype(np.float32)).resize((image_size, image_size), Image.Resampling.BILINEAR)
    grey = np.rint(np.asarray(image)).astype(np.uint8)
    return np.repeat(grey[:, :, np.newaxis], 3, axis=2)  # (H, W) -> (H, W, 3)
