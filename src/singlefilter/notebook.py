"""The Python API: the steps of the pipeline on arrays, tensors and modules, without files."""

from __future__ import annotations

import io
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import Any

import matplotlib
import torch
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from torch import Tensor, nn

from singlefilter.arguments import (
    INPUTS,
    as_arguments,
    class_names_of,
    clusters_of,
    features_of,
    fields_of,
    head_of,
    images_and_labels,
    inputs_of,
    kind_of,
    labels_of,
    layer_of,
    layers_of,
    list_of,
    params_of,
    rates_of,
    test_of,
    threshold_of,
    whole_number,
)
from singlefilter.backbone.layers import tapped
from singlefilter.backbone.network import Network
from singlefilter.backbone.train import new_network, train
from singlefilter.data.dataset import Data, Split
from singlefilter.explorer.panel import Panel, show_layer
from singlefilter.features.extract import IMAGES_PER_PASS
from singlefilter.figures.matrices import plot_one_filter
from singlefilter.figures.style import use_style
from singlefilter.filters.clusters import Clusters, list_clusters, normalise_fields
from singlefilter.filters.matrices import filter_matrices as gather_matrices
from singlefilter.filters.matrices import images_per_pass
from singlefilter.filters.store import FilterMatrices
from singlefilter.heads.train import StoredFeatures
from singlefilter.heads.train import train_heads as train_linear_layers
from singlefilter.pipeline.artifacts import DOWNLOADS
from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.params import Dataset
from singlefilter.sources.class_folders import load_class_folders
from singlefilter.sources.load import PUBLISHED, load_source
from singlefilter.statistics import cluster_means
from singlefilter.training.augment import scale
from singlefilter.training.device import chosen_device

VGG6 = (64, "M", 128, "M", 256, "M", 512, "M", 512, "M")  # Fig. 7A


@as_arguments()
def load_dataset(source: str | Path = "digits", image_size: int = 32, mirror: str | Path | None = None) -> Data:
    """Load a data set.

    Args:
        source: digits, cifar10, cifar100, or a folder with train/<class>/* and test/<class>/*.
        image_size: Height and width of the images, in pixels.
        mirror: A folder with a copy of CIFAR, in any packaging; by default it is downloaded into data/downloads.

    Returns:
        The data set, with class_names, train and test; each split has images, uint8 (N, H, W, 3), and labels,
        int64 (N,).

    Raises:
        InputError: The source is missing, unreadable or not what it should be.

    Examples:
        >>> data = load_dataset("digits")
        >>> data.train.images.shape, data.test.labels.shape, data.class_names[:3]
        ((1497, 32, 32, 3), (300,), ('0', '1', '2'))
    """
    image_size = whole_number("image_size", image_size, 4, 1024)
    if source in PUBLISHED:
        if source != "digits" and image_size != 32:
            raise InputError(f"image_size: is {image_size}; the images of {source} have 32")
        row = Dataset(source=source, image_size=image_size, flip=False, translation=0)
        return load_source(source, row, Path(mirror) if mirror else None, DOWNLOADS)
    if not isinstance(source, str | os.PathLike) or not Path(source).is_dir():
        raise InputError(f"source: {str(source)!r} is no folder, and none of {', '.join(PUBLISHED)}")
    return load_class_folders(Path(source).absolute().name, Path(source), image_size)


