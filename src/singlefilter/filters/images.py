"""The test images on which single filters have their largest and smallest fields."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch

from singlefilter.filters.store import LayerImages

FEATURES = 2**23  # of the last layer, one byte each, from which the decisions of images are explained


def first_images(
    batches: Iterable[tuple[np.ndarray, np.ndarray]], count: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Give the features and labels of the first `count` images, and read no more than these."""
    left = count
    for features, labels in batches:
        yield features[:left], labels[:left]
        left -= len(labels)
        if left <= 0:
            return


@torch.no_grad()
def find_images(
    batches: Iterable[tuple[np.ndarray, np.ndarray]],
    weights: np.ndarray,
    own_labels: np.ndarray,
    wanted: int,
    device: torch.device,
) -> LayerImages:
    """Find for each filter, on each of its labels, the images with the largest and the smallest fields.

    The largest fields on a label's output are sought among all images, which shows what drives the filter; the
    smallest among the label's own, which shows what the filter misses. Of equal fields, the first image's counts.

    Args:
        batches: Features float16 or float32 (n, F, S) with labels int64 (n,), together all images.
        weights: The head, float32 (K, F, S).
        own_labels: Which labels each filter stands for, bool (F, K).
        wanted: How many images are found for each.
        device: Where to compute.
    """
    filters, labels = np.nonzero(own_labels)  # (P,) each
    head = torch.from_numpy(weights).to(device).transpose(0, 1).contiguous()  # (K, F, S) -> (F, K, S)
    # Fields and images; an infinite field is that of no image.
    largest = smallest = np.full((len(filters), wanted), np.inf, np.float32), np.zeros((len(filters), wanted), np.int64)
    predictions, first = [], 0
    for values, batch_labels in batches:
        features = torch.from_numpy(values).to(device).float()
        fields = torch.bmm(head, features.permute(1, 2, 0))  # (F, K, S) @ (F, S, n) -> (F, K, n)
        predictions.append(fields.sum(0, dtype=torch.float64).argmax(0).cpu().numpy())
        of_pairs = fields[torch.from_numpy(filters), torch.from_numpy(labels)].cpu().numpy()  # (P, n)
        images = np.arange(first, first + len(values))
        largest = _smallest(largest, -of_pairs + np.float32(0), images)  # the sum makes -0 and 0 one
        own = batch_labels == labels[:, np.newaxis]  # (P, n)
        smallest = _smallest(smallest, np.where(own, of_pairs + np.float32(0), np.float32(np.inf)), images)
        first += len(values)
    negated, largest_images = _found(largest)
    smallest_fields, smallest_images = _found(smallest)
    return LayerImages(
        pairs=np.column_stack([filters, labels]).astype(np.int32),
        largest=largest_images,
        largest_fields=-negated,
        smallest=smallest_images,
        smallest_fields=smallest_fields,
        predictions=np.concatenate(predictions).astype(np.int32),
    )


def round_features(features: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Round features to 255 steps between a filter's smallest and largest, one of which is 0.

    Args:
        features: float32 (N, F, S).

    Returns:
        Codes uint8 (N, F, S), and for each filter the step, float32 (F,), and the code of 0, uint8 (F,); a feature is
        about step * (code - zero).
    """
    low = features.min(axis=(0, 2), initial=0)
    steps = (features.max(axis=(0, 2), initial=0) - low) / 255
    steps = np.where(steps > 0, steps, 1).astype(np.float32)
    zeros = np.round(-low / steps)
    codes = np.round(features / steps[:, np.newaxis] + zeros[:, np.newaxis]).clip(0, 255)
    return codes.astype(np.uint8), steps, zeros.astype(np.uint8)


def _smallest(
    best: tuple[np.ndarray, np.ndarray], fields: np.ndarray, images: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Keep of fields and their images, (P, wanted) each, and of further ones, (P, n) and (n,), the smallest, rising.

    Of equal fields the first image's counts: the sort is stable, and `best` is of earlier images.
    """
    values = np.concatenate([best[0], fields], axis=1)
    numbers = np.concatenate([best[1], np.broadcast_to(images, fields.shape)], axis=1)
    first = np.argsort(values, axis=1, kind="stable")[:, : best[0].shape[1]]
    return np.take_along_axis(values, first, axis=1), np.take_along_axis(numbers, first, axis=1)


def _found(best: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Give fields float32 and images int32, NaN and -1 where there is none."""
    fields, images = best
    none = np.isinf(fields)
    return np.where(none, np.float32(np.nan), fields), np.where(none, -1, images).astype(np.int32)
