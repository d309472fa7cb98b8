"""Matrix products by the quickest library at hand."""

import torch
from torch import Tensor


def linear(left: Tensor, right: Tensor) -> Tensor:
    """Multiply left by right transposed, as torch.nn.functional.linear does: float (n, m), (k, m) -> (n, k).

    Each is dense in memory, or its transpose is: others take oneDNN a thousand times as long.

    PyTorch multiplies on a processor by Intel's MKL, which holds back on others' processors, above all where one matrix
    has only as many rows as there are labels. oneDNN does not, and PyTorch has it for its compiler's use.
    """
    known = left.dtype in (torch.float32, torch.bfloat16)
    if left.device.type == "cpu" and known and torch.backends.mkldnn.is_available():
        return torch.ops.mkldnn._linear_pointwise(left, right, None, "none", [], "")
    return left @ right.T