@as_arguments()
def train_backbone(
    images: ArrayLike | Tensor,
    labels: ArrayLike | Tensor,
    convolutions: Sequence[int | str] = VGG6,
    *,
    epochs: int = 200,
    flip: bool = True,
    translation: int = 4,
    precision: str = "float32",
    seed: int = 0,
    test: Split | tuple[ArrayLike | Tensor, ArrayLike | Tensor] | None = None,
    verbose: bool = False,
    **rates: Any,
) -> Network:
    """Train a chain of 3x3 convolutions by the paper's method (SI, Optimization and Hyper-parameters).

    Args:
        images: uint8 (N, H, W, 3), H = W.
        labels: Whole numbers from 0 on, (N,).
        convolutions: Numbers of filters; M is a 2x2 max-pool, A4 a 4x4 average-pool. By default VGG-6.
        epochs: The schedule's decay keeps to the paper's 200 epochs, scaled to these.
        flip: Whether half of the images of each step are mirrored.
        translation: The largest translation of an image in a step, in pixels.
        precision: float32 or bf16.
        seed: Of the initial weights, and of the order and augmentation of the images.
        test: Images and labels, or a split such as data.test; verbose prints the success rate on them.
        verbose: Whether to print the loss and success rates of each epoch.
        **rates: learning_rate (0.028), momentum (0.975), weight_decay (0.0015) and batch_size (100).

    Returns:
        The trained network, in eval mode, on the processor.

    Raises:
        InputError: An argument does not fit, or training diverged.

    Examples:
        >>> data = load_dataset("digits")
        >>> images, labels = data.train.images[:200], data.train.labels[:200]
        >>> network = train_backbone(images, labels, [8, "M", 8, "M"], epochs=1, flip=False)
        >>> len(network.layers), network.labels
        (2, 10)
    """
    split = images_and_labels(images, labels)
    decay = [{"first": 20, "every": 20, "factor": 0.6}]  # vgg16's (SI, Fig. 1)
    rates = {"learning_rate": 0.028, "batch_size": 100, "decay": decay} | rates_of(train_backbone, rates)
    backbone = {"convolutions": list_of("convolutions", convolutions), "batch_size": rates.pop("batch_size")}
    backbone["convolutional_rates"] = rates
    params = params_of(backbone, {}, epochs, split.images.shape[1], flip, translation, precision, seed)
    names = tuple(map(str, range(int(split.labels.max()) + 1)))
    data = Data("images", names, split, None if test is None else test_of(split, test))
    device = chosen_device()
    # Both seed PyTorch's generator, from which the caller draws, too.
    with _printing(verbose), torch.random.fork_rng([device] if device.type == "cuda" else []):
        network = new_network(data, params, seed)
        train(network, data, params, seed, device)
    return network.cpu().eval()


@torch.no_grad()
def extract_features(
    network: nn.Module, images: ArrayLike | Tensor, layers: Iterable[int | str]
) -> dict[int | str, Tensor]:
    """Give the outputs of layers of a frozen network (paper, Fig. 1B-C).

    Args:
        network: A network of train_backbone, or any module; it computes in eval mode.
        images: uint8 (N, H, W, 3), which is scaled to [-1, 1]; or the module's own input, float (N, …).
        layers: Numbers of layers from 1 on, of a network of train_backbone; or names of sub-modules, as
            network.named_modules() has them. Of a module that is called several times the last output is taken.

    Returns:
        For each layer its outputs, float32 (N, F, …), on the processor. Of a transformer F are the dimensions of the
        embedding, and the tokens come after.

    Raises:
        InputError: The network has no such layer, it does not put out something for each image, or the images have
            another shape.

    Examples:
        >>> network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU())
        >>> extract_features(network, torch.zeros(5, 3, 6, 6), ["1"])["1"].shape
        torch.Size([5, 8, 4, 4])
    """
    names = layers_of(network, layers)
    values = inputs_of(network, images)
    device = chosen_device()
    found: dict[int | str, list[Tensor]] = {layer: [] for layer in names}
    with _evaluating(network, device):
        for start in range(0, len(values), IMAGES_PER_PASS):
            # A copy: the first module may work in place.
            batch = values[start : start + IMAGES_PER_PASS].to(device, copy=True)
            outputs = _outputs(network, batch, names.values())
            for layer, name in names.items():
                found[layer].append(outputs[name].float().cpu())
    return {layer: torch.cat(parts) for layer, parts in found.items()}


@as_arguments()
def train_heads(
    features: Mapping[int | str, ArrayLike | Tensor] | ArrayLike | Tensor,
    labels: ArrayLike | Tensor,
    *,
    epochs: int = 200,
    seed: int = 0,
    verbose: bool = False,
    **rates: Any,
) -> Any:
    """Train one linear layer without bias on a layer's features (SI, Training the fully connected layer).

    Args:
        features: Of one layer (N, F), (N, F, S) or (N, F, H, W); or a mapping of layers to such.
        labels: Whole numbers from 0 on, (N,).
        epochs: The schedule's decay keeps to the paper's 200 epochs, scaled to these.
        seed: Of the initial weights, which also depend on a mapping's number or name of the layer, and of the order of
            the images.
        verbose: Whether to print the loss of each epoch.
        **rates: learning_rate (0.1), momentum (0.975), weight_decay (1e-5) and batch_size (100).

    Returns:
        The head's weights, float32 (K, F, S); for a mapping, a mapping.

    Raises:
        InputError: Features and labels do not fit each other, or training diverged.

    Examples:
        >>> features, labels = torch.eye(6).repeat(50, 1), torch.arange(6).repeat(50) // 2
        >>> weights = train_heads(features, labels, epochs=2)
        >>> weights.shape
        torch.Size([3, 6, 1])
    """
    if not isinstance(features, Mapping):
        return train_heads({1: features}, labels, epochs=epochs, seed=seed, verbose=verbose, **rates)[1]
    targets, rates = labels_of(labels), rates_of(train_heads, rates)
    device = chosen_device()
    layers = {key: layer_of(key) for key in features}
    values = {layer: features_of(features[key], len(targets)).to(device) for key, layer in layers.items()}
    params = params_of(
        {"convolutions": [1], "convolutional_rates": {"learning_rate": 0.0}},
        rates,
        epochs,
        size=32,
        flip=False,
        translation=0,
        precision="float32",
        seed=seed,
    )
    label_count = int(targets.max()) + 1
    with _printing(verbose):
        weights = train_linear_layers(StoredFeatures(values), targets.to(device), label_count, params, seed)
    return {key: weights[layer].cpu() for key, layer in layers.items()}


