"""The arguments of the Python API, checked and brought into the pipeline's own form."""

import operator
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from singlefilter.backbone.network import Network
from singlefilter.data.dataset import Split
from singlefilter.filters.layer_clusters import LayerClusters, cluster_layer
from singlefilter.filters.store import FilterMatrices
from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.params import Params
from singlefilter.pipeline.params_files import parse_params

FULL_EPOCHS, MOST_EPOCHS = 200, 2_000  # of the paper's schedule; of one that is scaled to more
OF_FILES = re.compile(
    r"(params|catalog)\.yaml: |datasets\.images\.|archs\.network\.(backbone|heads)(\.convolutional_rates)?[.:] ?"
)


@contextmanager
def as_arguments() -> Iterator[None]:
    """Name in errors the arguments of a function in place of the keys of files that it has not."""
    try:
        yield
    except InputError as error:
        raise InputError(OF_FILES.sub("", str(error)).replace("seeds.0: ", "seed: ")) from error


def index_of(index: int, filters: int) -> int:
    """Give the number of a filter, or refuse one that is not there; raises InputError, as all of this module do."""
    try:
        number = operator.index(index)
    except TypeError:
        number = -1
    if not 0 <= number < filters:
        raise InputError(f"index: is {index}; allowed are whole numbers from 0 to {filters - 1}")
    return number


def class_names_of(class_names: Sequence[object] | None, labels: int) -> list[str]:
    """Give K names, by default the labels' numbers."""
    names = [str(label) for label in range(labels)] if class_names is None else [*map(str, class_names)]
    if len(names) != labels:
        raise InputError(f"class_names: has {len(names)} names; needed are {labels}")
    return names


def require_threshold(threshold: float) -> None:
    """Refuse a threshold that clips all or nothing."""
    if not 0 < threshold < 1:
        raise InputError(f"threshold: is {threshold}; allowed are numbers above 0 and below 1")


def params_of(
    backbone: dict, heads: dict, epochs: int, size: int, flip: bool, translation: int, precision: str, seed: int
) -> Params:
    """Give the parameters of a run that has no files."""
    if epochs not in range(1, MOST_EPOCHS + 1):
        raise InputError(f"epochs: is {epochs}; allowed are whole numbers from 1 to {MOST_EPOCHS:,}")
    return parse_params(
        {
            "dataset": "images",
            "arch": "network",
            "seeds": [seed],
            "epochs_scale": epochs / FULL_EPOCHS,
            "precision": precision,
            "threshold": 0.3,
            "validation": {"images": 0, "seed": 0},
            "features": {"pooled": False, "streamed_layers": []},
            "dilution": {"other_layers": [], "retrain_heads": False},
            "explorer": False,
            "figures": {"dpi": 150, "font_size": 9, "colormap": "viridis"},
            "datasets": {
                "images": {"source": "class_folders", "image_size": size, "flip": flip, "translation": translation}
            },
            "archs": {"network": {"backbone": backbone, "examined_layers": [1], "heads": heads}},
        }
    )


def images_and_labels(images: ArrayLike | Tensor, labels: ArrayLike | Tensor) -> Split:
    """Give images, uint8 (N, H, W, 3) with H = W, and their labels as a split."""
    targets = labels_of(labels).numpy()
    # A mirrored view is copied: PyTorch takes none.
    pixels = np.ascontiguousarray(images.cpu() if isinstance(images, Tensor) else images)
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[3] != 3 or pixels.shape[1] != pixels.shape[2]:
        raise InputError(f"images are {pixels.dtype} {pixels.shape}; needed are uint8 (N, H, W, 3) with H = W")
    if len(pixels) != len(targets):
        raise InputError(f"images has {len(pixels):,} images, and labels has {len(targets):,}; as many are needed")
    return Split(pixels, targets)


def _tensor(values: ArrayLike | Tensor) -> Tensor:
    """Give a tensor; of an array that is a mirrored view a copy, since PyTorch takes none."""
    return torch.as_tensor(np.ascontiguousarray(values) if isinstance(values, np.ndarray) else values)


def test_of(train: Split, images: ArrayLike | Tensor, labels: ArrayLike | Tensor) -> Split:
    """Give a test set whose images and labels are of the training's kind."""
    test = images_and_labels(images, labels)
    if test.images.shape[1:] != train.images.shape[1:]:
        raise InputError(
            f"test: its images are {test.images.shape[1:]}; those of the training are {train.images.shape[1:]}"
        )
    if test.labels.max() > train.labels.max():
        raise InputError(f"test: has label {test.labels.max()}; those of the training go up to {train.labels.max()}")
    return test


