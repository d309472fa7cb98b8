"""A row of catalog.yaml's archs in numbers: the sizes and costs of its layers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from singlefilter.pipeline.params import POOLS, Backbone

KERNEL_WEIGHTS = 9  # weights of a 3x3 convolution, for each input channel and filter
COLOURS = 3  # channels of an image


@dataclass(frozen=True)
class LayerShape:
    """A convolutional layer and the pools that follow it, if any.

    Attributes:
        number: Counted from 1.
        channels: Of its input.
        filters: F.
        side: Height and width of its output before any pool, in positions.
        pools: The names of the pools in the convolution list.
        pooled_side: Height and width after them; what follows sees F * pooled_side² outputs.
    """

    number: int
    channels: int
    filters: int
    side: int
    pools: tuple[str, ...]
    pooled_side: int

    @property
    def outputs(self) -> int:
        """The number of outputs after the pools, F * S."""
        return self.filters * self.pooled_side**2


def layer_shapes(convolutions: Sequence[int | str], image_size: int) -> list[LayerShape]:
    """List the convolutional layers of a network (Figs. 1A, 7A, 8A).

    Args:
        convolutions: As in catalog.yaml; the pools named there follow a layer.
        image_size: Height and width of the images, in pixels.
    """
    shapes: list[LayerShape] = []
    channels, side = COLOURS, image_size
    for item in convolutions:
        if item in POOLS:
            side //= POOLS[item]
            shapes[-1] = replace(shapes[-1], pools=(*shapes[-1].pools, item), pooled_side=side)
        else:
            shapes.append(LayerShape(len(shapes) + 1, channels, item, side, (), side))
            channels = item
    return shapes


def multiply_accumulates(
    backbone: Backbone, label_count: int, image_size: int, pooled: bool = False
) -> tuple[list[int], int]:
    """Count the multiply-accumulates of one image's forward pass (Discussion; method, section 6).

    Batch-norm, biases and pools are left out: they fold into the convolutions or cost next to nothing.

    Args:
        backbone: The row of the table.
        label_count: K.
        image_size: Height and width of the images, in pixels.
        pooled: Whether heads are on means over positions.

    Returns:
        For each layer those of the network cut after it, with a head on it in place of all that follows; and those of
        the whole network.
    """
    shapes = layer_shapes(backbone.convolutions, image_size)
    convolutional = 0
    cut = []
    for shape in shapes:
        convolutional += KERNEL_WEIGHTS * shape.channels * shape.filters * shape.side**2
        cut.append(convolutional + (shape.filters if pooled else shape.outputs) * label_count)
    widths = [shapes[-1].outputs, *backbone.fully_connected, label_count]
    return cut, convolutional + sum(inputs * outputs for inputs, outputs in zip(widths, widths[1:], strict=False))
