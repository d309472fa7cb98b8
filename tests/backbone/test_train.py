"""Training: against a plain loop with torch.optim.SGD and rates worked out by hand, and stopped and resumed."""

import dataclasses
import math
import shutil
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from singlefilter.backbone import train as training
from singlefilter.backbone.network import Network
from singlefilter.backbone.store import write_network
from singlefilter.backbone.train import Epoch, evaluate, history_table, new_network, train
from singlefilter.data.dataset import Data, Split, hold_out
from singlefilter.data.store import write_dataset
from singlefilter.pipeline.artifacts import Workspace
from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.params import Params
from singlefilter.pipeline.tables import write_table
from singlefilter.training import checkpoint as checkpoints
from singlefilter.training.augment import scale
from singlefilter.training.batches import Batches
from singlefilter.training.checkpoint import Checkpoint
from stages import train_backbone
from tests.checkpoints import Killed, KilledAfter
from tests.hdf5_files import write

CPU = torch.device("cpu")
pytestmark = pytest.mark.usefixtures("one_thread")
STEPS = 3  # an epoch: 22 images in batches of 8, the last one filled up
CONSTANT = [{"first": 1, "every": 1, "factor": 1.0}]
ONE_STEP = {"epochs": 1, "batch_size": 22}


def trained(data: Data, params: Params, checkpoint: Checkpoint, seed: int = 0) -> tuple[Network, list[Epoch]]:
    network = new_network(data, params, seed)
    return network, train(network, data, params, seed, CPU, checkpoint)


def plain_view(image: np.ndarray, flip: bool, shift: list[int]) -> torch.Tensor:
    """Cut an 8x8 window out of the image, mirrored or not, with a grey margin of 1 pixel."""
    canvas = np.zeros((10, 10, 3), dtype=np.float32)
    canvas[1:9, 1:9] = (image[:, ::-1] if flip else image).astype(np.float32) / 255 * 2 - 1
    top, left = 1 + shift[0], 1 + shift[1]
    return torch.from_numpy(canvas[top : top + 8, left : left + 8].transpose(2, 0, 1).copy())


def plain_training(network: Network, data: Data, seed: int, rates: list[tuple[float, float]]) -> list[list[float]]:
    """Train the tiny network; give each epoch's loss and accuracy. Rates are (convolutional, fully connected)."""
    named = list(network.named_parameters())
    groups = [
        {"params": [w for name, w in named if name.startswith("layers.")], "momentum": 0.9, "weight_decay": 0.001},
        {"params": [w for name, w in named if name.startswith("classifier.")], "momentum": 0.8, "weight_decay": 0.01},
    ]
    optimiser = torch.optim.SGD(groups, lr=1, momentum=0.5, nesterov=True, foreach=False)
    batches = Batches(22, 8, seed, CPU, translation=1, flip=True)
    rows = []
    for epoch, pair in enumerate(rates):
        network.train()
        batches.start(epoch)
        losses, hits = [], []
        for group, rate in zip(optimiser.param_groups, pair, strict=True):
            group["lr"] = rate
        for _ in range(STEPS):
            draws = zip(*(drawn.tolist() for drawn in batches.next()), strict=True)
            views = [(plain_view(data.train.images[i], flip, shift), data.train.labels[i]) for i, flip, shift in draws]
            fields = network(torch.stack([view for view, _ in views]))
            labels = torch.tensor([int(label) for _, label in views])
            loss = (fields.logsumexp(1) - fields[torch.arange(8), labels]).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
            hits += (fields.argmax(1) == labels).tolist()
        rows.append([sum(losses) / STEPS, sum(hits) / 24])
    return rows


@pytest.mark.parametrize("seed", [0, 3])
def test_two_epochs_equal_a_plain_loop(seed, data, make_params, checkpoint):
    params = make_params(backbone={"epochs": 2})
    network, history = trained(data, params, checkpoint, seed)
    plain = new_network(data, params, seed)
    rows = plain_training(plain, data, seed, [(0.05, 0.02), (0.025, 0.02)])
    for (name, found), expected in zip(network.state_dict().items(), plain.state_dict().values(), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6, msg=name)
    np.testing.assert_allclose([[row.loss, row.train_accuracy] for row in history[1:]], rows, rtol=0, atol=1e-6)


