"""Heads: against torch.nn.Linear and torch.optim.SGD in a plain loop, and one by one against all in one pass."""

from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from singlefilter.backbone.network import Network
from singlefilter.backbone.store import write_network
from singlefilter.data.dataset import Split
from singlefilter.data.store import write_dataset
from singlefilter.features.store import LayerFeatures, write_largest, write_scales
from singlefilter.heads import train as heads
from singlefilter.heads.store import read_head, write_heads
from singlefilter.heads.train import StoredFeatures, accuracy, train_heads
from singlefilter.pipeline import console as progress
from singlefilter.pipeline.artifacts import Workspace, path_of
from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.params import Params
from singlefilter.training import checkpoint as checkpoints
from singlefilter.training.batches import Batches
from singlefilter.training.checkpoint import Checkpoint
from stages import train_heads as stage
from tests.checkpoints import Killed, KilledAfter
from tests.hdf5_files import read, write

CPU = torch.device("cpu")
pytestmark = pytest.mark.usefixtures("one_thread")
IMAGES, LABEL_COUNT = 22, 3
STEPS = 3  # an epoch: 22 images in batches of 8, the last one filled up


@pytest.fixture
def labels() -> Tensor:
    return torch.from_numpy(np.random.default_rng(1).integers(LABEL_COUNT, size=IMAGES))


@pytest.fixture
def features() -> dict[int, Tensor]:
    """Layers 2 and 13 with 4 filters of 9 positions and 6 filters of 1."""
    generator = np.random.default_rng(2)
    shapes = {2: (IMAGES, 4, 9), 13: (IMAGES, 6, 1)}
    return {layer: torch.from_numpy(generator.random(shape)).half() for layer, shape in shapes.items()}


@pytest.fixture
def train(features, labels, checkpoint):
    def run(params: Params, layers: tuple[int, ...] = (2, 13), seed: int = 0) -> dict[int, Tensor]:
        chosen = {layer: features[layer] for layer in layers}
        return train_heads(StoredFeatures(chosen), labels, LABEL_COUNT, params, seed, checkpoint)

    return run


def plain_head(
    initial: Tensor, features: Tensor, labels: Tensor, seed: int, decay: float, rates: list[float]
) -> Tensor:
    head = nn.Linear(initial[0].numel(), LABEL_COUNT, bias=False)
    head.weight.data = initial.flatten(1).clone()
    optimiser = torch.optim.SGD(head.parameters(), lr=1, momentum=0.9, weight_decay=decay, nesterov=True, foreach=False)
    batches = Batches(IMAGES, 8, seed, CPU)
    for epoch, rate in enumerate(rates):
        optimiser.param_groups[0]["lr"] = rate
        batches.start(epoch)
        for _ in range(STEPS):
            images = batches.next()[0].tolist()
            inputs = torch.stack([features[image].float().flatten() for image in images])
            loss = nn.functional.cross_entropy(head(inputs), torch.tensor([int(labels[image]) for image in images]))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return head.weight.detach().view(initial.shape)


@pytest.mark.parametrize(
    ("full", "epochs_scale", "rates"),
    [(3, 1, [0.1, 0.06, 0.036]), (4, 0.5, [0.1, 0.036])],  # the latter with the paper's epochs 0 and 2
)
@pytest.mark.parametrize(("decay", "seed"), [(0.0, 0), (0.02, 0), (0.5, 6)])
def test_heads_equal_a_plain_loop(full, epochs_scale, rates, decay, seed, train, features, labels, make_params):
    initial = train(make_params(heads={"epochs": 0}), seed=seed)
    found = train(make_params(heads={"epochs": full, "weight_decay": decay}, epochs_scale=epochs_scale), seed=seed)
    for layer, weights in found.items():
        expected = plain_head(initial[layer], features[layer], labels, seed, decay, rates)
        assert weights.dtype == torch.float32
        assert weights.shape == (LABEL_COUNT, *features[layer].shape[1:])
        torch.testing.assert_close(weights, expected, rtol=0, atol=1e-6)
        assert (weights - initial[layer]).abs().max() > 0.05


def test_heads_trained_in_one_pass_equal_heads_trained_one_by_one(train, make_params):
    params = make_params()
    together = train(params)
    for layer in (2, 13):
        assert torch.equal(together[layer], train(params, layers=(layer,))[layer])
    reversed_order = train(params, layers=(13, 2))
    assert all(torch.equal(together[layer], reversed_order[layer]) for layer in (2, 13))


