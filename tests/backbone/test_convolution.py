"""The convolution's ways for small maps: against PyTorch's in float64."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from singlefilter.backbone.convolution import Convolution
from singlefilter.backbone.network import Network
from tests.backbone.test_network import small_backbone

SIDES = [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (1, 2), (2, 1), (4, 2)]


def drawn(*shape: int, seed: int) -> Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return values.contiguous(memory_format=torch.channels_last)


def found_and_exact(sides: tuple[int, int], precision: torch.dtype) -> list[tuple[Tensor, Tensor]]:
    """Give fields and the gradients of images, weights and biases, by Convolution and by conv2d in float64."""
    torch.manual_seed(0)
    convolution = Convolution(7, 5).to(memory_format=torch.channels_last)
    images, slopes = drawn(6, 7, *sides, seed=1).to(precision).requires_grad_(), drawn(6, 5, *sides, seed=2)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
        fields = convolution(images)
    assert fields.dtype == precision
    assert fields.is_contiguous(memory_format=torch.channels_last)
    fields.backward(slopes.to(precision))
    given = [values.detach().to(precision).double().requires_grad_() for values in (images, convolution.weight)]
    bias = convolution.bias.detach().double().requires_grad_()
    exact = functional.conv2d(*given, bias, padding=1)
    exact.backward(slopes.to(precision).double())
    return [
        (fields, exact),
        (images.grad, given[0].grad),
        (convolution.weight.grad, given[1].grad),
        (convolution.bias.grad, bias.grad),
    ]


@pytest.mark.parametrize("sides", SIDES)
def test_fields_and_gradients_equal_those_of_float64(sides):
    for found, exact in found_and_exact(sides, torch.float32):
        assert found.shape == exact.shape
        torch.testing.assert_close(found.double(), exact, rtol=0, atol=2e-5)


@pytest.mark.parametrize("sides", SIDES)
def test_in_bf16_they_differ_by_its_rounding(sides):
    for found, exact in found_and_exact(sides, torch.bfloat16):
        torch.testing.assert_close(found.double(), exact, rtol=2**-7, atol=2**-7 * exact.abs().max().item())


@pytest.mark.parametrize("sides", [(2, 2), (4, 4)])
def test_autocast_rounds_images_of_float32_first(sides):
    convolution, images = Convolution(7, 5), drawn(6, 7, *sides, seed=1)
    with torch.autocast("cpu", torch.bfloat16):
        fields, of_rounded = convolution(images), convolution(images.bfloat16())
    assert fields.dtype == torch.bfloat16
    assert torch.equal(fields, of_rounded)


def test_gradients_of_weights_lie_in_memory_as_the_weights_do():
    convolution = Convolution(3, 4).to(memory_format=torch.channels_last)
    convolution(drawn(2, 3, 2, 2, seed=0)).sum().backward()
    assert convolution.weight.grad.dtype == torch.float32
    assert convolution.weight.grad.stride() == convolution.weight.stride()


@pytest.mark.parametrize("pools", [("M",), ("A4",), ("M", "A4"), ("A4", "M"), ()])
def test_relu_after_a_max_pool_changes_no_number_and_no_gradient(pools):
    backbone = small_backbone(convolutions=(4, *pools))
    layer = Network(backbone, labels=2, image_size=8).layers[0]
    kinds = {"M": nn.MaxPool2d(2), "A4": nn.AvgPool2d(4)}
    before = nn.Sequential(layer[0], layer[1], nn.ReLU(), *map(kinds.get, pools))
    # Whole numbers, so that many fields are equal, and no bias or mean: batch-norm leaves them equal.
    images = drawn(20, 3, 8, 8, seed=0).round()
    layer[0].weight.data.copy_(drawn(4, 3, 3, 3, seed=1).round())
    layer[0].bias.data.zero_()
    gradients = []
    for way in (layer, before):
        images = images.detach().requires_grad_()
        outputs = way(images)
        outputs.backward(torch.arange(1.0, 1 + outputs.numel()).view(outputs.shape))
        gradients.append((outputs.detach(), images.grad))
    assert torch.equal(gradients[0][0], gradients[1][0])
    assert torch.equal(gradients[0][1], gradients[1][1])