def update(params: Params, data: Data, checkpoint: Checkpoint) -> tuple[torch.Tensor, torch.Tensor]:
    """What one step adds to the convolutional and to the fully connected weights."""
    network, _ = trained(data, params, checkpoint)
    before = new_network(data, params, 0)
    return tuple(
        torch.cat([(new - old).flatten() for new, old in zip(group.parameters(), first.parameters(), strict=True)])
        for group, first in ((network.layers, before.layers), (network.classifier, before.classifier))
    )


@pytest.mark.parametrize("group", ["convolutional", "fully_connected"])
@pytest.mark.parametrize(
    ("key", "value"), [("learning_rate", 0.1), ("momentum", 0.4), ("momentum", 0.0), ("weight_decay", 0.5)]
)
def test_each_group_has_its_own_rate_momentum_and_weight_decay(group, key, value, data, make_params, checkpoint):
    number = ["convolutional", "fully_connected"].index(group)
    same = {"learning_rate": 0.05, "momentum": 0.9, "weight_decay": 0.001, "decay": CONSTANT}
    rows = {"convolutional_rates": same, "fully_connected_rates": same}
    changed = rows | {f"{group}_rates": same | {key: value}}
    base = update(make_params(backbone=ONE_STEP | rows), data, checkpoint)
    found = update(make_params(backbone=ONE_STEP | changed), data, checkpoint)
    network = new_network(data, make_params(), 0)
    initial = torch.cat([w.detach().flatten() for w in (network.layers, network.classifier)[number].parameters()])
    expected = {
        "learning_rate": base[number] * 2,
        "momentum": base[number] * (1 + value) / 1.9,  # Nesterov's first step goes 1 + momentum gradients far
        "weight_decay": base[number] - 0.05 * 1.9 * 0.499 * initial,
    }
    torch.testing.assert_close(found[number], expected[key], rtol=1e-4, atol=1e-6)
    assert found[number].abs().max() > 1e-3
    assert torch.equal(found[1 - number], base[1 - number])


def test_history_has_a_row_before_training_and_one_an_epoch(data, make_params, checkpoint):
    params = make_params()
    untrained = new_network(data, params, 0)
    network, history = trained(data, params, checkpoint)
    assert [row.epoch for row in history] == [0, 1, 2, 3]
    before = evaluate(untrained, data.test, CPU, "float32")
    assert history[0] == Epoch(0, None, None, None, None, before, None, None)
    assert history[-1].test_accuracy == evaluate(network, data.test, CPU, "float32")
    assert all(math.isfinite(row.loss) and 0 <= row.train_accuracy <= 1 for row in history[1:])
    assert all(row.validation_accuracy is None for row in history)


def test_the_history_so_far_is_given_before_and_after_each_epoch(data, make_params, checkpoint):
    params, seen = make_params(), []
    network = new_network(data, params, seed=1)
    train(network, data, params, 1, torch.device("cpu"), checkpoint, lambda history: seen.append(len(history)))
    assert seen == [1, 2, 3, 4]


def test_history_has_the_accuracy_on_the_validation_set_that_no_training_sees(data, make_params, checkpoint):
    params = make_params()
    held_out = hold_out(data, 9, seed=1)
    network, history = trained(held_out, params, checkpoint, seed=2)
    untrained = new_network(data, params, 2)
    for row, measured in ((history[0], untrained), (history[-1], network)):
        assert row.test_accuracy == evaluate(measured, data.test, CPU, "float32")
        assert row.validation_accuracy == evaluate(measured, held_out.validation, CPU, "float32")
    assert history[0].validation_accuracy < history[-1].validation_accuracy
    without = trained(dataclasses.replace(held_out, validation=None), params, checkpoint, seed=2)[1]
    assert without == [dataclasses.replace(row, validation_accuracy=None) for row in history]


