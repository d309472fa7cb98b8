"""Random images and features in the shape of CIFAR-10's: speed does not depend on what they show."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from singlefilter.data.dataset import Data, Split
from singlefilter.features.store import write_largest, write_scales
from singlefilter.pipeline.architecture import layer_shapes
from singlefilter.pipeline.files import write_hdf5
from singlefilter.pipeline.params import Arch
from tests.feature_files import feature_path

IMAGE_SIZE = 32
LABELS = 10
CLASS_NAMES = tuple(f"label {label}" for label in range(LABELS))
_IMAGES_PER_DRAW = 500


def random_data(train: int, test: int) -> Data:
    """Draw a data set of 32x32 images with 10 labels."""
    return Data("random", CLASS_NAMES, random_split(train, 0), random_split(test, 1))


def random_split(count: int, seed: int, side: int = IMAGE_SIZE) -> Split:
    generator = np.random.default_rng(seed)
    images = generator.integers(256, size=(count, side, side, 3), dtype=np.uint8)
    return Split(images, random_labels(count, LABELS, seed))


def random_labels(count: int, labels: int, seed: int) -> np.ndarray:
    """Draw labels, int64 (N,)."""
    return np.random.default_rng(seed).integers(labels, size=count)


def random_features(count: int, filters: int, positions: int, seed: int) -> np.ndarray:
    """Draw features, float16 (N, F, S); half of them are 0, as behind a ReLU."""
    generator = np.random.default_rng(seed)
    features = np.empty((count, filters, positions), np.float16)
    for start in range(0, count, _IMAGES_PER_DRAW):
        part = features[start : start + _IMAGES_PER_DRAW]
        part[:] = np.maximum(generator.random(part.shape, np.float32) * 2 - 1, 0)
    return features


def feature_shapes(arch: Arch) -> dict[int, tuple[int, int]]:
    """Give for each examined layer its filters F and positions S."""
    shapes = {shape.number: shape for shape in layer_shapes(arch.backbone.convolutions, IMAGE_SIZE)}
    return {layer: (shapes[layer].filters, shapes[layer].pooled_side ** 2) for layer in arch.examined_layers}


def write_random_features(folder: Path, shapes: Mapping[int, tuple[int, int]], split: str, count: int) -> None:
    """Write files of features like those of features.write_features, with one split, for filters and positions."""
    for layer, (filters, positions) in shapes.items():
        side = round(positions**0.5)
        values = random_features(count, filters, positions, layer)
        with write_hdf5(feature_path(folder, layer)) as file:
            file.attrs["class_names"] = CLASS_NAMES
            write_scales(file, np.ones(filters, dtype=np.float32))
            write_largest(file, np.ones(filters, dtype=np.float32))
            file[f"{split}/features"] = values.reshape(count, filters, side, side)  # (N, F, S) -> (N, F, H, W)
            file[f"{split}/labels"] = random_labels(count, LABELS, seed=0)


def random_head(labels: int, filters: int, positions: int) -> np.ndarray:
    """Draw a head, float32 (K, F, S), as torch.nn.Linear starts it."""
    bound = (filters * positions) ** -0.5
    return np.random.default_rng(3).uniform(-bound, bound, (labels, filters, positions)).astype(np.float32)
