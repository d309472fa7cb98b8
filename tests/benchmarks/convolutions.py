"""Each convolution of a training step alone: by PyTorch's in both of its layouts, and by ours."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import nn

from singlefilter.backbone.convolution import Convolution
from singlefilter.pipeline.architecture import LayerShape, layer_shapes
from singlefilter.training.device import autocast
from tests.benchmarks.harness import Options, params_of, precision_here, run, seconds_text, show, table, time_in_turn
from tests.benchmarks.synthetic import IMAGE_SIZE

ARCHS = ("vgg6", "vgg16", "avgg16")
CPU = torch.device("cpu")
LIBRARY = {"channels last": torch.channels_last, "planes": torch.contiguous_format}
HEADINGS = ("map", "channels → filters", *LIBRARY, "ours")
NOTES = (
    "A convolution forward, and backward to images and weights, for 100 images: PyTorch's with channels last and "
    "without, and ours, which has channels last and takes the quicker way itself. Medians."
)


def library_ways(shape: LayerShape, precision: str, batch: int) -> dict[str, Callable[[], None]]:
    """Give PyTorch's convolution of a layer, forward and backward, by layout."""
    return {
        name: _way(nn.Conv2d(shape.channels, shape.filters, 3, padding=1), shape, precision, batch, layout)
        for name, layout in LIBRARY.items()
    }


def convolutions_alone(arch: str, precision: str) -> Callable[[], None]:
    """Give all convolutions of a network's step, each by PyTorch in its quicker layout."""
    backbone = params_of(arch).chosen_arch.backbone
    quickest = []
    for shape in layer_shapes(backbone.convolutions, IMAGE_SIZE):
        ways = library_ways(shape, precision, backbone.batch_size)
        seconds = time_in_turn(ways, 2)
        quickest.append(ways[min(ways, key=lambda name: seconds[name].min())])

    def all_of_them() -> None:
        for way in quickest:
            way()

    return all_of_them


def _way(
    convolution: nn.Conv2d, shape: LayerShape, precision: str, batch: int, layout: torch.memory_format
) -> Callable[[], None]:
    convolution.to(memory_format=layout)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    images, slopes = (
        torch.randn(batch, channels, shape.side, shape.side).to(dtype, memory_format=layout)
        for channels in (shape.channels, shape.filters)
    )
    images.requires_grad_(shape.number > 1)

    def forward_and_backward() -> None:
        convolution.weight.grad = images.grad = None
        with autocast(CPU, precision):
            fields = convolution(images)
        fields.backward(slopes)

    return forward_and_backward


def row(shape: LayerShape, seconds: Mapping[str, np.ndarray]) -> list[str]:
    times = [seconds_text(float(np.median(values))) for values in seconds.values()]
    return [f"{shape.side}×{shape.side}", f"{shape.channels} → {shape.filters}", *times]


def report(options: Options) -> None:
    precision, batch = precision_here(CPU), 4 if options.quick else 100
    kinds: dict[tuple[int, int, int], LayerShape] = {}
    for arch in ARCHS[: 1 if options.quick else len(ARCHS)]:
        for shape in layer_shapes(params_of(arch).chosen_arch.backbone.convolutions, IMAGE_SIZE):
            kinds.setdefault((shape.side, shape.channels, shape.filters), shape)
    rows = []
    for shape in kinds.values():
        ways = library_ways(shape, precision, batch)
        ours = _way(Convolution(shape.channels, shape.filters), shape, precision, batch, torch.channels_last)
        rows.append(row(shape, time_in_turn(ways | {"ours": ours}, options.times(5))))
    show(f"Convolutions, {precision}", NOTES, table(HEADINGS, rows))


if __name__ == "__main__":
    run(report)
