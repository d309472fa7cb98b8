import os
import subprocess
import sys
import warnings

import pytest
import torch

from singlefilter.pipeline.errors import InputError
from singlefilter.training.device import autocast, chosen_device, warn_if_slow

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def settings_restored(monkeypatch):
    """chosen_device sets PyTorch's own switches."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", torch.backends.cudnn.allow_tf32)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", torch.backends.cudnn.benchmark)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", torch.backends.cudnn.deterministic)
    monkeypatch.delenv("SINGLEFILTER_DETERMINISTIC", raising=False)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")  # lest what is set here outlives the test
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_float32_matmul_precision("highest")


def test_choosing_a_device_does_not_import_the_compiler():
    """PyTorch imports it where deterministic algorithms are set, in two seconds; and it needs a home of the user's."""
    code = "import sys; from singlefilter.training.device import chosen_device; chosen_device(); print(*sys.modules)"
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=paths, capture_output=True, encoding="utf-8", check=True)
    assert "torch" in done.stdout.split() and "torch._dynamo" not in done.stdout.split()


def test_environment_chooses_the_device(monkeypatch):
    monkeypatch.setenv("SINGLEFILTER_DEVICE", "cpu")
    assert chosen_device() == CPU


def test_default_is_the_gpu_if_there_is_one(monkeypatch):
    monkeypatch.delenv("SINGLEFILTER_DEVICE", raising=False)
    assert chosen_device().type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_each_process_that_torchrun_starts_has_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setenv("SINGLEFILTER_DEVICE", "cuda")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("LOCAL_RANK", "97")
    with pytest.raises(InputError, match="'cuda:97' is not a device of this machine"):
        chosen_device()


@pytest.mark.parametrize("name", ["gpu", "", "cpu0", "cuda:99", "meta", "mps", "xla:0"])
def test_device_that_is_not_here_is_refused_by_name(monkeypatch, name):
    monkeypatch.setenv("SINGLEFILTER_DEVICE", name)
    with pytest.raises(InputError) as raised:
        chosen_device()
    assert str(raised.value) == (
        f"SINGLEFILTER_DEVICE: {name!r} is not a device of this machine and its PyTorch; leave it unset, or use cpu"
    )


def test_a_gpu_and_matrix_products_keep_to_float32_whatever_was_set_before(monkeypatch):
    monkeypatch.setenv("SINGLEFILTER_DEVICE", "cpu")
    torch.backends.cudnn.allow_tf32 = True
    torch.set_float32_matmul_precision("medium")
    chosen_device()
    assert not torch.backends.cudnn.allow_tf32
    assert torch.get_float32_matmul_precision() == "highest" and not torch.backends.cuda.matmul.allow_tf32


@pytest.mark.parametrize(("value", "before"), [(None, False), ("0", False), ("1", False), (None, True), ("1", True)])
def test_environment_chooses_algorithms_that_add_in_a_fixed_order_and_else_the_caller(value, before, monkeypatch):
    monkeypatch.setenv("SINGLEFILTER_DEVICE", "cpu")
    if value:
        monkeypatch.setenv("SINGLEFILTER_DETERMINISTIC", value)
    torch.use_deterministic_algorithms(before)
    torch.backends.cudnn.deterministic = torch.backends.cudnn.benchmark = before
    chosen_device()
    chosen = value == "1"
    assert torch.are_deterministic_algorithms_enabled() == torch.backends.cudnn.deterministic == (before or chosen)
    assert torch.backends.cudnn.benchmark == (before and not chosen)
    assert os.environ.get("CUBLAS_WORKSPACE_CONFIG") == (":4096:8" if chosen else None)


def test_a_choice_of_algorithms_that_is_none_is_refused(monkeypatch):
    monkeypatch.setenv("SINGLEFILTER_DEVICE", "cpu")
    monkeypatch.setenv("SINGLEFILTER_DETERMINISTIC", "true")
    with pytest.raises(InputError) as raised:
        chosen_device()
    assert str(raised.value) == "SINGLEFILTER_DETERMINISTIC: is 'true'; allowed are 0 and 1"


def test_a_gpu_that_cannot_be_used_is_said(monkeypatch, capsys):
    def too_old() -> bool:
        warnings.warn("CUDA initialization: The NVIDIA driver on your system is too old\nUpdate it", stacklevel=1)
        return False

    monkeypatch.delenv("SINGLEFILTER_DEVICE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", too_old)
    assert chosen_device() == CPU
    said = "the GPU is not used: CUDA initialization: The NVIDIA driver on your system is too old\n"
    assert capsys.readouterr().err == said
    monkeypatch.setenv("SINGLEFILTER_DEVICE", "cpu")
    assert chosen_device() == CPU
    assert not capsys.readouterr().err  # whoever asks for the processor knows


def test_a_gpu_without_code_for_it_is_refused(monkeypatch):
    def without_code(count: int, device: torch.device) -> None:
        raise RuntimeError("CUDA error: no kernel image is available for execution on the device")

    monkeypatch.setenv("SINGLEFILTER_DEVICE", "cuda:0")
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    monkeypatch.setattr(torch, "zeros", without_code)
    with pytest.raises(InputError) as raised:
        chosen_device()
    assert str(raised.value) == (
        f"SINGLEFILTER_DEVICE: this PyTorch, {torch.__version__}, has no code for the GPU cuda:0; "
        "install one that has, or set it to cpu"
    )


def test_the_chosen_gpu_is_the_current_one(monkeypatch):
    chosen = []
    monkeypatch.setenv("SINGLEFILTER_DEVICE", "cuda:1")
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(torch, "zeros", lambda count, device: None)
    device = chosen_device()
    assert device == torch.device("cuda:1") and chosen == [device]


@pytest.mark.parametrize(("device", "own", "said"), [("cuda", False, "this GPU"), ("cuda", True, "")])
def test_bf16_that_a_gpu_only_emulates_is_said(device, own, said, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: own or including_emulation)
    warn_if_slow(torch.device(device), "float32")
    assert not capsys.readouterr().out
    warn_if_slow(torch.device(device), "bf16")
    assert capsys.readouterr().out.startswith(said) and bool(said) == (not own)


def test_bf16_products_are_those_of_rounded_factors_and_leave_the_weights_alone():
    layer = torch.nn.Linear(64, 8, bias=False)
    weights = layer.weight.detach().clone()
    inputs = torch.randn(5, 64, generator=torch.Generator().manual_seed(0))
    with autocast(CPU, "bf16"):
        products = layer(inputs)
    assert products.dtype == torch.bfloat16
    exact = inputs.bfloat16().double() @ weights.bfloat16().double().T
    assert torch.allclose(products.double(), exact, rtol=2**-7, atol=1e-6)
    assert layer.weight.dtype == torch.float32
    assert torch.equal(layer.weight, weights)


def test_float32_products_stay_as_they_are():
    layer = torch.nn.Linear(64, 8, bias=False)
    inputs = torch.randn(5, 64, generator=torch.Generator().manual_seed(0))
    with autocast(CPU, "float32"):
        products = layer(inputs)
    assert products.dtype == torch.float32
    assert torch.equal(products, layer(inputs))