def labels_of(labels: ArrayLike | Tensor) -> Tensor:
    """Give labels as int64 (N,)."""
    try:
        values = _tensor(labels).cpu()
    except (ValueError, TypeError) as error:
        raise InputError(f"labels cannot be read as numbers ({error}); needed are whole numbers ≥ 0, (N,)") from error
    if values.ndim != 1 or values.is_floating_point() or not len(values) or int(values.long().min()) < 0:
        raise InputError(
            f"labels are {values.dtype} of shape {tuple(values.shape)}; needed are whole numbers ≥ 0, (N,)"
        )
    return values.long()


def features_of(features: ArrayLike | Tensor, images: int) -> Tensor:
    """Give the features of N images as (N, F, S), on the processor."""
    try:
        values = _tensor(features).detach().cpu()
    except (ValueError, TypeError) as error:
        raise InputError(f"features cannot be read as numbers ({error}); needed are numbers, (N, F, …)") from error
    if values.ndim < 2 or len(values) != images or not values.is_floating_point() or not values.numel():
        raise InputError(
            f"features are {values.dtype} of shape {tuple(values.shape)}; needed for {images} labels are "
            f"floating-point numbers, ({images}, F), ({images}, F, S) or ({images}, F, H, W)"
        )
    if not values.isfinite().all():
        raise InputError("features hold NaN or infinite values; needed are numbers: look at the network or its images")
    values = values.float() if values.dtype == torch.bfloat16 else values  # which NumPy has not
    return values.reshape(images, values.shape[1], -1)  # (N, F, H, W) -> (N, F, S)


def head_of(weights: ArrayLike | Tensor, features: Tensor, targets: Tensor) -> np.ndarray:
    """Give a head's weights, float32 (K, F, S), for features (N, F, S) and labels int64 (N,)."""
    try:
        head = _tensor(weights).detach().float().cpu()
    except (ValueError, TypeError) as error:
        raise InputError(f"weights cannot be read as numbers ({error}); needed are numbers, (K, F, S)") from error
    filters, positions = features.shape[1:]
    if head.ndim < 2 or head[0].numel() != filters * positions or (head.ndim == 3 and head.shape[1] != filters):
        raise InputError(
            f"weights have shape {tuple(head.shape)}; features of {filters} filters and {positions} positions need "
            f"(K, {filters}, {positions})"
        )
    if not head.isfinite().all():
        raise InputError("weights hold NaN or infinite values; needed are numbers: train the head at a lower rate")
    if int(targets.max()) >= len(head):
        raise InputError(f"labels go up to {int(targets.max())}; weights of {len(head)} outputs allow {len(head) - 1}")
    return head.reshape(len(head), filters, positions).numpy()  # (K, F * S) -> (K, F, S)


def name_of_layer(network: nn.Module, layer: int | str) -> str:
    """Give a layer's name, as network.named_modules() has it."""
    if isinstance(network, Network) and isinstance(layer, int):
        if not 1 <= layer <= len(network.layers):
            raise InputError(f"layers: the network has no layer {layer}; allowed are 1 to {len(network.layers)}")
        return f"layers.{layer - 1}"
    modules = dict(network.named_modules())
    if layer not in modules:
        names = ", ".join(repr(name) for name in modules if name)
        raise InputError(
            f"layers: the network has no module {layer!r}; it has {names or 'none: put it into a torch.nn.Sequential'}"
        )
    return layer


def fields_of(matrices: FilterMatrices | ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Give fields, float64 (F, K, K), and the images of each label, int64 (K,)."""
    if isinstance(matrices, FilterMatrices):
        return np.asarray(matrices.fields), matrices.images_per_label
    try:
        fields = np.asarray(matrices, dtype=np.float64)
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(
            f"fields cannot be read as numbers ({error}); needed are numbers, (F, K, K) or (K, K)"
        ) from error
    fields = fields[np.newaxis] if fields.ndim == 2 else fields
    if fields.ndim != 3 or fields.shape[1] != fields.shape[2] or not fields.size:
        raise InputError(f"fields have shape {fields.shape}; needed is (F, K, K) or (K, K)")
    return fields, np.ones(fields.shape[1], dtype=np.int64)


def clusters_of(matrices: FilterMatrices | ArrayLike, threshold: float) -> LayerClusters:
    """Find the clusters of a layer's filters at one threshold."""
    require_threshold(threshold)
    fields, images_per_label = fields_of(matrices)
    return cluster_layer(fields, images_per_label, [threshold])[threshold]
