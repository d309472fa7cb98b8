"""Steps: what is recorded and replayed does what a call does, and nothing of it is left on the processor."""

import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from singlefilter.backbone import train as backbone
from singlefilter.backbone.network import Network
from singlefilter.backbone.train import new_network, train
from singlefilter.features.augmented import AugmentedFeatures
from singlefilter.heads.train import Features, StoredFeatures, train_heads
from singlefilter.pipeline.errors import InputError
from singlefilter.training import sgd
from singlefilter.training import step as steps
from singlefilter.training.step import Step, recorder_of
from tests.training.recorder import OperationRecorder

CPU, GPU = torch.device("cpu"), torch.device("cuda")
pytestmark = pytest.mark.usefixtures("one_thread")
LONG = {"epochs": 6}  # of 3 steps each: 3 to warm up, the others replayed


@pytest.fixture
def recorder(monkeypatch) -> OperationRecorder:
    """Has all steps recorded and replayed."""
    recorder = OperationRecorder()
    monkeypatch.setattr(steps, "recorder_of", lambda device: recorder)
    return recorder


class Stopped(Exception):
    pass


def trained(data, params, checkpoint=None, stop_after=None) -> tuple[list, dict]:
    """Give the history and the state of a trained network; stop after an epoch, if asked to."""

    def stop(history) -> None:
        if len(history) - 1 == stop_after:
            raise Stopped

    network = new_network(data, params, 0)
    history = train(network, data, params, 0, CPU, checkpoint, stop)
    return list(map(dataclasses.asdict, history)), network.state_dict()


def assert_same(found: tuple[list, dict], expected: tuple[list, dict]) -> None:
    assert found[0] == expected[0]
    for name, values in expected[1].items():
        assert torch.equal(found[1][name], values), name


def eager(work: Callable[[], object]) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "recorder_of", lambda device: None)
        return work()


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_replayed_training_equals_training(precision, recorder, data, make_params):
    params = make_params(backbone=LONG, precision=precision)
    assert_same(trained(data, params), eager(lambda: trained(data, params)))
    assert [recording.replays for recording in recorder.recordings] == [6 * 3 - 3 - 1]


def test_so_it_does_after_a_stop(recorder, data, make_params, checkpoint, monkeypatch):
    params = make_params(backbone=LONG)
    monkeypatch.setattr(type(checkpoint), "save_if_due", type(checkpoint).save)
    with pytest.raises(Stopped):
        trained(data, params, checkpoint, stop_after=3)
    resumed = trained(data, params, checkpoint)
    assert_same(resumed, eager(lambda: trained(data, params)))
    assert len(recorder.recordings) == 2


def test_a_rate_that_is_a_number_would_be_noticed(recorder, data, make_params, monkeypatch):
    def with_numbers(groups, device):
        optimiser = sgd.nesterov(groups, device)
        for group in optimiser.param_groups:
            group["lr"] = group["lr"].item()
        return optimiser

    def set_numbers(optimiser, rates):
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate

    monkeypatch.setattr(backbone, "nesterov", with_numbers)
    monkeypatch.setattr(backbone, "set_rates", set_numbers)
    params = make_params(backbone=LONG)
    with pytest.raises(AssertionError):
        assert_same(trained(data, params), eager(lambda: trained(data, params)))


def stored_features(data, params) -> Features:
    generator = torch.Generator().manual_seed(0)
    count = len(data.train.labels)
    return StoredFeatures({1: torch.rand(count, 4, 16, generator=generator).half()}, {1: torch.full((4,), 2.0)})


def augmented_features(data, params) -> Features:
    pixels = torch.from_numpy(data.train.images)
    return AugmentedFeatures(new_network(data, params, 0), pixels, [1, 2], 1, True, params.precision, CPU)


