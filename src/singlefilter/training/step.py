"""A step of training: on a GPU recorded once, and replayed."""

from collections.abc import Callable

import torch

from singlefilter.training.device import deterministic, switch

WARM_UP_CALLS = 3  # what PyTorch's notes on CUDA graphs ask for before a recording


class Step:
    """A function without arguments or result that is called many times; on a GPU it is recorded once and replayed.

    A replay launches all its kernels at once, where small batches would otherwise wait for Python. The function
    must read and write the same tensors in every call, and never wait for a value. SINGLEFILTER_GRAPH=0 calls it
    every time instead.

    Args:
        function: What a step does.
        device: Where it runs; only CUDA devices record.
        recordable: Whether all that it reads is on the device.
    """

    def __init__(self, function: Callable[[], None], device: torch.device, recordable: bool = True):
        self._function = function
        self._recorder = recorder_of(device) if recordable else None
        self._replay: Callable[[], None] | None = None
        self._calls = 0
        if device.type == "cuda":
            torch.backends.cudnn.benchmark = not deterministic()  # every call has the same shapes: a search pays

    @property
    def is_recorded(self) -> bool:
        """Whether tensors of the function may no longer be put in the place of others."""
        return self._replay is not None

    def __call__(self) -> None:
        if self._recorder is None:
            self._function()
        elif self._calls < WARM_UP_CALLS:
            self._recorder.warm_up(self._function)
        else:
            if self._replay is None:
                self._replay = self._recorder.record(self._function)
            self._replay()
        self._calls += 1


def recorder_of(device: torch.device) -> "CudaRecorder | None":
    """Give what records steps on a device, if anything does."""
    return CudaRecorder(device) if device.type == "cuda" and switch("SINGLEFILTER_GRAPH", default=True) else None


class CudaRecorder:
    """Calls and records a function on a stream of its own, the same for both: memory belongs to a stream."""

    def __init__(self, device: torch.device):
        self._stream = torch.cuda.Stream(device)

    def warm_up(self, function: Callable[[], None]) -> None:
        """Call the function."""
        current = torch.cuda.current_stream()
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            function()
        current.wait_stream(self._stream)

    def record(self, function: Callable[[], None]) -> Callable[[], None]:
        """Record a call of the function without making it; give what makes it."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self._stream):
            function()
        return graph.replay
