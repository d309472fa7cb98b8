"""Which images come in which step: drawn anew for each epoch, the same on every device."""

import math

import numpy as np
import torch
from torch import Tensor


def draw_moves(
    generator: np.random.Generator, shape: tuple[int, ...], translation: int, flip: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Draw how images are moved (SI, Data preprocessing).

    Args:
        generator: Where the draws come from.
        shape: Of the images, such as (N,).
        translation: The largest translation in pixels, either way on either axis.
        flip: Whether half of the images are mirrored.

    Returns:
        Which images are mirrored, bool (*shape,), and where the window lies on each, in pixels down and right of its
        corner, int64 (*shape, 2).
    """
    flips = generator.random(shape) < 0.5 if flip else np.zeros(shape, dtype=bool)
    return flips, generator.integers(-translation, translation, endpoint=True, size=(*shape, 2))


class Batches:
    """Shuffled batches of equal size; the last one of an epoch is filled up from the epoch's first images.

    The draws of an epoch depend on the seed and the epoch alone, so a resumed run needs no random state. They wait on
    the device, with the number of the step, so that a step needs nothing from outside.

    Args:
        count: The number of images, N.
        size: The number of images of a batch, B.
        seed: The sample's seed.
        device: Where the steps run.
        translation: The largest translation in pixels, either way on either axis.
        flip: Whether half of the images are mirrored.
    """

    def __init__(
        self, count: int, size: int, seed: int, device: torch.device, translation: int = 0, flip: bool = False
    ):
        self.count, self.size, self.seed = count, size, seed
        self.translation, self.flip = translation, flip
        self.steps = math.ceil(count / size)
        self._images = torch.zeros(self.steps, size, dtype=torch.int64, device=device)
        self._flips = torch.zeros(self.steps, size, dtype=torch.bool, device=device)
        self._shifts = torch.zeros(self.steps, size, 2, dtype=torch.int64, device=device)
        self._step = torch.zeros(1, dtype=torch.int64, device=device)

    def start(self, epoch: int) -> None:
        """Draw an epoch's batches and go to its first step."""
        generator = np.random.default_rng([self.seed, epoch])
        shape = (self.steps, self.size)
        order = np.resize(generator.permutation(self.count), shape)  # (N,) -> (steps, B)
        flips, shifts = draw_moves(generator, shape, self.translation, self.flip)
        for target, draws in ((self._images, order), (self._flips, flips), (self._shifts, shifts)):
            target.copy_(torch.from_numpy(draws))
        self._step.zero_()

    def next(self) -> tuple[Tensor, Tensor, Tensor]:
        """Give the next step's images.

        Returns:
            Their indices, int64 (B,), which are mirrored, bool (B,), and where the window lies, int64 (B, 2).
        """
        draws = tuple(drawn.index_select(0, self._step)[0] for drawn in (self._images, self._flips, self._shifts))
        self._step += 1
        return draws
