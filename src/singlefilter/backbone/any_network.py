"""A network that is no chain of convolutions: one of torchvision's, or of a user's own file, with its layers to tap."""

import copy
import re
from collections.abc import Iterable, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from singlefilter.backbone.layers import IMAGES, UNCLEAR, Layers, Place, WithoutMemory, find_layers, tapped
from singlefilter.backbone.modules import FAILURES, line_of_user, make_module
from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.params import NAMED_LAYER, Backbone, LayerName, near

# What torchvision's published weights were trained on: images in [0, 1], less the mean, over the deviation.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIZES = (32, 48, 64, 96, 112, 128, 160, 192, 224, 256, 299, 384, 512)  # tried for one that a network can take
SHOWN = 12  # names of layers in an error


class AnyNetwork(nn.Module):
    """A network of a row with `torchvision` or `module`; it puts out a field for each label.

    Args:
        backbone: The row.
        labels: The number of output labels, K. A last linear layer with another number of outputs is replaced.
        image_size: The height and width of the images, in pixels.

    Attributes:
        layers: What can be examined; see layers.find_layers.

    Raises:
        InputError: The row's network cannot be made, takes no images of this size, or puts out something else.
    """

    def __init__(self, backbone: Backbone, labels: int, image_size: int):
        super().__init__()
        self.backbone, self.labels, self.image_size = backbone, labels, image_size
        try:
            self.module = make_module(backbone, labels, image_size)
            _give_lazy_layers_their_shapes(self.module, image_size)
            self.layers = _layers_of(backbone, _copied(backbone, self.module), image_size)
        except InputError:
            raise
        except FAILURES as error:  # whatever the network raises
            raise InputError(_refusal(backbone, labels, image_size, error)) from error
        if self.layers.output_shape[1:] != (labels,):
            self._replace_output()
        mean, std = (IMAGENET_MEAN, IMAGENET_STD) if backbone.normalisation == "imagenet" else ((0.5,), (0.5,))
        # Images come in [-1, 1]: (x / 2 + 1 / 2 - mean) / std.
        self.register_buffer("gain", 0.5 / torch.tensor(std)[:, None, None], persistent=False)
        self.register_buffer("offset", ((0.5 - torch.tensor(mean)) / torch.tensor(std))[:, None, None], False)
        for weights in self.parameters():
            if weights.ndim == 4:
                weights.data = weights.data.contiguous(memory_format=torch.channels_last)

    @property
    def output_layer(self) -> nn.Module:
        """The last layer with weights, which has rates of its own."""
        return self.module.get_submodule(self.layers.output_layer)

    def depth_and_costs(self, layer: LayerName, positions: int | None = None) -> dict[str, float]:
        """Say where a layer is, and what an image's way up to there costs, as layers.csv has it.

        Args:
            layer: The layer.
            positions: Of its outputs that the head is on; by default all.
        """
        place, whole = self.place(layer), self.layers.multiply_accumulates
        positions = positions or place.positions
        costs = place.multiply_accumulates + place.filters * positions * self.labels
        shares = {"multiply_accumulates": costs, "multiply_accumulates_share": costs / max(whole, 1)}
        return {"depth": place.depth, "positions": positions, **shares}

    def weight_groups(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """Give the weights of all layers but the output layer, and those of the output layer."""
        last = [*self.output_layer.parameters()]
        return [weights for weights in self.parameters() if all(weights is not other for other in last)], last

    def output_shapes(self, layers: Iterable[LayerName]) -> dict[LayerName, tuple[int, int]]:
        """Give filters and positions, (F, S), of some layers."""
        places = {layer: self.place(layer) for layer in layers}
        return {layer: (place.filters, place.positions) for layer, place in places.items()}

    def forward(self, images: Tensor) -> Tensor:
        """Give the output fields, float (N, K), for images float (N, 3, H, W) in [-1, 1]."""
        return self.module(images * self.gain + self.offset)

    def layer_outputs(self, images: Tensor, layers: Sequence[LayerName]) -> dict[LayerName, Tensor]:
        """Give the outputs of some layers; what comes after the last of them is not computed.

        Args:
            images: float (N, 3, H, W) in [-1, 1].
            layers: Their names or numbers.

        Returns:
            For each layer its output, float (N, F, H, W); of tokens (N, F, T, 1).
        """
        places = [self.place(layer) for layer in layers]
        with tapped(self.module, {place.name for place in places}, to_the_last=False) as outputs:
            self(images)
        missed = [place.name for place in places if place.name not in outputs]
        if missed:
            raise InputError(
                f"examined_layers: {missed[0]!r} is passed by when the network is evaluated; examine the module "
                "around it"
            )
        for name, output in outputs.items():
            if len(output) != len(images):  # more than find_layers passes, and so not the tokens by chance
                raise InputError(
                    f"examined_layers: {name!r} puts out {_shape_text(output.shape)} for {len(images)} images; needed "
                    f"is ({len(images)}, F, …): set batch_first=True, or examine another module"
                )
        return {layer: _as_picture(outputs[place.name]) for layer, place in zip(layers, places, strict=True)}

    def place(self, layer: LayerName) -> Place:
        """Give the place of a layer in the network.

        Raises:
            InputError: There is no such layer, or its filters cannot be told from its columns.
        """
        places = self.layers.places
        by_number = isinstance(layer, int) and layer <= len(places)
        found = [*places.values()][layer - 1] if by_number else places.get(layer)
        if found and found.name in self.layers.unclear:
            raise InputError(f"examined_layers: {found.name!r} {UNCLEAR}")
        if found:
            return found
        if layer in self.layers.repeated:
            raise InputError(
                f"examined_layers: {layer!r} is called more than once in a pass, so that it has no output of its own; "
                "examine the module around it"
            )
        names = ", ".join([name for name in places if re.fullmatch(NAMED_LAYER, name)][-SHOWN:])
        by_name = f", and names, the last of which are {names}" if names else ""
        raise InputError(
            f"examined_layers: the network has no layer {layer!r}; {near(str(layer), places)}allowed are 1 to "
            f"{len(places)}{by_name}; python -m stages.list_layers lists all"
        )

    def require_layers(self, layers: Sequence[LayerName]) -> None:
        """Check that the network has some layers, in this order.

        Raises:
            InputError: It has not.
        """
        given = [self.place(layer) for layer in layers]
        in_order = sorted(given, key=lambda place: place.number)
        if given != in_order:
            raise InputError(
                f"examined_layers: {', '.join(place.name for place in given)} are not in the network's order, "
                f"{', '.join(place.name for place in in_order)}"
            )

    def _replace_output(self) -> None:
        """Put a new last linear layer in place of one with another number of outputs."""
        name, old = self.layers.output_layer, self.output_layer
        shape = self.layers.output_shape
        if not shape:
            raise InputError(
                f"{network_name(self.backbone)}: puts out no tensor; needed are fields, (N, {self.labels}), for N "
                "images"
            )
        if isinstance(old, nn.Linear) and shape[1:] == (old.out_features,):
            new: nn.Module = nn.Linear(old.in_features, self.labels, bias=old.bias is not None)
        elif isinstance(old, nn.Conv2d) and shape[1:] == (old.out_channels,) and old.kernel_size == (1, 1):
            new = nn.Conv2d(old.in_channels, self.labels, 1, bias=old.bias is not None)
        else:
            raise InputError(
                f"{network_name(self.backbone)}: puts out {_shape_text(shape[1:])} per image; needed is "
                f"({self.labels},), a field for each label: end it with a linear layer"
            )
        self.module.set_submodule(name, new)
        try:
            self.layers = _layers_of(self.backbone, _copied(self.backbone, self.module), self.image_size)
        except FAILURES as error:
            raise InputError(
                f"{network_name(self.backbone)}: fails once {name!r} puts out a field for each of {self.labels} labels "
                f"instead of {shape[1]} ({first_line(error)}); end it with a linear layer"
            ) from error


def network_name(backbone: Backbone) -> str:
    """Name what a row's network is made from, such as resnet18."""
    return str(backbone.torchvision or backbone.module or "convolutions")


def _as_picture(output: Tensor) -> Tensor:
    """Bring an output (N, F), (N, F, T) or (N, F, …) to (N, F, H, W); what has fewer axes gets axes of one."""
    while output.ndim < 4:
        output = output[..., None]
    return output.flatten(3) if output.ndim > 4 else output  # (N, F, H, W, …) -> (N, F, H, W * …)


@torch.no_grad()
def _give_lazy_layers_their_shapes(module: nn.Module, image_size: int) -> None:
    """Pass grey images through a network with layers such as nn.LazyLinear, which take their shapes from them."""
    if any(map(is_lazy, [*module.parameters(), *module.buffers()])):
        module.eval()(torch.zeros(IMAGES, 3, image_size, image_size))
    for name, values in [*module.named_parameters(), *module.named_buffers()]:
        if is_lazy(values):
            raise InputError(f"{name} gets no shape, since images do not pass through it; leave it out")


def _copied(backbone: Backbone, module: nn.Module) -> nn.Module:
    """Copy a network, so that finding its layers changes nothing in it."""
    try:
        return copy.deepcopy(module)
    except FAILURES as error:
        raise InputError(
            f"{network_name(backbone)}: cannot be copied ({first_line(error)}); let its attributes be modules, "
            "parameters, buffers and plain values, and weights be normalised by torch.nn.utils.parametrizations"
        ) from error


def _layers_of(backbone: Backbone, module: nn.Module, image_size: int) -> Layers:
    """Find the layers of a copy of a network: torchvision's need no values, a user's may look at them."""
    return find_layers(module.to("meta") if backbone.torchvision else module, image_size)


def _refusal(backbone: Backbone, labels: int, image_size: int, error: BaseException) -> str:
    """Say why a network takes no images of a size, and which it takes."""
    what = f"{network_name(backbone)}: takes no images of {image_size} pixels ({first_line(error)})"
    for size in SIZES:
        try:
            with WithoutMemory() if backbone.torchvision else nullcontext():
                network = make_module(backbone, labels, size)
            _layers_of(backbone, network, size)
        except FAILURES:
            continue
        return f"{what}; it takes {size}: write image_size: {size} into the row of datasets"
    return (
        f"{network_name(backbone)}: fails on images ({IMAGES}, 3, {image_size}, {image_size}), and of other sizes "
        f"({first_line(error)}); fix it"
    )


def first_line(error: BaseException) -> str:
    """Name an error, where in a user's file it came up, and the first line of what it says."""
    return f"{type(error).__name__}{line_of_user(error)}: {(str(error).splitlines() or [''])[0]}"


def _shape_text(shape: Sequence[object]) -> str:
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
