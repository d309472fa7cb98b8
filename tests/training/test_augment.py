import itertools

import pytest
import torch
import torchvision.transforms.v2.functional as reference
from torch import Tensor

from singlefilter.training.augment import augment, scale


def pixels(count: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, height, width, 3), dtype=torch.uint8, generator=generator)


def torchvision_view(image: Tensor, flip: bool, down: int, right: int) -> Tensor:
    """One image (H, W, C), flipped, padded with mid grey, and cropped `down` and `right` of its own corner."""
    height, width, _ = image.shape
    view = image.permute(2, 0, 1).float() / 255 * 2 - 1  # (C, H, W)
    view = reference.horizontal_flip(view) if flip else view
    padding = max(abs(down), abs(right))
    padded = reference.pad(view, [padding] * 4, fill=0)
    return reference.crop(padded, padding + down, padding + right, height, width)


@pytest.mark.parametrize("height, width", [(32, 32), (7, 12), (12, 7)])
def test_every_flip_and_shift_is_torchvisions_flip_pad_and_crop(height, width):
    cases = list(itertools.product((False, True), range(-4, 5), range(-4, 5)))
    images = pixels(len(cases), height, width)
    flips = torch.tensor([flip for flip, _, _ in cases])
    shifts = torch.tensor([[down, right] for _, down, right in cases])
    expected = torch.stack([torchvision_view(image, *case) for image, case in zip(images, cases, strict=True)])
    assert torch.equal(augment(images, flips, shifts), expected)


@pytest.mark.parametrize("shift", [(5, 0), (-5, 0), (0, 5), (0, -5), (5, -5), (9, 9)])
def test_shift_may_reach_beyond_the_image(shift):
    images = pixels(2, 6, 6)
    flips = torch.tensor([False, True])
    expected = [torchvision_view(image, flip, *shift) for image, flip in zip(images, (False, True), strict=True)]
    assert torch.equal(augment(images, flips, torch.tensor([shift, shift])), torch.stack(expected))


def test_shift_down_and_right_shows_what_lies_there_and_mid_grey_beyond():
    images = torch.tensor([[0, 51], [102, 255]], dtype=torch.uint8)[None, :, :, None]  # (1, 2, 2, 1)
    shifted = augment(images, torch.tensor([False]), torch.tensor([[1, 0]]))
    assert torch.allclose(shifted, torch.tensor([[[[-0.2, 1.0], [0.0, 0.0]]]]))
    flipped = augment(images, torch.tensor([True]), torch.tensor([[0, 1]]))
    assert torch.allclose(flipped, torch.tensor([[[[-1.0, 0.0], [-0.2, 0.0]]]]))


def test_neither_flip_nor_shift_is_scaling_alone():
    images = pixels(3, 8, 5)
    plain = augment(images, torch.zeros(3, dtype=torch.bool), torch.zeros(3, 2, dtype=torch.int64))
    assert torch.equal(plain, scale(images))


def test_scaled_pixels_reach_from_minus_1_to_1():
    levels = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1)
    scaled = scale(levels).flatten()
    assert (scaled[0], scaled[255]) == (-1, 1)
    assert scaled.double().numpy() == pytest.approx([level / 127.5 - 1 for level in range(256)], abs=1e-6)


@pytest.mark.parametrize("augmented", [False, True])
def test_input_has_its_channels_last_in_memory_and_leaves_the_pixels_alone(augmented):
    images = pixels(4, 6, 8)
    before = images.clone()
    flips = torch.tensor([True, False, True, False])
    inputs = augment(images, flips, torch.ones(4, 2, dtype=torch.int64)) if augmented else scale(images)
    assert (inputs.shape, inputs.dtype) == ((4, 3, 6, 8), torch.float32)
    assert inputs.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(images, before)
