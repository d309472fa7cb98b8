"""A row of catalog.yaml's archs as a network, with its layers to tap; the paper's are chains of convolutions."""

from collections.abc import Iterable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from singlefilter.backbone.convolution import Convolution
from singlefilter.backbone.module_code import require_listed_code
from singlefilter.pipeline.architecture import LayerShape, layer_shapes
from singlefilter.pipeline.params import POOLS, Backbone, LayerName


class Tapped(Protocol):
    """What is asked of a frozen network whose layers are examined, beside being an nn.Module.

    Attributes:
        backbone: Its row of archs.
    """

    backbone: Backbone

    def layer_outputs(self, images: Tensor, layers: Sequence[LayerName]) -> dict[LayerName, Tensor]:
        """Give the outputs of some layers, each float (N, F, H, W), for images float (N, 3, H, W) in [-1, 1]."""

    def output_shapes(self, layers: Iterable[LayerName]) -> dict[LayerName, tuple[int, int]]:
        """Give filters and positions, (F, S), of some layers."""


class Trainable(Tapped, Protocol):
    """What is asked of a network that is trained: a Network or an AnyNetwork.

    Attributes:
        labels: The number of output labels, K.
        image_size: Height and width of the images, in pixels.
        output_layer: The last layer with weights.
    """

    labels: int
    image_size: int
    output_layer: nn.Module

    def weight_groups(self) -> tuple[Iterable[nn.Parameter], Iterable[nn.Parameter]]:
        """Give the weights in two groups: of convolutional_rates, and of fully_connected_rates."""


def build_network(backbone: Backbone, labels: int, image_size: int) -> Trainable:
    """Build the network of a row, a Network or an AnyNetwork, with weights drawn from PyTorch's generator.

    Args:
        backbone: The row.
        labels: The number of output labels, K.
        image_size: Height and width of the images, in pixels.

    Raises:
        InputError: The row's network cannot be built for these images, or networks/ has changed since check_params.
    """
    if backbone.is_chain:
        return Network(backbone, labels, image_size)
    if backbone.module:
        require_listed_code()
    from singlefilter.backbone.any_network import AnyNetwork  # and with it torchvision, which takes a second

    return AnyNetwork(backbone, labels, image_size)


class Network(nn.Module):
    """A chain of convolutional layers and a classifier (paper, Figs. 1A, 7A, 8A).

    A layer is a 3x3 convolution, batch-norm, ReLU and the pool that follows, if any.

    Args:
        backbone: The row of the table.
        labels: The number of output labels, K.
        image_size: The height and width of the images, in pixels.
    """

    def __init__(self, backbone: Backbone, labels: int, image_size: int):
        super().__init__()
        self.backbone, self.labels, self.image_size = backbone, labels, image_size
        shapes = layer_shapes(backbone.convolutions, image_size)
        self.layers = nn.ModuleList(map(_convolutional_layer, shapes))
        self.classifier = _classifier(shapes[-1].outputs, backbone, labels)
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        """Give the output fields, float (N, K), for images float (N, 3, H, W) in [-1, 1]."""
        for layer in self.layers:
            images = layer(images)
        return self.classifier(images.flatten(1))  # (N, F, H, W) -> (N, F * H * W) -> (N, K)

    @property
    def output_layer(self) -> nn.Linear:
        """The last fully connected layer."""
        return self.classifier[-1]

    def weight_groups(self) -> tuple[Iterable[nn.Parameter], Iterable[nn.Parameter]]:
        """Give the weights of the convolutional and those of the fully connected layers."""
        return self.layers.parameters(), self.classifier.parameters()

    def output_shapes(self, layers: Iterable[int]) -> dict[int, tuple[int, int]]:
        """Give filters and positions, (F, S), of some layers."""
        shapes = layer_shapes(self.backbone.convolutions, self.image_size)
        return {layer: (shapes[layer - 1].filters, shapes[layer - 1].pooled_side ** 2) for layer in layers}

    def layer_outputs(self, images: Tensor, layers: Sequence[int]) -> dict[int, Tensor]:
        """Give the outputs of some layers, after the pool where one follows.

        Args:
            images: float (N, 3, H, W) in [-1, 1].
            layers: Their numbers, counted from 1.

        Returns:
            For each layer its output, float (N, F, H, W).
        """
        outputs = {}
        for number, layer in enumerate(self.layers[: max(layers)], start=1):
            images = layer(images)
            if number in layers:
                outputs[number] = images
        return outputs


def _convolutional_layer(shape: LayerShape) -> nn.Sequential:
    layer = nn.Sequential(Convolution(shape.channels, shape.filters), nn.BatchNorm2d(shape.filters))
    pools = [(nn.MaxPool2d if name == "M" else nn.AvgPool2d)(POOLS[name]) for name in shape.pools]
    # The largest of some fields, after ReLU, is ReLU of the largest: the same numbers of a quarter of the fields.
    after = next((place for place, name in enumerate(shape.pools) if name != "M"), len(pools))
    return layer.extend([*pools[:after], nn.ReLU(inplace=True), *pools[after:]])


def _classifier(inputs: int, backbone: Backbone, labels: int) -> nn.Sequential:
    classifier = nn.Sequential()
    for width in backbone.fully_connected:
        classifier.append(nn.Linear(inputs, width))
        if backbone.activation == "relu":
            classifier.append(nn.ReLU(inplace=True))
        inputs = width
    return classifier.append(nn.Linear(inputs, labels, bias=backbone.output_bias))