def filter_matrices(
    features: ArrayLike | Tensor, labels: ArrayLike | Tensor, weights: ArrayLike | Tensor
) -> FilterMatrices:
    """Silence all of a head's weights but one filter's, for every filter (paper, Figs. 3 and 4).

    Args:
        features: (N, F), (N, F, S) or (N, F, H, W).
        labels: Whole numbers from 0 on, (N,).
        weights: The head, (K, F, S), as train_heads gives it; or (K, F), or (K, F * S) as a torch.nn.Linear has it.

    Returns:
        fields, float64 (F, K, K): the sums over the images of input label i of filter f's field on output j;
        decisions, int64 (F, K, K): for how many images of label i output j has the largest field;
        images_per_label, int64 (K,); correct_without, int64 (F,): how many images the head decides correctly once
        filter f's weights are silenced.

    Raises:
        InputError: The shapes do not fit each other.

    Examples:
        >>> matrices = filter_matrices(torch.eye(2), [0, 1], torch.tensor([[1.0, -1.0], [-1.0, 1.0]]))
        >>> matrices.fields[0].tolist()
        [[1.0, -1.0], [0.0, -0.0]]
    """
    targets = labels_of(labels)
    values = features_of(features, len(targets))
    head = head_of(weights, values, targets)
    step = images_per_pass(head)
    parts = zip(values.split(step), targets.split(step), strict=True)
    return gather_matrices(((part.numpy(), rows.numpy()) for part, rows in parts), head, chosen_device())


def find_clusters(matrices: FilterMatrices | ArrayLike, threshold: float = 0.3) -> list[Clusters]:
    """Find the clusters of every filter: groups of labels that it stands for (SI, Fig. 4).

    Args:
        matrices: As filter_matrices gives them; or fields alone, (F, K, K) or (K, K), each label with as many images.
        threshold: Clips the fields, which are divided by the filter's largest.

    Returns:
        For each filter its clusters, each as its labels; none for a filter without a positive field.

    Raises:
        InputError: A field is not finite, or the fields are not square.

    Examples:
        >>> find_clusters([[1.0, 0.9, 0.0], [0.8, 1.0, 0.0], [0.0, 0.0, 0.1]])
        [((0, 1),)]
    """
    return [list_clusters(numbers) for numbers in clusters_of(matrices, threshold).numbers]


def layer_statistics(matrices: FilterMatrices | ArrayLike, threshold: float = 0.3) -> dict[str, float]:
    """Average noise, clusters and cluster sizes over a layer's filters (SI, Fig. 5A).

    Args:
        matrices: As find_clusters takes them.
        threshold: Clips the fields.

    Returns:
        filters, noise and clusters per filter, cluster_size, silent_filters, size_share_1 … size_share_K; and
        noise_clustered, over the filters with at least one cluster. A mean over nothing is NaN.

    Examples:
        >>> layer_statistics([[1.0, 0.9, 0.5], [0.8, 1.0, 0.0], [0.0, 0.0, 0.1]])["noise"]
        1.0
    """
    return cluster_means.layer_statistics(clusters_of(matrices, threshold))


