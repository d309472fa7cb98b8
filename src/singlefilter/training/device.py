"""Where the arithmetic runs: from the environment, never from the parameters, since it must not change the result."""

import ctypes
import os
import sys
import warnings

import torch

from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.launcher import launched

KINDS = ("cpu", "cuda")  # mps has no float64, in which success rates and matrices are measured


def chosen_device() -> torch.device:
    """Give the device that SINGLEFILTER_DEVICE names; by default the GPU if there is one, else the processor.

    It also sets, for the whole process, how PyTorch computes; see _set_arithmetic. Of several processes that torchrun
    has started on a machine, each has a GPU of its own.

    Raises:
        InputError: A variable names a device that is not here, or is neither 0 nor 1, or a GPU cannot be used.
    """
    name = os.environ.get("SINGLEFILTER_DEVICE")
    if name is None:
        name = "cuda" if _has_gpu() else "cpu"
    if name == "cuda" and launched():
        name = f"cuda:{os.environ['LOCAL_RANK']}"
    try:
        device = torch.device(name)
        if device.type not in KINDS:
            raise ValueError(f"{device.type} is none of {KINDS}")
        if device.type == "cuda":
            torch.cuda.set_device(device)  # or streams and recordings would be the first GPU's
        torch.zeros(1, device=device)  # which a GPU does that this PyTorch has code for
    except (RuntimeError, AssertionError, ValueError) as error:
        if "no kernel image" in str(error):
            reason = f"this PyTorch, {torch.__version__}, has no code for the GPU {name}; install one that has"
            raise InputError(f"SINGLEFILTER_DEVICE: {reason}, or set it to cpu") from error
        raise InputError(
            f"SINGLEFILTER_DEVICE: {name!r} is not a device of this machine and its PyTorch; leave it unset, or use cpu"
        ) from error
    _keep_freed_memory()
    _set_arithmetic()
    return device


def _set_arithmetic() -> None:
    """Have a GPU and matrix products keep to float32, and, with SINGLEFILTER_DETERMINISTIC=1, sums to a fixed order.

    On a processor sums always do. The settings are those of the whole process, so of a caller's own code, too.
    """
    torch.backends.cudnn.allow_tf32 = False  # float32 means float32
    torch.set_float32_matmul_precision("highest")  # which containers and notebooks may have lowered
    if deterministic():
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it PyTorch refuses matrix products
        torch.utils.deterministic.fill_uninitialized_memory = False  # nothing reads it: time for nothing
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False  # a search may find others in the next run


def deterministic() -> bool:
    """Tell whether only algorithms are wanted that add in a fixed order."""
    return switch("SINGLEFILTER_DETERMINISTIC", default=False)


def switch(name: str, default: bool) -> bool:
    """Read a variable of the environment that is 0 or 1."""
    value = os.environ.get(name, str(int(default)))
    if value not in ("0", "1"):
        raise InputError(f"{name}: is {value!r}; allowed are 0 and 1")
    return value == "1"


def _has_gpu() -> bool:
    """Tell whether there is a GPU that can be used; say why one that is there cannot be."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = torch.cuda.is_available()
    if not found:
        for warning in caught:  # such as a driver that is too old for this PyTorch
            print(f"the GPU is not used: {str(warning.message).splitlines()[0]}", file=sys.stderr)
    return found


def _keep_freed_memory() -> None:
    """Have the C library keep what is freed, if it is glibc.

    Each training step frees and asks for the same large blocks. By default they go back to the system, which clears
    them page by page whenever they are asked for: a tenth of a step.
    """
    trim_threshold, mmap_threshold = -1, -3  # mallopt(3)
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(trim_threshold, 2**31 - 1)
        libc.mallopt(mmap_threshold, 2**30)


def free_memory(gpu: torch.device) -> int:
    """Count the bytes of memory that are free on a GPU."""
    return torch.cuda.mem_get_info(gpu)[0]


def processor_has_bf16() -> bool:
    """Tell whether the processor has bf16 of its own, as far as this PyTorch knows: without oneDNN it uses none."""
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def warn_if_slow(device: torch.device, precision: str) -> None:
    """Warn if bf16 is asked of a device that emulates it in float32."""
    if precision != "bf16":
        return
    if device.type == "cpu" and not processor_has_bf16():
        print("this processor has no bf16 of its own: training is right but slow; precision: float32 may be faster")
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        print("this GPU has no bf16 of its own: training is right but slow; precision: float32 may be faster")


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Give the context in which matrix products run in `precision` (bf16 or float32); weights stay in float32."""
    # No cache of cast weights: a recorded step must cast the weights of its own replay.
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16", cache_enabled=False)
