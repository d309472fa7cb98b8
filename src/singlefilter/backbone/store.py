"""The format of models/backbone/seed*.h5."""

import h5py
import torch

from singlefilter.backbone.network import Trainable, build_network
from singlefilter.pipeline.params import Backbone


def write_network(file: h5py.File, network: Trainable) -> None:
    """Write a network's weights under PyTorch's names, and as attributes what is needed to build it again."""
    file.attrs["backbone"] = network.backbone.model_dump_json()
    file.attrs["labels"] = network.labels
    file.attrs["image_size"] = network.image_size
    for name, tensor in network.state_dict().items():
        file[name] = tensor.cpu().contiguous().numpy()


def read_network(file: h5py.File) -> Trainable:
    """Build the network that write_network wrote; nothing in the file is executed."""
    backbone = Backbone.model_validate_json(file.attrs["backbone"])
    network = build_network(backbone, int(file.attrs["labels"]), int(file.attrs["image_size"]))
    network.load_state_dict({name: torch.as_tensor(file[name][()]) for name in network.state_dict()})
    return network