def test_zero_epochs_give_initial_weights_of_the_frameworks_range(train, features, make_params):
    params = make_params(heads={"epochs": 0})
    initial = train(params)
    for layer, inputs in ((2, 36), (13, 6)):
        draws = np.random.default_rng([0, layer]).uniform(-(inputs**-0.5), inputs**-0.5, LABEL_COUNT * inputs)
        np.testing.assert_allclose(initial[layer].flatten().numpy(), draws, rtol=1e-6)
    assert torch.equal(initial[2], train(params)[2])
    assert not torch.equal(initial[2], train(params, seed=1)[2])


def test_another_seed_gives_other_heads_and_the_same_seed_the_same(train, make_params):
    params = make_params()
    first, second, third = (train(params, seed=seed)[2] for seed in (3, 3, 4))
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


def test_divergence_names_the_layer_the_epoch_and_the_rate(train, features, make_params):
    features[2].zero_()  # this head stays as it is
    params = make_params(heads={"learning_rate": 1e38, "weight_decay": 0.0, "batch_size": IMAGES})
    message = (
        r"archs\.tiny\.heads: layer 13: the head has diverged in epoch 2 at learning rate 6e\+37, "
        r"its loss is (nan|inf); lower learning_rate or momentum"
    )
    with pytest.raises(InputError, match=message):
        train(params)


def test_weights_that_the_last_step_spoils_are_refused_although_every_loss_was_finite(train, make_params):
    params = make_params(heads={"learning_rate": 1e38, "weight_decay": 1e3, "epochs": 1, "batch_size": IMAGES})
    message = r"layer 2: the head has diverged in epoch 1 at learning rate 1e\+38, its loss is \d\.\d+; lower"
    with pytest.raises(InputError, match=message):
        train(params)