@pytest.mark.parametrize("features", [stored_features, augmented_features])
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_replayed_heads_equal_heads(features, precision, recorder, data, make_params):
    params = make_params(heads=LONG, precision=precision)
    labels = torch.from_numpy(data.train.labels)

    def heads() -> dict:
        return train_heads(features(data, params), labels, 3, params, 0)

    found, expected = heads(), eager(heads)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[layer], expected[layer]) for layer in expected)
    assert [recording.replays for recording in recorder.recordings] == [6 * 3 - 3 - 1]


def test_tensors_stay_where_a_recording_found_them(recorder, data, make_params):
    params = make_params(backbone=LONG)
    network = new_network(data, params, 0)
    run = backbone._Training(network, data.train, params, 0, CPU)

    def places() -> list[int]:
        weights = list(network.parameters())
        momenta = [state["momentum_buffer"] for state in run.optimiser.state.values()]
        rates = [group["lr"] for group in run.optimiser.param_groups]
        tensors = [*weights, *(each.grad for each in weights), *network.buffers(), *momenta, *rates]
        return [each.data_ptr() for each in (*tensors, run.loss, run.correct, run.images, run.labels)]

    run.epoch(0, [0.1, 0.1])
    run.epoch(1, [0.1, 0.1])
    before = places()
    backbone.evaluate(network, data.test, CPU, "float32")
    run.epoch(2, [0.05, 0.01])
    run.state([])
    assert places() == before


def test_a_recorded_step_takes_no_checkpoint(recorder, data, make_params):
    params = make_params()
    run = backbone._Training(new_network(data, params, 0), data.train, params, 0, CPU)
    state = run.state([])
    run.restore(state)
    run.epoch(0, [0.1, 0.1])
    run.epoch(1, [0.1, 0.1])
    with pytest.raises(AssertionError, match="goes on with the momenta"):
        run.restore(state)


def test_a_step_that_waits_for_a_value_cannot_be_recorded(recorder):
    total = torch.zeros(1)
    step = Step(lambda: total.add_(total.sum().item()), CPU)
    for _ in range(steps.WARM_UP_CALLS):
        step()
    with pytest.raises(RuntimeError, match="waits for a value"):
        step()


def test_a_step_whose_features_are_elsewhere_is_called(recorder, data, make_params):
    params = make_params(heads=LONG)
    stored = stored_features(data, params)
    stored.on_device = False
    train_heads(stored, torch.from_numpy(data.train.labels), 3, params, 0)
    assert not recorder.recordings


def test_off_the_gpu_a_step_is_called_each_time():
    calls = []
    step = Step(lambda: calls.append(len(calls)), CPU)
    for _ in range(6):
        step()
    assert calls == [0, 1, 2, 3, 4, 5]


def test_the_environment_can_have_steps_called_instead(monkeypatch):
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: None)
    assert recorder_of(GPU) is not None and recorder_of(CPU) is None
    monkeypatch.setenv("SINGLEFILTER_GRAPH", "0")
    assert recorder_of(GPU) is None
    monkeypatch.setenv("SINGLEFILTER_GRAPH", "off")
    with pytest.raises(InputError, match="SINGLEFILTER_GRAPH: is 'off'; allowed are 0 and 1"):
        recorder_of(GPU)


