"""Layers whose outputs are averaged over positions: one number per filter and image."""

from collections.abc import Iterable, Sequence

from torch import Tensor, nn

from singlefilter.backbone.network import Tapped
from singlefilter.backbone.store import read_network
from singlefilter.pipeline.artifacts import Workspace
from singlefilter.pipeline.params import Backbone, LayerName, Params


def read_tapped(files: Workspace, params: Params, seed: int) -> Tapped:
    """Read a sample's network, whose layers put out spatial means if the run asks for them."""
    with files.read("backbone", seed=seed) as file:
        network = read_network(file)
    return Pooled(network) if params.features.pooled else network


class Pooled(nn.Module):
    """A network whose layers put out their means over positions, S = 1.

    Args:
        network: The network.
    """

    def __init__(self, network: Tapped):
        super().__init__()
        self.network = network

    @property
    def backbone(self) -> Backbone:
        """The network's row."""
        return self.network.backbone

    def layer_outputs(self, images: Tensor, layers: Sequence[LayerName]) -> dict[LayerName, Tensor]:
        """Give the means of some layers' outputs over positions, each float (N, F, 1, 1)."""
        return {
            layer: values.mean((2, 3), keepdim=True)
            for layer, values in self.network.layer_outputs(images, layers).items()
        }

    def output_shapes(self, layers: Iterable[LayerName]) -> dict[LayerName, tuple[int, int]]:
        """Give filters and positions, (F, 1), of some layers."""
        return {layer: (filters, 1) for layer, (filters, _) in self.network.output_shapes(layers).items()}

    def depth_and_costs(self, layer: LayerName) -> dict[str, float]:
        """Say where a layer is, and what an image costs up to there, with a head on the means."""
        return self.network.depth_and_costs(layer, positions=1)
