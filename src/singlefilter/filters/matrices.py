"""Phase 3: what each filter alone induces on the outputs, gathered over the images of each label."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from singlefilter.filters.store import FilterMatrices
from singlefilter.training.matmul import product

ELEMENTS_A_PASS = 2**22  # features or fields held at a time; few enough to stay in a processor's cache


def images_a_pass(weights: np.ndarray) -> int:
    """How many images filter_matrices should be given at a time, for a head float32 (K, F, S)."""
    label_count, filters, positions = weights.shape
    return max(ELEMENTS_A_PASS // (filters * max(label_count, positions)), 1)


@torch.no_grad()
def filter_matrices(
    batches: Iterable[tuple[np.ndarray, np.ndarray]], weights: np.ndarray, device: torch.device
) -> FilterMatrices:
    """Silence all of a head's weights but one filter's, for every filter at once (paper, Figs. 3 and 4; SI).

    The field that filter f alone induces on output j for image n is h[n, f, j] = sum over s of W[j, f, s] a[n, f, s].

    Args:
        batches: Features float16 (n, F, S) with labels int64 (n,), together all images of the split.
        weights: The head, float32 (K, F, S).
        device: Where to compute.
    """
    label_count, filters, _ = weights.shape
    head = torch.from_numpy(weights).to(device).transpose(0, 1).contiguous()  # (K, F, S) -> (F, K, S)
    outputs = torch.zeros(weights.shape, dtype=torch.float64, device=device)  # (K, F, S)
    decisions = torch.zeros(filters * label_count * label_count, dtype=torch.int64, device=device)
    images = torch.zeros(label_count, dtype=torch.int64, device=device)
    for values, batch_labels in batches:
        features = torch.from_numpy(values).to(device).float()
        labels = torch.from_numpy(batch_labels).to(device)
        images += torch.bincount(labels, minlength=label_count)
        outputs += _sums_by_label(features, labels, label_count)
        _count_decisions(decisions, features, labels, head)
    fields = torch.einsum("ifs,fjs->fij", outputs, head.double())  # the sum over images first: it is linear
    shape = (filters, label_count, label_count)
    return FilterMatrices(fields.cpu().numpy(), decisions.view(shape).cpu().numpy(), images.cpu().numpy())


def _sums_by_label(features: Tensor, labels: Tensor, label_count: int) -> Tensor:
    """Sum features (n, F, S) over the images of each label, (K, F, S)."""
    belongs = torch.nn.functional.one_hot(labels, label_count).to(features.dtype)  # (n, K)
    sums = product(belongs.T.contiguous(), features.flatten(1).T)  # (K, n) @ (n, F * S) -> (K, F * S)
    return sums.view(label_count, *features.shape[1:])  # (K, F * S) -> (K, F, S)


def _count_decisions(decisions: Tensor, features: Tensor, labels: Tensor, head: Tensor) -> None:
    """Add the largest fields by filter, input label and output to the counts, int64 (F * K * K,)."""
    filters, label_count, _ = head.shape
    fields = torch.bmm(head, features.permute(1, 2, 0))  # (F, K, S) @ (F, S, n) -> (F, K, n)
    largest, output = fields.max(1)  # (F, n)
    counted = (largest != 0) | (fields.amin(1) != 0)  # (F, n)
    rows = torch.arange(filters, device=labels.device)[:, None] * label_count + labels  # (F, n)
    cells = rows * label_count + output
    # In place: with many labels, the counts of one pass alone would fill the memory.
    decisions.scatter_add_(0, cells.flatten(), counted.flatten().long())
