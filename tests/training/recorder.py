"""Records a step without a GPU, as a CUDA graph does: its operations, with their tensors, which a replay fills anew."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

WAITING = {  # for a value: a GPU's recording fails there
    "aten::_local_scalar_dense",
    "aten::nonzero",
    "aten::equal",
    "aten::is_nonzero",
    "aten::masked_select",
    "aten::unique2",
    "aten::_unique2",
}


class OperationRecorder:
    """Stands for CudaRecorder on the processor.

    A recorded call is made, where a GPU's is not: so the first replay is left out.
    """

    def __init__(self) -> None:
        self.recordings: list[_Operations] = []

    def warm_up(self, function: Callable[[], None]) -> None:
        function()

    def record(self, function: Callable[[], None]) -> Callable[[], None]:
        operations = _Operations()
        with operations:
            function()
        self.recordings.append(operations)
        return operations.replay


class _Operations(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.replays = -1
        self._operations: list[tuple[Callable[..., Any], Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.name().split(".")[0] in WAITING:
            raise RuntimeError(f"{func.name()} waits for a value")
        outputs = func(*args, **(kwargs or {}))
        # The same memory, without what autograd knows of it.
        memory = tree_map(lambda value: value.detach() if _is(value) else value, (args, kwargs or {}, outputs))
        self._operations.append((func, *memory))
        return outputs

    @torch.no_grad()
    def replay(self) -> None:
        self.replays += 1
        if self.replays == 0:
            return
        for func, args, kwargs, outputs in self._operations:
            inputs = {values.untyped_storage().data_ptr() for values in tree_leaves((args, kwargs)) if _is(values)}
            found = func(*args, **kwargs)
            for target, values in zip(tree_leaves(outputs), tree_leaves(found), strict=True):
                if _is(target) and target.numel() and target.untyped_storage().data_ptr() not in inputs:
                    target.copy_(values)


def _is(value: Any) -> bool:
    return isinstance(value, Tensor)
