"""Checks of a row with `torchvision` or `module`, before a stage runs."""

from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor

from singlefilter.backbone.any_network import AnyNetwork, first_line, network_name
from singlefilter.backbone.layers import IMAGES, WithoutMemory
from singlefilter.backbone.modules import FAILURES
from singlefilter.backbone.weights import load_weights, published_address
from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.params import Arch, LayerName, Params, WeightsFile


def check_network(params: Params, labels: int) -> None:
    """Check that the chosen network can be built for the images, has the examined layers, and gets its weights.

    Weights that torchvision publishes are not downloaded yet.

    Args:
        params: The run's parameters.
        labels: How many the data set has.

    Raises:
        InputError: One of these is not so.
    """
    try:
        _check(params.chosen_arch, labels, params.chosen_dataset.image_size)
    except InputError as error:
        raise InputError(f"catalog.yaml: archs.{params.arch}: {error}") from error


def _check(arch: Arch, labels: int, image_size: int) -> None:
    row = arch.backbone
    from_file = isinstance(row.weights, WeightsFile)
    with nullcontext() if from_file or row.module else WithoutMemory():
        network = AnyNetwork(row, labels, image_size)
    network.require_layers(arch.examined_layers)
    if from_file:
        load_weights(network)
    elif row.weights not in (None, "random"):
        published_address(network, row.weights)
    if row.module:
        _check_layers(network, arch.examined_layers)
        _check_storing(network)
        if row.epochs:
            _check_training(network)
        _check_rebuilding(network)


@torch.no_grad()
def _check_layers(network: AnyNetwork, layers: Sequence[LayerName]) -> None:
    """Pass grey images through a user's network as extract_features does, more of them than when it was built."""
    images = torch.zeros(IMAGES + 1, 3, network.image_size, network.image_size)
    try:
        network.eval().layer_outputs(images, layers)
    except InputError:
        raise
    except FAILURES as error:  # whatever the network raises
        raise InputError(
            f"{network_name(network.backbone)}: fails on {len(images)} images ({first_line(error)}); fix it"
        ) from error


def _check_storing(network: AnyNetwork) -> None:
    """Check that a user's network can be stored once it is trained."""
    for name, values in network.state_dict().items():
        try:
            values.numpy()
        except (AttributeError, RuntimeError, TypeError) as error:  # no tensor, or none that NumPy knows
            found = f"a tensor of {values.dtype}" if isinstance(values, Tensor) else type(values).__name__
            raise InputError(
                f"{network_name(network.backbone)}: {name.removeprefix('module.')!r} in its state_dict() is {found}, "
                "which cannot be stored; make it a dense tensor of float32, or leave it out"
            ) from error


@torch.no_grad()
def _check_rebuilding(network: AnyNetwork) -> None:
    """Check that a user's network computes the same once later stages have built it again from its weights."""
    name, size = network_name(network.backbone), network.image_size
    images = torch.linspace(-1, 1, IMAGES * 3 * size**2).view(IMAGES, 3, size, size)
    with torch.random.fork_rng([]):
        torch.manual_seed(1)
        again = AnyNetwork(network.backbone, network.labels, size)
    try:
        fields, second = network.eval()(images), network(images)
    except FAILURES as error:  # whatever the network raises
        raise InputError(f"{name}: fails on some images ({first_line(error)}); fix it") from error
    try:
        state = network.state_dict()
        again.load_state_dict({key: state[key] for key in again.state_dict()})  # as store.read_network does
        rebuilt = again.eval()(images)
    except FAILURES as error:  # whatever the network raises
        raise InputError(
            f"{name}: fails once it is built again from its weights ({first_line(error)}); fix it"
        ) from error
    if not torch.equal(fields.nan_to_num(), second.nan_to_num()):
        raise InputError(f"{name}: puts out something else in each pass, though in eval mode; fix it")
    if not torch.allclose(fields, rebuilt, rtol=1e-3, atol=1e-5, equal_nan=True):
        raise InputError(
            f"{name}: puts out something else once it is built again from its state_dict(); register what it draws, "
            "or learns, as a parameter or a persistent buffer"
        )


def _check_training(network: AnyNetwork) -> None:
    """Pass grey images through a network of the user's as training does, where it may put out something else."""
    what = f"{network_name(network.backbone)}: in training mode it"
    try:
        fields = network.train()(torch.zeros(IMAGES, 3, network.image_size, network.image_size))
    except FAILURES as error:  # whatever the network raises
        raise InputError(f"{what} fails ({first_line(error)}); fix it, or set epochs: 0") from error
    if not isinstance(fields, Tensor) or fields.shape != (IMAGES, network.labels):
        found = tuple(fields.shape) if isinstance(fields, Tensor) else type(fields).__name__
        raise InputError(
            f"{what} puts out {found}, where {(IMAGES, network.labels)}, a field for each of {IMAGES} images and "
            f"{network.labels} labels, is needed; fix it, or set epochs: 0"
        )
    if not fields.requires_grad:
        raise InputError(
            f"{what} puts out fields that no weight with requires_grad changes; let some be trained, or set epochs: 0"
        )
