"""Where the arithmetic runs: from the environment, never from the parameters, since it must not change the result."""

import ctypes
import os
import sys
from collections.abc import Callable

import torch

from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.launcher import launched

WARM_UP_CALLS = 3  # what PyTorch's notes on CUDA graphs ask for before a recording


def chosen_device() -> torch.device:
    """Give the device that SINGLEFILTER_DEVICE names; by default the GPU if there is one, else the processor.

    Of several processes that torchrun has started on a machine, each has a GPU of its own.

    With SINGLEFILTER_DETERMINISTIC=1 only algorithms are used that add in a fixed order; on a processor all do.

    Raises:
        InputError: A variable names a device that is not here, or is neither 0 nor 1.
    """
    name = os.environ.get("SINGLEFILTER_DEVICE", "cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and launched():
        name = f"cuda:{os.environ['LOCAL_RANK']}"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"SINGLEFILTER_DEVICE: {name!r} is not a device of this machine; leave it unset, or use cpu or cuda"
        ) from error
    _keep_freed_memory()
    torch.backends.cudnn.allow_tf32 = False  # float32 means float32
    deterministic = _deterministic()
    if deterministic != torch.are_deterministic_algorithms_enabled():  # setting it imports PyTorch's compiler
        torch.use_deterministic_algorithms(deterministic)
    torch.backends.cudnn.deterministic = deterministic
    torch.backends.cudnn.benchmark = device.type == "cuda" and not deterministic  # every batch has the same shape
    return device


def _deterministic() -> bool:
    value = os.environ.get("SINGLEFILTER_DETERMINISTIC", "0")
    if value not in ("0", "1"):
        raise InputError(f"SINGLEFILTER_DETERMINISTIC: is {value!r}; allowed are 0 and 1")
    if value == "1":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it PyTorch refuses matrix products
    return value == "1"


def _keep_freed_memory() -> None:
    """Have the C library keep what is freed, if it is glibc.

    Each training step frees and asks for the same large blocks. By default they go back to the system, which clears
    them page by page whenever they are asked for: a tenth of a step.
    """
    trim_threshold, mmap_threshold = -1, -3  # mallopt(3)
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(trim_threshold, 2**31 - 1)
        libc.mallopt(mmap_threshold, 2**30)


def main_memory() -> int:
    """Count the bytes of memory that the processor has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def warn_if_slow(device: torch.device, precision: str) -> None:
    """Say so if bf16 is asked of a processor that computes it only by way of float32."""
    if device.type == "cpu" and precision == "bf16" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        print("this processor has no bf16 of its own: training is right but slow; precision: float32 may be faster")


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Give the context in which matrix products run in `precision` (bf16 or float32); weights stay in float32."""
    # No cache of cast weights: a recorded step must cast the weights of its own replay.
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16", cache_enabled=False)


class Step:
    """A function without arguments or result that is called many times; on a GPU it is recorded once and replayed.

    A replay launches all its kernels at once, where small batches would otherwise wait for Python. The function
    must read and write the same tensors in every call, and never wait for a value.

    Args:
        function: What a step does.
        device: Where it runs; only CUDA devices record.
    """

    def __init__(self, function: Callable[[], None], device: torch.device):
        self._function = function
        self._records = device.type == "cuda"
        self._calls = 0
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self) -> None:
        if not self._records:
            self._function()
        elif self._calls < WARM_UP_CALLS:
            self._call_on_side_stream()
        else:
            self._replay()
        self._calls += 1

    def _call_on_side_stream(self) -> None:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._function()
        torch.cuda.current_stream().wait_stream(stream)

    def _replay(self) -> None:
        if self._graph is None:
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._function()
        self._graph.replay()
