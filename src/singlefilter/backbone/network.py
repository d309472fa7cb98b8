"""A row of params.yaml's architecture table as a network, with its layers to tap."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from singlefilter.pipeline.architecture import LayerShape, layer_shapes
from singlefilter.pipeline.errors import unusable
from singlefilter.pipeline.files import NOTHING, read_hdf5, write_hdf5
from singlefilter.pipeline.params import POOLS, Backbone


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


def save_network(path: Path, network: Network, images: str, made_with: Mapping[str, Any] = NOTHING) -> None:
    """Write a network's weights and what is needed to build it again, as HDF5.

    Args:
        path: The file.
        network: The network.
        images: The digest of the images that it was trained on.
        made_with: What else it was made with.
    """
    with write_hdf5(path, made_with) as file:
        file.attrs["images"] = images
        file.attrs["backbone"] = network.backbone.model_dump_json()
        file.attrs["labels"] = network.labels
        file.attrs["image_size"] = network.image_size
        for name, tensor in network.state_dict().items():
            file[name] = tensor.cpu().contiguous().numpy()


def load_network(path: Path, images: str, made_by: str, made_with: Mapping[str, Any] = NOTHING) -> Network:
    """Build the network that save_network wrote; nothing in the file is executed.

    Args:
        path: The file.
        images: The digest of the images that the network is to be used with.
        made_by: The stage that makes it, for the error's way out.
        made_with: What else it must have been made with.

    Raises:
        InputError: The file is missing, damaged, of another run, does not fit the network that it describes, or holds
            one that was trained on other images.
    """
    with read_hdf5(path, made_by, made_with) as file:
        try:
            backbone = Backbone.model_validate_json(file.attrs["backbone"])
            found = file.attrs["images"]
            network = Network(backbone, int(file.attrs["labels"]), int(file.attrs["image_size"]))
            state = {name: torch.as_tensor(file[name][()]) for name in network.state_dict()}
            network.load_state_dict(state)
        except (KeyError, ValueError, RuntimeError, TypeError) as error:
            raise unusable(path, f"holds no network of this project ({error})", made_by) from error
    if found != images:
        raise unusable(path, "holds a network that was trained on other images", made_by)
    return network


def _convolutional_layer(shape: LayerShape) -> nn.Sequential:
    convolution = nn.Conv2d(shape.channels, shape.filters, kernel_size=3, padding=1)
    layer = nn.Sequential(convolution, nn.BatchNorm2d(shape.filters), nn.ReLU(inplace=True))
    for name in shape.pools:
        pool = nn.MaxPool2d if name == "M" else nn.AvgPool2d
        layer.append(pool(POOLS[name]))
    return layer


def _classifier(inputs: int, backbone: Backbone, labels: int) -> nn.Sequential:
    classifier = nn.Sequential()
    for width in backbone.fully_connected:
        classifier.append(nn.Linear(inputs, width))
        if backbone.activation == "relu":
            classifier.append(nn.ReLU(inplace=True))
        inputs = width
    return classifier.append(nn.Linear(inputs, labels, bias=backbone.output_bias))
