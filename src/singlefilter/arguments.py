"""The arguments of the Python API, checked and brought into the pipeline's own form."""

import inspect
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from singlefilter.backbone.network import Network
from singlefilter.data.dataset import Split
from singlefilter.filters.layer_clusters import LayerClusters, cluster_layer
from singlefilter.filters.store import FilterMatrices
from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.params import MOST_COUNT, LayerName, Params, near
from singlefilter.pipeline.params_files import parse_params

FULL_EPOCHS, MOST_EPOCHS = 200, 2_000  # of the paper's schedule; of one that is scaled to more
MOST_LABEL = 65_534  # a larger one is a mistake, such as an id, and would need an output for each number below it
UNREADABLE = (ValueError, TypeError, RuntimeError, OverflowError)  # what NumPy and PyTorch raise for what is no number
RATES = ("learning_rate", "momentum", "weight_decay", "batch_size")
FARTHEST = 2  # from 0, of images in [-1, 1] after interpolation or noise; pixels as floats are farther
INPUTS = "uint8 (N, H, W, 3), or the module's own input, float (N, …)"
OF_FILES = re.compile(
    r"(params|catalog)\.yaml: |datasets\.images\.|archs\.network\.(backbone|heads)(\.convolutional_rates)?[.:] ?"
)


@contextmanager
def as_arguments() -> Iterator[None]:
    """Name in errors the arguments of a function in place of the keys of files and variables that it has not."""
    try:
        yield
    except InputError as error:
        text = OF_FILES.sub("", str(error)).replace("seeds.0: ", "seed: ").replace("DATASET_MIRROR", "mirror")
        raise InputError(text) from error


def whole_number(name: str, value: object, smallest: int, largest: int) -> int:
    """Give a whole number, of any type that has them; raises InputError for others, as all of this module do."""
    try:
        number = operator.index(value)
    except TypeError:
        number = smallest - 1
    if not smallest <= number <= largest:
        raise InputError(f"{name}: is {value!r}; allowed are whole numbers from {smallest} to {largest:,}")
    return number


def threshold_of(threshold: object) -> float:
    """Give a threshold that clips some, and neither all nor nothing."""
    try:
        number = float(threshold)
    except UNREADABLE:
        number = 0.0
    if not 0 < number < 1:
        raise InputError(f"threshold: is {threshold!r}; allowed are numbers above 0 and below 1")
    return number


def list_of(name: str, values: Iterable[Any]) -> list[Any]:
    """Give a list of what holds several; a text is one thing."""
    if isinstance(values, nn.Module):
        way_out = {"layers": "; give its name", "convolutions": "; train it yourself, for extract_features"}
        raise InputError(f"{name}: is a module, {type(values).__name__}; a list is needed{way_out.get(name, '')}")
    if isinstance(values, str) or not np.iterable(values):
        raise InputError(f"{name}: is {values!r}; a list is needed, such as [{values!r}]")
    return list(values)


def tensor_of(name: str, values: ArrayLike | Tensor, needed: str) -> Tensor:
    """Give numbers as a dense tensor on the processor, without gradients."""
    if isinstance(values, Mapping) and values:
        key = repr(next(iter(values)))[:40]
        raise InputError(f"{name}: is a mapping; needed is one of its values, such as {name}[{key}]: {needed}")
    try:
        # PyTorch takes no mirrored view, and warns of an array that cannot be written to: these are copied.
        found = torch.as_tensor(values if isinstance(values, Tensor) else np.require(values, requirements="CW"))
        return found.detach().cpu().to_dense()
    except UNREADABLE as error:
        kind = type(values).__name__
        raise InputError(f"{name} cannot be read as numbers (of type {kind}: {error}); needed are {needed}") from error


def kind_of(values: Tensor) -> str:
    """Give the type and the shape of a tensor, for an error."""
    return f"{str(values.dtype).removeprefix('torch.')} {tuple(values.shape)}"


