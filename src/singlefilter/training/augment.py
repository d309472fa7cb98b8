"""From stored pixels to a network's input: scaled, and in training flipped and translated."""

import torch
from torch import Tensor


def scale(images: Tensor) -> Tensor:
    """Bring pixels to [-1, 1] (SI, Data preprocessing).

    Args:
        images: Pixels, uint8 (N, H, W, C).

    Returns:
        The network's input, float32 (N, C, H, W), stored with the channels last.
    """
    return (images.float() / 255 * 2 - 1).permute(0, 3, 1, 2)


def augment(images: Tensor, flips: Tensor, shifts: Tensor) -> Tensor:
    """Scale, then flip horizontally, then translate, with 0, mid grey, coming in from outside (SI, Data preprocessing).

    Args:
        images: Pixels, uint8 (N, H, W, C).
        flips: Which images are mirrored, bool (N,).
        shifts: Where the window lies, in pixels down and right of the image's corner, int64 (N, 2).

    Returns:
        The network's input, float32 (N, C, H, W), stored with the channels last.
    """
    count, height, width, _ = images.shape
    rows = shifts[:, :1] + torch.arange(height, device=images.device)  # (N, H)
    columns = shifts[:, 1:] + torch.arange(width, device=images.device)  # (N, W)
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]  # (N, H, W)
    columns = torch.where(flips[:, None], width - 1 - columns, columns)
    image = torch.arange(count, device=images.device)[:, None, None]
    moved = images[image, rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None, :]]
    return scale(moved) * inside[:, None]  # (N, C, H, W)
