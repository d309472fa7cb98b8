"""Matrix products: against NumPy in float64, by oneDNN where PyTorch has it, and without."""

import numpy as np
import pytest
import torch

from singlefilter.training.matmul import linear


@pytest.fixture(params=[True, False], ids=["oneDNN", "without"])
def library(request, monkeypatch):
    if request.param and not torch.backends.mkldnn.is_available():
        pytest.skip("this PyTorch has no oneDNN")
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: request.param)


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 3, 5), (100, 2048, 10), (10, 100, 2048)])
@pytest.mark.parametrize("transposed", [False, True])
def test_a_product_equals_numpys(shape, transposed):
    rows, inner, columns = shape
    generator = np.random.default_rng(0)
    left, right = (generator.standard_normal((size, inner), dtype=np.float32) for size in (rows, columns))
    given = [
        torch.from_numpy(np.ascontiguousarray(side.T)).T if transposed else torch.from_numpy(side)
        for side in (left, right)
    ]
    found = linear(*given)
    assert (found.dtype, found.shape) == (torch.float32, (rows, columns))
    expected = left.astype(np.float64) @ right.T.astype(np.float64)
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-3)
    np.testing.assert_allclose(linear(*(side.double() for side in given)).numpy(), expected, rtol=0, atol=1e-11)
