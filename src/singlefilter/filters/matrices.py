"""Phase 3: what each filter alone induces on the outputs, gathered over the images of each label."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from singlefilter.filters.store import FilterMatrices
from singlefilter.training.matmul import linear

ELEMENTS_PER_PASS = 2**22  # features or fields held at a time; few enough to stay in a processor's cache
FILTERS_PER_PART = 32  # whose fields are held in float64 at a time, for the same reason


def images_per_pass(weights: np.ndarray) -> int:
    """How many images filter_matrices should be given at a time, for a head float32 (K, F, S)."""
    label_count, filters, positions = weights.shape
    return max(ELEMENTS_PER_PASS // (filters * max(label_count, positions)), 1)


@torch.no_grad()
def filter_matrices(
    batches: Iterable[tuple[np.ndarray, np.ndarray]], weights: np.ndarray, device: torch.device
) -> FilterMatrices:
    """Silence all of a head's weights but one filter's, for every filter at once (paper, Figs. 3 and 4; SI).

    The field that filter f alone induces on output j for image n is h[n, f, j] = sum over s of W[j, f, s] a[n, f, s].
    The whole head's is the sum of these over f, so that the head without filter f has that sum less h[n, f, j].

    Args:
        batches: Features float16 or float32 (n, F, S) with labels int64 (n,), together all images of the split.
        weights: The head, float32 (K, F, S).
        device: Where to compute.
    """
    label_count, filters, _ = weights.shape
    head = torch.from_numpy(weights).to(device).transpose(0, 1).contiguous()  # (K, F, S) -> (F, K, S)
    outputs = torch.zeros(weights.shape, dtype=torch.float64, device=device)  # (K, F, S)
    decisions = torch.zeros(filters * label_count * label_count, dtype=torch.int64, device=device)
    images = torch.zeros(label_count, dtype=torch.int64, device=device)
    correct_without = torch.zeros(filters, dtype=torch.int64, device=device)
    for values, batch_labels in batches:
        features = torch.from_numpy(values).to(device).float()
        labels = torch.from_numpy(batch_labels).to(device)
        images += torch.bincount(labels, minlength=label_count)
        outputs += _sums_by_label(features, labels, label_count)
        fields = torch.bmm(head, features.permute(1, 2, 0))  # (F, K, S) @ (F, S, n) -> (F, K, n)
        _count_decisions(decisions, fields, labels)
        correct_without += _count_correct_without(fields, labels)
    sums = torch.einsum("ifs,fjs->fij", outputs, head.double())  # the sum over images first: it is linear
    decisions = decisions.view(filters, label_count, label_count)  # (F * K * K,) -> (F, K, K)
    return FilterMatrices(*(part.cpu().numpy() for part in (sums, decisions, images, correct_without)))


def _sums_by_label(features: Tensor, labels: Tensor, label_count: int) -> Tensor:
    """Sum features (n, F, S) over the images of each label, (K, F, S)."""
    belongs = torch.nn.functional.one_hot(labels, label_count).to(features.dtype)  # (n, K)
    sums = linear(belongs.T.contiguous(), features.flatten(1).T)  # (K, n) @ (n, F * S) -> (K, F * S)
    return sums.view(label_count, *features.shape[1:])  # (K, F * S) -> (K, F, S)


def _count_decisions(decisions: Tensor, fields: Tensor, labels: Tensor) -> None:
    """Add the largest of the fields (F, K, n) by filter, input label and output to the counts, int64 (F * K * K,)."""
    filters, label_count, _ = fields.shape
    largest, output = fields.max(1)  # (F, n)
    counted = (largest != 0) | (fields.amin(1) != 0)  # (F, n)
    rows = torch.arange(filters, device=labels.device)[:, None] * label_count + labels  # (F, n)
    cells = rows * label_count + output
    # In place: with many labels, the counts of one pass alone would fill the memory.
    decisions.scatter_add_(0, cells.flatten(), counted.flatten().long())  # (F, n) -> (F * n,) both


def _count_correct_without(fields: Tensor, labels: Tensor) -> Tensor:
    """Count the images that the head decides correctly without each filter.

    The sum over filters and the difference are taken in float64: what is left of equal fields is equal, and goes to the
    first label, as does an image to which no other filter responds. A filter's own fields stay in float32: their
    rounding matters only where the two largest sums agree to some seven digits, and float64 takes twice the time where
    S is large.

    Args:
        fields: Each filter's, float32 (F, K, n).
        labels: int64 (n,).

    Returns:
        int64 (F,).
    """
    parts = fields.split(FILTERS_PER_PART)  # (f, K, n) each
    total = sum(part.double().sum(0) for part in parts)  # (K, n)
    # max, since argmax takes more than twice as long.
    return torch.cat([((total - part).max(1).indices == labels).sum(1) for part in parts])  # (F,)