@pytest.mark.parametrize(
    ("full", "epochs_scale", "convolutional", "fully_connected"),
    [
        (3, 1, [0.05, 0.025, 0.0125], [0.02, 0.02, 0.002]),
        (6, 0.5, [0.05, 0.0125, 0.003125], [0.02, 0.002, 2e-5]),  # the paper's epochs 0, 2 and 4
        (1, 3, [0.05, 0.05, 0.05], [0.02, 0.02, 0.02]),
    ],
)
def test_history_has_the_learning_rates_of_both_groups(
    full, epochs_scale, convolutional, fully_connected, data, make_params, checkpoint
):
    params = make_params(backbone={"epochs": full}, epochs_scale=epochs_scale)
    rows = trained(data, params, checkpoint)[1][1:]
    np.testing.assert_allclose([row.learning_rate_convolutional for row in rows], convolutional, rtol=1e-12)
    np.testing.assert_allclose([row.learning_rate_fully_connected for row in rows], fully_connected, rtol=1e-12)


def test_zero_epochs_leave_the_initial_weights_and_one_row(data, make_params, checkpoint):
    params = make_params(backbone={"epochs": 0})
    network, history = trained(data, params, checkpoint)
    assert len(history) == 1 and history[0].loss is None
    for found, initial in zip(network.parameters(), new_network(data, params, 0).parameters(), strict=True):
        assert torch.equal(found, initial)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(data, make_params, checkpoint, tmp_path):
    params = make_params(backbone={"epochs": 1})
    for name, seed in (("first", 4), ("second", 4), ("third", 5)):
        network, history = trained(data, params, checkpoint, seed)
        write(tmp_path / f"{name}.h5", write_network, network)
        write_table(tmp_path / f"{name}.csv", history_table(history))
    for suffix in ("h5", "csv"):
        names = ("first", "second", "third")
        first, second, third = ((tmp_path / f"{name}.{suffix}").read_bytes() for name in names)
        assert first == second != third


def test_initial_weights_depend_on_the_seed_alone(data, make_params):
    torch.manual_seed(123)
    first = new_network(data, make_params(), 7)
    torch.rand(10)
    second = new_network(data, make_params(backbone={"epochs": 9}, precision="bf16"), 7)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first.layers[0][0].weight, new_network(data, make_params(), 8).layers[0][0].weight)


def test_divergence_is_an_error_that_names_the_epoch_and_the_rates(data, make_params, checkpoint):
    rates = {"learning_rate": 1e30, "momentum": 0.5, "weight_decay": 0.0, "decay": CONSTANT}
    message = (
        r"archs\.tiny\.backbone: training has diverged in epoch 1 at learning rates 0\.05 \(convolutional\) "
        r"and 1e\+30 \(fully connected\), the loss is nan; lower learning_rate"
    )
    with pytest.raises(InputError, match=message):
        trained(data, make_params(backbone={"fully_connected_rates": rates}), checkpoint)


@pytest.mark.parametrize("group", ["convolutional", "fully_connected"])
def test_weights_that_the_last_step_spoils_are_refused_although_its_loss_was_finite(
    group, data, make_params, checkpoint
):
    rates = {"learning_rate": 1e38, "momentum": 0.5, "weight_decay": 1e3, "decay": CONSTANT}
    with pytest.raises(InputError, match=r"has diverged in epoch 1 .*1e\+38.*, the loss is \d\.\d+; lower"):
        trained(data, make_params(backbone=ONE_STEP | {f"{group}_rates": rates}), checkpoint)