class OnTheProcessor(TorchDispatchMode):
    """Lists the operations that put a tensor of more than one element on the processor."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0
        self.found: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        outputs = func(*args, **(kwargs or {}))
        tensors = [value for value in tree_leaves(outputs) if isinstance(value, torch.Tensor)]
        self.seen += len(tensors)
        self.found += [func.name() for value in tensors if value.device.type == "cpu" and value.ndim]
        return outputs


@pytest.fixture
def tiny_network(data, make_params) -> Network:
    return new_network(data, make_params(), 0)


@pytest.fixture
def pretended_gpu(tiny_network, monkeypatch):
    """Tensors that have a device and a shape, and no values."""
    monkeypatch.setattr(steps, "recorder_of", lambda device: None)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    monkeypatch.setattr(torch.optim.SGD, "step", lambda self: None)  # its kernel asks for values
    monkeypatch.setattr(torch.Tensor, "backward", lambda self: None)  # autograd's engine asks the driver
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    with mode:
        yield mode


def on_pretended_gpu(network: Network, monkeypatch) -> Network:
    """Give a network whose weights are pretended, in place."""
    for module in network.modules():
        for name, values in list(module.named_parameters(recurse=False)):
            module._parameters[name] = nn.Parameter(torch.empty_like(values, device=GPU))
        for name, values in module._buffers.items():
            module._buffers[name] = torch.empty_like(values, device=GPU)
    monkeypatch.setattr(Network, "to", lambda self, device: self)  # which pretended weights refuse
    return network


@pytest.mark.filterwarnings("ignore:User provided device_type of 'cuda'")
@pytest.mark.usefixtures("pretended_gpu")
def test_a_forward_pass_on_a_gpu_makes_no_tensor_on_the_processor(data, make_params, tiny_network, monkeypatch):
    params = make_params()
    run = backbone._Training(on_pretended_gpu(tiny_network, monkeypatch), data.train, params, 0, GPU)
    with OnTheProcessor() as operations:
        run._step()
    assert operations.seen > 50 and not operations.found


@pytest.mark.filterwarnings("ignore:User provided device_type of 'cuda'")
@pytest.mark.usefixtures("pretended_gpu")
@pytest.mark.parametrize("augmented", [True, False])
def test_so_do_the_heads(augmented, data, make_params, tiny_network, monkeypatch):
    params = make_params()
    labels = torch.from_numpy(data.train.labels).to(GPU)
    if augmented:
        pixels = torch.from_numpy(data.train.images).to(GPU)
        network = on_pretended_gpu(tiny_network, monkeypatch)
        features = AugmentedFeatures(network, pixels, [1, 2], 1, True, "float32", GPU)
    else:
        features = StoredFeatures({1: torch.zeros(22, 4, 16, device=GPU).half()}, {1: torch.ones(4, device=GPU)})
    taken = []
    monkeypatch.setattr(Step, "__init__", lambda self, function, device, recordable: taken.append(function))
    monkeypatch.setattr(Step, "__call__", lambda self: (_ for _ in ()).throw(Stopped))
    with pytest.raises(Stopped):
        train_heads(features, labels, 3, params, 0)
    with OnTheProcessor() as operations:
        taken[0]()
    assert operations.seen > 10 and not operations.found


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@needs_gpu
def test_a_recorded_step_counts_as_often_as_it_is_called():
    total = torch.zeros(1, dtype=torch.int64, device=GPU)
    step = Step(lambda: total.add_(1), GPU)
    for _ in range(7):
        step()
    assert total.item() == 7


def trained_on_gpu(data, params, checkpoint=None) -> tuple[list, nn.Module]:
    network = new_network(data, params, 0)
    return train(network, data, params, 0, GPU, checkpoint), network


@needs_gpu
def test_training_on_a_gpu_is_the_same_recorded_and_called_and_twice(data, make_params, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    monkeypatch.setenv("SINGLEFILTER_DETERMINISTIC", "1")
    params = make_params(backbone=LONG)
    recorded, again = trained_on_gpu(data, params), trained_on_gpu(data, params)
    monkeypatch.setenv("SINGLEFILTER_GRAPH", "0")
    called = trained_on_gpu(data, params)
    for other in (again, called):
        assert other[0] == recorded[0]
        for values, expected in zip(other[1].parameters(), recorded[1].parameters(), strict=True):
            assert torch.equal(values, expected)


@needs_gpu
def test_training_on_a_gpu_resumes(data, make_params, checkpoint, monkeypatch):
    monkeypatch.setenv("SINGLEFILTER_DETERMINISTIC", "1")
    monkeypatch.setattr(type(checkpoint), "save_if_due", type(checkpoint).save)
    params = make_params(backbone=LONG)
    whole, _ = trained_on_gpu(data, params)
    trained_on_gpu(data, make_params(backbone={"epochs": 3}), checkpoint)  # leaves the state after its second epoch
    resumed, _ = trained_on_gpu(data, params, checkpoint)
    assert resumed == whole
