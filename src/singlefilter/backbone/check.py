"""Checks of a row with `torchvision` or `module`, before a stage runs."""

from contextlib import nullcontext

from singlefilter.backbone.any_network import AnyNetwork
from singlefilter.backbone.layers import WithoutMemory
from singlefilter.backbone.weights import load_weights
from singlefilter.pipeline.params import Params, WeightsFile

LABELS = 2  # the data set's are not known yet


def check_network(params: Params) -> None:
    """Check that the chosen network can be built for the images, has the examined layers, and gets its weights.

    Weights that torchvision publishes are not downloaded yet.

    Raises:
        InputError: One of these is not so.
    """
    row = params.chosen_arch.backbone
    from_file = isinstance(row.weights, WeightsFile)
    with nullcontext() if from_file or row.module else WithoutMemory():
        network = AnyNetwork(row, LABELS, params.chosen_dataset.image_size)
    network.require_layers(params.chosen_arch.examined_layers)
    if from_file:
        load_weights(network)