def test_divergence_leaves_no_out_and_no_checkpoint(data, make_params, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SINGLEFILTER_DEVICE", "cpu")
    monkeypatch.setattr(checkpoints, "SECONDS_BETWEEN", 0)
    rates = {"learning_rate": 1e30, "momentum": 0.5, "weight_decay": 0.0, "decay": CONSTANT}
    params = make_params(backbone={"fully_connected_rates": rates})
    with Workspace(params).write("dataset") as file:
        write_dataset(file, data)
    with pytest.raises(InputError, match="has diverged"):
        train_backbone.main(params, seed=0)
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {"data/dataset.h5", "logs/training/seed0.csv"}


@pytest.mark.parametrize("images_per_pass", [5, 13, 500])
def test_evaluate_equals_a_plain_loop_over_images(images_per_pass, data, make_params, monkeypatch):
    monkeypatch.setattr(training, "PIXELS_PER_PASS", images_per_pass * data.test.images.shape[1] ** 2)
    network = new_network(data, make_params(), 1)
    network.train()
    with torch.no_grad():
        network(scale(torch.from_numpy(data.train.images)))  # the batch-norms' running values are no longer 0 and 1
    found = evaluate(network, data.test, CPU, "float32")
    network.eval()
    hits = 0
    for image, label in zip(data.test.images, data.test.labels, strict=True):
        fields = network(scale(torch.from_numpy(image[None])))[0].tolist()
        hits += fields.index(max(fields)) == label
    assert found == hits / 13
    assert 0 < found < 1


@pytest.mark.parametrize(("size", "images"), [(32, 500), (224, 10), (1024, 1)])
def test_a_pass_of_the_evaluation_has_fewer_images_the_larger_they_are(size, images):
    passes = []

    class Network(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            passes.append(len(images))
            return torch.zeros(len(images), 2)

    split = Split(np.zeros((images + 1, size, size, 3), np.uint8), np.zeros(images + 1, np.int64))
    assert evaluate(Network(), split, CPU, "float32") == 1
    assert passes == [images, 1]


def test_a_log_that_cannot_be_written_does_not_end_the_training(data, make_params, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "logs").write_text("in the way", encoding="utf-8")
    params = make_params()
    with Workspace(params).write("dataset") as file:
        write_dataset(file, data)
    train_backbone.main(params, seed=0)
    assert (tmp_path / "models/backbone/seed0.h5").is_file()
    lines = capsys.readouterr().err.splitlines()
    assert lines and all("logs" in line and line.endswith("; training goes on all the same") for line in lines)


def test_history_is_written_as_csv_with_empty_fields_before_training(tmp_path):
    rows = [Epoch(0, None, None, None, None, 0.25, None, None), Epoch(1, 0.028, 1e-5, 2.5, 0.125, 1.0, 0.75, 0.5)]
    write_table(tmp_path / "history" / "seed0.csv", history_table(rows))
    assert (tmp_path / "history" / "seed0.csv").read_bytes() == (
        b"epoch,learning_rate_convolutional,learning_rate_fully_connected,loss,"
        b"train_accuracy,test_accuracy,validation_accuracy,test_accuracy_without_bias\n"
        b"0,,,,,0.25,,\n"
        b"1,0.028,1e-05,2.5,0.125,1.0,0.75,0.5\n"
    )


def test_output_biases_are_measured_as_trained_and_removed(data, make_params, checkpoint):
    params = make_params(backbone={"output_bias": True, "epochs": 1})
    _, untrained = trained(data, make_params(), checkpoint)
    assert all(row.test_accuracy_without_bias is None for row in untrained)
    network = new_network(data, params, 0)
    network.classifier[-1].bias.data = torch.tensor([0.0, 0.0, 1e3])  # overshadows every field
    history = train(network, data, params, 0, CPU, checkpoint)
    labels = data.test.labels.tolist()
    assert history[0].test_accuracy == labels.count(2) / 13
    state = {name: values for name, values in network.state_dict().items() if not name.startswith("classifier.2.bias")}
    plain = Network(make_params().chosen_arch.backbone, 3, 8)
    plain.load_state_dict(state)
    assert history[-1].test_accuracy_without_bias == evaluate(plain, data.test, CPU, "float32")
    assert history[-1].test_accuracy_without_bias != history[-1].test_accuracy
    assert network.classifier[-1].bias is not None


class KeepsItsOutput(torch.nn.Linear):
    """An output layer of a user's that cannot be copied once it is trained."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        self.kept = super().forward(values)
        return self.kept


def test_a_network_that_keeps_what_it_puts_out_is_trained(data, make_params):
    params = make_params(backbone={"output_bias": True, "epochs": 1})
    network = new_network(data, params, 0)
    inputs = network.classifier[-1].in_features
    network.classifier[-1] = KeepsItsOutput(inputs, 3)
    assert train(network, data, params, 0, CPU)[-1].test_accuracy_without_bias is not None


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("last", [1, 2])
def test_a_resumed_run_ends_as_an_uninterrupted_one(last, precision, data, make_params, tmp_path, monkeypatch):
    params = make_params(precision=precision)
    network, history = trained(data, params, Checkpoint(tmp_path / "unused", {}))
    monkeypatch.setattr(checkpoints, "SECONDS_BETWEEN", 0)
    steps = Mock(wraps=training.augment)
    monkeypatch.setattr(training, "augment", steps)
    with pytest.raises(Killed):
        trained(data, params, KilledAfter(tmp_path / "checkpoints", last))
    assert steps.call_count == last * STEPS
    resumed = new_network(data, params, seed=99)  # its weights are to come from the checkpoint
    resumed_history = train(resumed, data, params, 0, CPU, Checkpoint(tmp_path / "checkpoints", {}))
    assert steps.call_count == 3 * STEPS
    assert resumed_history == history
    write(tmp_path / "whole.h5", write_network, network)
    write(tmp_path / "resumed.h5", write_network, resumed)
    assert (tmp_path / "whole.h5").read_bytes() == (tmp_path / "resumed.h5").read_bytes()


def test_a_run_without_momentum_resumes_too(data, make_params, tmp_path, monkeypatch):
    rates = {"learning_rate": 0.05, "momentum": 0.0, "weight_decay": 0.001, "decay": CONSTANT}
    params = make_params(backbone={"convolutional_rates": rates, "fully_connected_rates": rates})
    history = trained(data, params, Checkpoint(tmp_path / "unused", {}))[1]
    monkeypatch.setattr(checkpoints, "SECONDS_BETWEEN", 0)
    with pytest.raises(Killed):
        trained(data, params, KilledAfter(tmp_path / "checkpoints", 1))
    assert trained(data, params, Checkpoint(tmp_path / "checkpoints", {}))[1] == history


def test_bf16_trains_near_float32_with_weights_in_float32(data, make_params, checkpoint):
    network, history = trained(data, make_params(precision="bf16"), checkpoint)
    exact = trained(data, make_params(), checkpoint)[1]
    assert history[-1].loss < 0.9 * history[1].loss
    assert history[1].loss != exact[1].loss
    assert history[1].loss == pytest.approx(exact[1].loss, rel=0.02)
    assert all(weights.dtype == torch.float32 for weights in network.parameters())


def test_what_the_disk_cannot_hold_is_refused_before_training(data, make_params, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    usage = SimpleNamespace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    params = make_params()
    network = new_network(data, params, 0)

    def require(free: int, refused: str) -> None:
        usage.free = free
        train_backbone.require_room(network, data, params, 0)
        usage.free -= 1
        with pytest.raises(InputError, match=f"^{refused} is to hold .* GiB, .*; free the rest, or "):
            train_backbone.require_room(network, data, params, 0)

    features = 2 * (22 + 13) * (4 * 4 * 4 + 6 * 4 * 4)  # two layers' outputs in float16
    with monkeypatch.context() as patched:
        patched.setattr(train_backbone, "COPIES", 0)
        require(features, "features")
    old = tmp_path / "features" / "seed0" / "layer1.h5"  # goes before the new ones come
    old.parent.mkdir()
    old.write_bytes(bytes(features))
    weights = sum(values.element_size() * values.numel() for values in network.state_dict().values())
    require(7 * weights, "models")


def test_success_rates_are_measured_in_the_runs_precision(data, make_params):
    params, seen = make_params(precision="bf16", backbone={"epochs": 1}), []
    network = new_network(data, params, 0)
    network.output_layer.register_forward_hook(lambda layer, _, fields: seen.append((network.training, fields.dtype)))
    train(network, data, params, 0, CPU)
    assert {*seen} == {(True, torch.bfloat16), (False, torch.bfloat16)}