def rates_of(function: Callable[..., Any], rates: Mapping[str, object]) -> dict[str, Any]:
    """Give the further arguments of a function that trains: rates, and nothing else."""
    for name in rates:
        if name not in RATES:
            allowed = [*[*inspect.signature(function).parameters][:-1], *RATES]
            raise InputError(f"{name}: is no argument; {near(name, allowed)}allowed are {', '.join(allowed)}")
    return dict(rates)


def class_names_of(class_names: Iterable[object] | None, labels: int) -> list[str]:
    """Give K names, by default the labels' numbers."""
    names = [*map(str, range(labels) if class_names is None else list_of("class_names", class_names))]
    if len(names) != labels:
        raise InputError(f"class_names: has {len(names)} names; needed are {labels}")
    return names


def params_of(
    backbone: dict, heads: dict, epochs: int, size: int, flip: bool, translation: int, precision: str, seed: int
) -> Params:
    """Give the parameters of a run that has no files."""
    return parse_params(
        {
            "dataset": "images",
            "arch": "network",
            "seeds": [seed],
            "epochs_scale": whole_number("epochs", epochs, 1, MOST_EPOCHS) / FULL_EPOCHS,
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
    targets, needed = labels_of(labels).numpy(), "uint8 (N, H, W, 3) with H = W"
    pixels = tensor_of("images", images, needed)
    if pixels.dtype != torch.uint8 or pixels.ndim != 4 or pixels.shape[3] != 3 or pixels.shape[1] != pixels.shape[2]:
        raise InputError(f"images are {kind_of(pixels)}; needed are {needed}")
    if len(pixels) != len(targets):
        raise InputError(f"images has {len(pixels):,} images, and labels has {len(targets):,}; as many are needed")
    return Split(pixels.numpy(), targets)


def test_of(train: Split, test: Split | tuple[ArrayLike | Tensor, ArrayLike | Tensor]) -> Split:
    """Give a test set whose images and labels are of the training's kind."""
    try:
        images, labels = (test.images, test.labels) if isinstance(test, Split) else test
    except (TypeError, ValueError) as error:
        kind = type(test).__name__
        raise InputError(
            f"test: is of type {kind}; needed are (images, labels), or a split such as data.test"
        ) from error
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
    needed = f"whole numbers from 0 to {MOST_LABEL:,}, (N,)"
    values = tensor_of("labels", labels, needed)
    numbers = values.long()
    if values.ndim != 1 or values.is_floating_point() or not len(values):
        raise InputError(f"labels are {kind_of(values)}; needed are {needed}")
    smallest, largest = map(int, numbers.aminmax())
    if smallest < 0 or largest > MOST_LABEL:
        raise InputError(f"labels go from {smallest} to {largest}; needed are {needed}")
    return numbers


def features_of(features: ArrayLike | Tensor, images: int) -> Tensor:
    """Give the features of N images as (N, F, S), on the processor."""
    needed = f"floating-point numbers, ({images}, F), ({images}, F, S) or ({images}, F, H, W)"
    values = tensor_of("features", features, needed)
    if values.ndim < 2 or len(values) != images or not values.is_floating_point() or not values.numel():
        raise InputError(f"features are {kind_of(values)}; needed for {images} labels are {needed}")
    values = values if values.dtype == torch.float16 else values.float()
    if not values.isfinite().all():
        raise InputError(
            "features hold NaN or infinite values, or such as float32 does not hold; look at the network or its images"
        )
    return values.reshape(images, values.shape[1], -1)  # (N, F, H, W) -> (N, F, S)


def head_of(weights: ArrayLike | Tensor, features: Tensor, targets: Tensor) -> np.ndarray:
    """Give a head's weights, float32 (K, F, S), for features (N, F, S) and labels int64 (N,)."""
    head = tensor_of("weights", weights, "numbers, (K, F, S)").float()
    filters, positions = features.shape[1:]
    fits = head.ndim > 1 and len(head) and head[0].numel() == filters * positions
    if not fits or (head.ndim > 2 and head.shape[1] != filters):
        raise InputError(
            f"weights have shape {tuple(head.shape)}; features of {filters} filters and {positions} positions need "
            f"(K, {filters}, {positions})"
        )
    if not head.isfinite().all():
        raise InputError("weights hold NaN or infinite values; needed are numbers: train the head at a lower rate")
    if int(targets.max()) >= len(head):
        raise InputError(f"labels go up to {int(targets.max())}; weights of {len(head)} outputs allow {len(head) - 1}")
    return head.reshape(len(head), filters, positions).numpy()  # (K, F * S) -> (K, F, S)


def layer_of(layer: object) -> LayerName:
    """Give a layer's name or number, which its head's initial weights are drawn by."""
    return layer if isinstance(layer, str) else whole_number("number of a layer", layer, 0, MOST_COUNT)


def layers_of(network: nn.Module, layers: Iterable[int | str]) -> dict[LayerName, str]:
    """Give for each layer its name as network.named_modules() has it."""
    if not isinstance(network, nn.Module):
        raise InputError(f"network: is a {type(network).__name__}; needed is a torch.nn.Module")
    modules, found = dict(network.named_modules()), {}
    for layer in list_of("layers", layers):
        if isinstance(network, Network) and not isinstance(layer, str):
            number = whole_number("layers", layer, 1, len(network.layers))
            found[number] = f"layers.{number - 1}"
        elif isinstance(layer, str) and layer in modules:
            found[layer] = layer
        else:
            names = ", ".join(repr(name) for name in modules if name) or "none: put it into a torch.nn.Sequential"
            raise InputError(f"layers: the network has no module {layer!r}; it has {names}")
    return found


def inputs_of(network: nn.Module, images: ArrayLike | Tensor) -> Tensor:
    """Give the images that a network is passed: pixels, uint8; or floats, as its weights are."""
    values, needed = tensor_of("images", images, INPUTS), INPUTS
    pixels = values.dtype == torch.uint8
    fits = not pixels or (values.ndim == 4 and values.shape[3] == 3)
    if isinstance(network, Network):
        size = network.image_size
        needed = f"uint8 (N, {size}, {size}, 3), or float (N, 3, {size}, {size}) in [-1, 1]"
        fits = values.shape[1:] == ((size, size, 3) if pixels else (3, size, size))
        fits = fits and (pixels or values.is_floating_point())
    if not fits:
        raise InputError(f"images are {kind_of(values)}; needed are {needed}")
    if values.ndim == 0 or not len(values):
        raise InputError(f"images have shape {tuple(values.shape)}; needed is at least one")
    if isinstance(network, Network) and not pixels and (largest := values.abs().max()) > FARTHEST:
        raise InputError(f"images hold {largest:g}, where the network was trained on [-1, 1]; needed are {needed}")
    weights = next(network.parameters(), values)
    return values.to(weights.dtype) if values.is_floating_point() else values


def fields_of(matrices: FilterMatrices | ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Give fields, float64 (F, K, K), and the images of each label, int64 (K,)."""
    if isinstance(matrices, FilterMatrices):
        fields, images_per_label = np.asarray(matrices.fields), matrices.images_per_label
    else:
        fields = tensor_of("fields", matrices, "numbers, (F, K, K) or (K, K)").double().numpy()
        fields = fields[np.newaxis] if fields.ndim == 2 else fields
        if fields.ndim != 3 or fields.shape[1] != fields.shape[2] or not fields.size:
            raise InputError(f"fields have shape {fields.shape}; needed is (F, K, K) or (K, K)")
        images_per_label = np.ones(fields.shape[1], dtype=np.int64)
    if not np.isfinite(fields).all():
        raise InputError("fields hold NaN or infinite values; needed are numbers")
    return fields, images_per_label


def clusters_of(matrices: FilterMatrices | ArrayLike, threshold: float) -> LayerClusters:
    """Find the clusters of a layer's filters at one threshold."""
    threshold = threshold_of(threshold)
    fields, images_per_label = fields_of(matrices)
    return cluster_layer(fields, images_per_label, [threshold])[threshold]