def test_progress_tells_the_mean_loss_of_each_epoch(train, features, labels, make_params, capsys, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN", 0)
    params = make_params(heads={"learning_rate": 0.0, "batch_size": IMAGES})
    weights = train(params)
    losses = [
        nn.functional.cross_entropy(features[layer].float().flatten(1) @ weights[layer].flatten(1).T, labels)
        for layer in (2, 13)
    ]
    _, *lines = capsys.readouterr().out.splitlines()  # the first before any epoch
    assert len(lines) == 3
    assert all(f"loss: layer 2 {losses[0]:.3f}, layer 13 {losses[1]:.3f}," in line for line in lines)


@pytest.mark.parametrize("done", [1, 2])
def test_resumed_heads_equal_uninterrupted_ones(done, features, labels, make_params, tmp_path, monkeypatch):
    params = make_params()
    stored, folder = StoredFeatures(features), tmp_path / "checkpoints"
    whole = train_heads(stored, labels, LABEL_COUNT, params, 0, Checkpoint(tmp_path / "unused", {}))
    monkeypatch.setattr(checkpoints, "SECONDS_BETWEEN", 0)
    losses = Mock(wraps=nn.functional.cross_entropy)
    monkeypatch.setattr(nn.functional, "cross_entropy", losses)
    with pytest.raises(Killed):
        train_heads(stored, labels, LABEL_COUNT, params, 0, KilledAfter(folder, done))
    assert losses.call_count == done * STEPS * len(features)
    resumed = train_heads(stored, labels, LABEL_COUNT, params, 0, Checkpoint(folder, {}))
    assert losses.call_count == 3 * STEPS * len(features)
    assert all(torch.equal(resumed[layer], whole[layer]) for layer in features)


def plain_accuracy(features: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    """The fraction of images (N, F, H, W) that a head (K, F, S) gets right, in float64."""
    outputs = features.reshape(len(labels), -1).astype(np.float64) @ weights.reshape(LABEL_COUNT, -1).T
    return sum(int(np.argmax(row)) == label for row, label in zip(outputs, labels, strict=True)) / len(labels)


@pytest.fixture
def stage_inputs(data, make_params, tmp_path, monkeypatch):
    """Gives a function that writes what the stage reads, so many images a split, and returns features and labels."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SINGLEFILTER_DEVICE", "cpu")

    def write_inputs(counts: dict[str, int]) -> tuple[dict[tuple[int, str], np.ndarray], dict[str, np.ndarray]]:
        generator = np.random.default_rng(8)
        scales = {1: np.float32([1, 0.5, 2**-40, 4]), 2: np.float32([1, 1, 2, 2, 8, 2**-30])}
        labels = {split: generator.integers(LABEL_COUNT, size=count) for split, count in counts.items()}
        features = {
            (layer, split): generator.random((count, filters, 2, 2)).astype(np.float16)
            for layer, filters in ((1, 4), (2, 6))
            for split, count in counts.items()
        }
        files, pixels = Workspace(make_params()), np.zeros((22, 8, 8, 3), dtype=np.uint8)
        with files.write("dataset") as file:
            write_dataset(file, replace(data, train=Split(pixels, labels["train"])))
        with files.read("dataset"), files.write("backbone", seed=0) as file:
            write_network(file, Network(make_params().chosen_arch.backbone, 3, image_size=8))
        with files.read("backbone", seed=0):
            pass
        for layer in (1, 2):
            with files.write("features", seed=0, layer=layer) as file:
                file.attrs["class_names"] = ["red", "green", "blue"]
                write_scales(file, scales[layer])
                write_largest(file, scales[layer])
                for split in counts:
                    file[f"{split}/features"], file[f"{split}/labels"] = features[layer, split], labels[split]
        outputs = {place: values * scales[place[0]][:, None, None] for place, values in features.items()}
        return outputs, labels

    return write_inputs


@pytest.mark.parametrize("counts", [{"train": 22, "test": 41}, {"train": 22, "test": 41, "validation": 31}])
def test_the_stage_measures_every_head_on_every_set(counts, make_params, stage_inputs):
    features, labels = stage_inputs(counts)
    stage.main(make_params(), 0)
    for layer in (1, 2):
        weights, accuracies = read(path_of("heads", seed=0), read_head, layer)
        assert accuracies == {
            f"{split}_accuracy": plain_accuracy(features[layer, split], labels[split], weights) for split in counts
        }
        assert len({*accuracies.values()}) == len(counts)


def test_features_stay_in_their_files_and_give_the_heads_that_they_give_in_memory(
    make_params, stage_inputs, monkeypatch
):
    stage_inputs({"train": 22, "test": 41})
    with monkeypatch.context() as patched:
        patched.setattr(LayerFeatures, "mapped", lambda file, split: file.whole(split)[0])
        stage.main(make_params(), 0)
    whole = Path("models/heads/seed0.h5").read_bytes()
    Path("models/heads/seed0.h5").unlink()
    mapped = Mock(side_effect=LayerFeatures.mapped, autospec=True)
    monkeypatch.setattr(LayerFeatures, "mapped", lambda *arguments: mapped(*arguments))
    stage.main(make_params(), 0)
    assert Path("models/heads/seed0.h5").read_bytes() == whole
    assert [call.args[1] for call in mapped.call_args_list] == ["train", "train"]


def test_a_filters_scale_changes_nothing_but_the_step_that_its_gradient_takes(features, labels, make_params):
    """Features of which a filter is stored on another scale are the same features."""
    scales = {2: torch.tensor([1, 2.0**-10, 8, 1]), 13: torch.tensor([1.0] * 6)}
    stored = {layer: (values.float() / scales[layer][:, None]).half() for layer, values in features.items()}
    plain, scaled = StoredFeatures(features), StoredFeatures(stored, scales)
    one, other = (train_heads(given, labels, LABEL_COUNT, make_params(), 0) for given in (plain, scaled))
    assert all(torch.equal(one[layer], other[layer]) for layer in features)


@pytest.mark.parametrize("elements", [1, 36 * 5, 36 * 22, 2**25])
def test_accuracy_equals_a_plain_loop(elements, features, labels, monkeypatch):
    monkeypatch.setattr(heads, "ELEMENTS_PER_PASS", elements)
    weights = torch.from_numpy(np.random.default_rng(3).standard_normal((LABEL_COUNT, 4, 9), dtype=np.float32))
    hits = 0
    for image, label in zip(features[2].double().flatten(1).tolist(), labels.tolist(), strict=True):
        fields = [
            sum(w * a for w, a in zip(output, image, strict=True)) for output in weights.double().flatten(1).tolist()
        ]
        hits += fields.index(max(fields)) == label
    assert accuracy(features[2], labels, weights) == hits / IMAGES
    assert 0 < hits < IMAGES


def test_heads_are_read_as_they_were_written(train, make_params, tmp_path):
    weights = train(make_params())
    accuracies = {2: {"train_accuracy": 0.75, "test_accuracy": 0.5}, 13: {"train_accuracy": 1.0, "test_accuracy": 0.25}}
    path = tmp_path / "heads" / "seed0.h5"
    write(path, write_heads, weights, accuracies)
    for layer in (2, 13):
        found, found_accuracies = read(path, read_head, layer)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, weights[layer].numpy())
        assert found_accuracies == accuracies[layer]
    write(tmp_path / "again.h5", write_heads, weights, accuracies)
    assert path.read_bytes() == (tmp_path / "again.h5").read_bytes()
