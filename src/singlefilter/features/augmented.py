"""Features of training images that are flipped and translated anew for each step; nothing of them is stored."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from singlefilter.backbone.network import Tapped
from singlefilter.pipeline.params import LayerName
from singlefilter.training.augment import augment
from singlefilter.training.device import autocast


class AugmentedFeatures:
    """What heads are trained on: each step's images through the frozen network, for all layers in one pass (SI).

    Args:
        network: The trained network; it is put on `device`, in eval mode.
        images: The training set, uint8 (N, H, W, 3), on `device`.
        layers: The examined layers, by their numbers, counted from 1, or their names.
        translation: The largest translation in pixels, either way on either axis.
        flip: Whether half of the images are mirrored.
        precision: bf16 or float32; that of the network's own training.
        device: Where to compute.

    Attributes:
        shapes: For each layer its (F, S).
    """

    def __init__(
        self,
        network: Tapped,
        images: Tensor,
        layers: Sequence[LayerName],
        translation: int,
        flip: bool,
        precision: str,
        device: torch.device,
    ):
        self.translation, self.flip, self.on_device = translation, flip, True
        self._network, self._images, self._layers = network.to(device).eval(), images, list(layers)
        self._precision, self._device = precision, device
        self.shapes = network.output_shapes(layers)

    def rows(self, index: Tensor, flips: Tensor, shifts: Tensor) -> Iterator[tuple[LayerName, Tensor]]:
        """Give a step's features by layer; see heads.train.Features."""
        for layer, values in self._outputs(index, flips, shifts).items():
            yield layer, values.float().flatten(1)  # (n, F, H, W) -> (n, F * S)

    @torch.no_grad()
    def _outputs(self, index: Tensor, flips: Tensor, shifts: Tensor) -> dict[LayerName, Tensor]:
        with autocast(self._device, self._precision):
            return self._network.layer_outputs(augment(self._images[index], flips, shifts), self._layers)