def plot_filter(
    matrices: FilterMatrices | ArrayLike,
    index: int = 0,
    threshold: float = 0.3,
    class_names: Sequence[str] | None = None,
    title: str = "",
) -> Figure:
    """Draw a filter's normalised fields, clipped, and permuted so that its clusters stand together (SI, Fig. 4).

    Args:
        matrices: As find_clusters takes them.
        index: The filter.
        threshold: Clips the fields.
        class_names: K names; by default the labels' numbers.
        title: What the filter is called; by default its number.

    Returns:
        A matplotlib figure; figure.savefig("filter.png") writes it.

    Raises:
        InputError: There is no such filter, it has no positive field, or the names are not as many as the labels.

    Examples:
        >>> figure = plot_filter([[1.0, 0.9], [0.8, 1.0]], class_names=["cat", "dog"])
        >>> figure.get_size_inches().tolist()[0] > 5
        True
    """
    threshold = threshold_of(threshold)
    fields, images_per_label = fields_of(matrices)
    index = whole_number("index", index, 0, len(fields) - 1)
    normalised, silent, _ = normalise_fields(fields[[index]], images_per_label)
    if silent[0]:
        raise InputError(f"filter {index} has no positive field; choose another")
    names = class_names_of(class_names, fields.shape[1])
    with matplotlib.rc_context():  # the caller's own settings come back
        use_style(dpi=150, font_size=9, colormap="viridis")
        return plot_one_filter(title or f"filter {index}", normalised[0], names, threshold)


def show_filter(
    matrices: FilterMatrices | ArrayLike,
    index: int = 0,
    threshold: float = 0.3,
    class_names: Sequence[str] | None = None,
    title: str = "",
    train: FilterMatrices | ArrayLike | None = None,
) -> Panel:
    """Show a filter as plots/explorer.html does: its matrices, with the values under the pointer, numbers and nulls.

    Args:
        matrices: As find_clusters takes them; the layer's other filters are there to go on to.
        index: The filter that is shown first.
        threshold: Clips the fields.
        class_names: K names; by default the labels' numbers.
        title: What the layer is called, such as "layer 3".
        train: The same of the training set, to be shown beside.

    Returns:
        What a notebook shows at the end of a cell; panel.save("filter.html") writes it for a browser.

    Raises:
        InputError: There is no such filter, or an argument does not fit.

    Examples:
        >>> panel = show_filter([[1.0, 0.9], [0.8, 1.0]], class_names=["cat", "dog"])
        >>> panel.save("filter.html")
    """
    splits = {"test": matrices} if train is None else {"test": matrices, "train": train}
    fields = {split: fields_of(of_split) for split, of_split in splits.items()}
    filters, labels, _ = fields["test"][0].shape
    index = whole_number("index", index, 0, filters - 1)
    if train is not None and fields["train"][0].shape != fields["test"][0].shape:
        raise InputError(f"train: has shape {fields['train'][0].shape}; needed is {fields['test'][0].shape}")
    names = class_names_of(class_names, labels)
    threshold = threshold_of(threshold)
    decisions = matrices.decisions if isinstance(matrices, FilterMatrices) else None
    return show_layer(fields, decisions, index, threshold, names, title or "the layer")


def _printing(verbose: bool) -> AbstractContextManager[Any]:
    return nullcontext() if verbose else redirect_stdout(io.StringIO())


def _outputs(network: nn.Module, batch: Tensor, names: Collection[str]) -> dict[str, Tensor]:
    """Give what the modules of these names put out for some images, each (n, F, …)."""
    images = batch
    if batch.dtype == torch.uint8:
        scaled = scale(batch)
        images = scaled.to(next(network.parameters(), scaled).dtype)
    with tapped(network, names) as outputs:
        try:
            network(images)
        except InputError:
            raise
        except Exception as error:  # whatever the network raises
            reason = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
            raise InputError(
                f"the network fails on images that are {kind_of(batch)} ({reason}); needed are {INPUTS}"
            ) from error
    count = len(batch)
    for name in names:
        if name not in outputs:
            raise InputError(f"layers: the network does not use its module {name!r}; choose another")
        if outputs[name].ndim < 2 or len(outputs[name]) != count:
            raise InputError(
                f"layers: {name!r} puts out {kind_of(outputs[name])} for {count} images; needed is ({count}, F, …): "
                "set batch_first=True, or choose another"
            )
    return outputs


@contextmanager
def _evaluating(network: nn.Module, device: torch.device) -> Iterator[None]:
    """Have a network in eval mode on a device within the block; afterwards as it was, where its first weight was."""
    in_training = [module for module in network.modules() if module.training]
    before = next(network.parameters(), torch.empty(0)).device
    try:
        network.to(device).eval()
        yield
    finally:
        network.to(before)
        for module in in_training:
            module.training = True
