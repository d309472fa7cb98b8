"""A 3x3 convolution that is quick on small maps, too, where libraries for processors multiply mostly padding."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.grad import conv2d_input

from singlefilter.training.matmul import linear

KERNEL = 3  # height and width; row and column of a weight, less 1, say where its input lies from the output
# Heights of maps, as measured on an EPYC with AVX512-BF16 (python -m tests.benchmarks convolutions). Fixed, and not
# chosen where it runs: the ways differ in rounding.
LARGEST_BY_MATRIX = 2
LARGEST_IN_PLANES = 4


class Convolution(nn.Conv2d):
    """A 3x3 convolution with a padding of 1, of tensors that have channels last in memory.

    On a processor, small maps take ways of their own: there every weight meets only some of the positions, 16 of 36 on
    maps of 2x2.

    Args:
        channels: Of its input, C.
        filters: F.
    """

    def __init__(self, channels: int, filters: int):
        super().__init__(channels, filters, KERNEL, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """Give the fields, float (N, F, H, W), of float (N, C, H, W)."""
        side = max(images.shape[2:])
        if images.device.type != "cpu" or side > LARGEST_IN_PLANES:
            return super().forward(images)
        if torch.is_autocast_enabled("cpu"):
            images = images.to(torch.get_autocast_dtype("cpu"))
        way = _ByMatrix if side <= LARGEST_BY_MATRIX else _InPlanes
        return way.apply(images, self.weight, self.bias)


class _ByMatrix(torch.autograd.Function):
    """The convolution as one product with a matrix from all inputs to all outputs."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        matrix = _matrix(weight.to(images.dtype), *images.shape[2:])
        ctx.save_for_backward(images, matrix)
        fields = linear(_rows(images), matrix)  # (N, H * W * C) @ (H * W * C, H * W * F)
        return _maps(fields, images).add_(bias[:, None, None])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        images, matrix = ctx.saved_tensors
        of_images = linear(_rows(gradient), matrix.T)  # (N, H * W * F) @ (H * W * F, H * W * C)
        return _maps(of_images, images), _gradient_of_weight(gradient, images), gradient.sum((0, 2, 3))


class _InPlanes(torch.autograd.Function):
    """The convolution of planes, whose layout oneDNN changes into blocks of its own."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        planes = weight.to(images.dtype, memory_format=torch.contiguous_format)
        ctx.save_for_backward(images, planes)
        fields = nn.functional.conv2d(images.contiguous(), planes, bias.to(images.dtype), padding=1)
        return fields.contiguous(memory_format=torch.channels_last)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        images, planes = ctx.saved_tensors
        of_images = conv2d_input(images.shape, planes, gradient.contiguous(), padding=1)
        of_images = of_images.contiguous(memory_format=torch.channels_last)
        return of_images, _gradient_of_weight(gradient, images), gradient.sum((0, 2, 3))


def _gradient_of_weight(gradient: Tensor, images: Tensor) -> Tensor:
    """Give the gradient with respect to the weights: for each of the nine a product over the positions it meets.

    Args:
        gradient: The gradient with respect to the outputs, (N, F, H, W).
        images: (N, C, H, W).

    Returns:
        float32 (F, C, 3, 3), with channels last in memory.
    """
    filters, channels = gradient.shape[1], images.shape[1]
    height, width = images.shape[2:]
    gradient, images = gradient.permute(0, 2, 3, 1), images.permute(0, 2, 3, 1)  # (N, H, W, F) and (N, H, W, C)
    result = torch.zeros(filters, KERNEL, KERNEL, channels, dtype=torch.promote_types(gradient.dtype, torch.float32))
    for row in range(KERNEL):
        outputs, inputs = _met(row - 1, height)
        for column in range(KERNEL):
            outputs_across, inputs_across = _met(column - 1, width)
            left = gradient[:, outputs, outputs_across].flatten(0, 2).contiguous()  # (N * h * w, F)
            right = images[:, inputs, inputs_across].flatten(0, 2).contiguous()  # (N * h * w, C)
            if len(left):
                result[:, row, column] = linear(left.T, right.T)  # (F, N * h * w) @ (N * h * w, C)
    return result.permute(0, 3, 1, 2)


def _met(offset: int, side: int) -> tuple[slice, slice]:
    """Give which outputs along an axis have an input at an offset of -1, 0 or 1, and which inputs those are."""
    return slice(max(0, -offset), side - max(0, offset)), slice(max(0, offset), side - max(0, -offset))


def _matrix(weight: Tensor, height: int, width: int) -> Tensor:
    """Give weights (F, C, 3, 3) as a matrix (H * W * F, H * W * C) of all outputs by all inputs, H and W at most 2."""
    filters, channels = weight.shape[:2]
    weight = weight.permute(0, 2, 3, 1)  # (F, 3, 3, C)
    matrix = weight.new_empty(height, width, filters, height, width, channels)
    for row in range(height):
        for column in range(width):
            matrix[row, column] = weight[:, 1 - row : 1 - row + height, 1 - column : 1 - column + width]
    # (H, W, F, H, W, C) -> (H * W * F, H * W * C)
    return matrix.view(height * width * filters, height * width * channels)


def _rows(maps: Tensor) -> Tensor:
    return maps.permute(0, 2, 3, 1).flatten(1)  # (N, F, H, W) -> (N, H * W * F)


def _maps(rows: Tensor, like: Tensor) -> Tensor:
    return rows.view(len(rows), *like.shape[2:], -1).permute(0, 3, 1, 2)  # (N, H * W * F) -> (N, F, H, W)
