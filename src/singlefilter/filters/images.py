"""The test images on which single filters have their largest and smallest fields."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch

from singlefilter.filters.store import LayerImages

FEATURES = 2**23  # of the last layer, one byte each, from which the decisions of images are explained
NONE = np.iinfo(np.int64).max  # the key of no image


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
        batches: Features float16 (n, F, S) with labels int64 (n,), together all images.
        weights: The head, float32 (K, F, S).
        own_labels: Which labels each filter stands for, bool (F, K).
        wanted: How many images are found for each.
        device: Where to compute.
    """
    filters, labels = np.nonzero(own_labels)  # (P,) each
    head = torch.from_numpy(weights).to(device).transpose(0, 1).contiguous()  # (K, F, S) -> (F, K, S)
    largest = smallest = np.full((len(filters), wanted), NONE)  # keys
    predictions, first = [], 0
    for values, batch_labels in batches:
        features = torch.from_numpy(values).to(device).float()
        fields = torch.bmm(head, features.permute(1, 2, 0))  # (F, K, S) @ (F, S, n) -> (F, K, n)
        predictions.append(fields.sum(0, dtype=torch.float64).argmax(0).cpu().numpy())
        of_pairs = fields[torch.from_numpy(filters), torch.from_numpy(labels)].cpu().numpy()  # (P, n)
        images = np.arange(first, first + len(values))
        largest = _smallest(largest, _keys(-of_pairs, images))
        own = batch_labels == labels[:, np.newaxis]  # (P, n)
        smallest = _smallest(smallest, np.where(own, _keys(of_pairs, images), NONE))
        first += len(values)
    negated, largest_images = _fields_and_images(largest)
    smallest_fields, smallest_images = _fields_and_images(smallest)
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


def _keys(fields: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Put fields, float32 (P, n), and their images, int64 (n,), into numbers of the same order, int64 (P, n).

    The bits of a float32 are in its order if those of negative numbers, but for the sign, are turned round. Under them
    comes the image's number, so that of equal fields the first image's is the smallest.
    """
    bits = (fields + np.float32(0)).view(np.int32).astype(np.int64)  # the sum makes -0 and 0 one
    return (_turned(bits) << 32) | images


def _turned(bits: np.ndarray) -> np.ndarray:
    return np.where(bits < 0, bits ^ 0x7FFFFFFF, bits)


def _smallest(best: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Give the smallest of the keys (P, wanted) and (P, n), rising, (P, wanted)."""
    wanted = best.shape[1]
    return np.sort(np.partition(np.concatenate([best, keys], axis=1), wanted - 1, axis=1)[:, :wanted], axis=1)


def _fields_and_images(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Take keys apart: fields float32 and images int32, NaN and -1 for NONE."""
    fields = _turned(keys >> 32).astype(np.int32).view(np.float32)
    none = keys == NONE
    return np.where(none, np.float32(np.nan), fields), np.where(none, -1, keys & 0xFFFFFFFF).astype(np.int32)
