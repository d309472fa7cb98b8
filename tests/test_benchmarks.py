"""Benchmarks: the textbook way and ours compute the same, so that their times may be compared."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from singlefilter.data.dataset import Split
from singlefilter.filters.matrices import filter_matrices
from singlefilter.pipeline.params import Params
from tests.benchmarks import gpu, heads, training_step
from tests.benchmarks.cluster_statistics import our_statistics, random_fields, textbook_statistics
from tests.benchmarks.filter_matrices import silence_others
from tests.benchmarks.harness import judged, ratios, row, table, time_in_turn
from tests.benchmarks.synthetic import random_data, random_features, random_head, random_labels, random_split
from tests.robustness import long

CPU = torch.device("cpu")
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def one_batch_params(make_params: Callable[..., Params]) -> Params:
    """One epoch whose only batch has all 12 images, so that their order does not matter; nothing is moved."""
    dataset = {"source": "class_folders", "image_size": 32, "flip": False, "translation": 0}
    return make_params(
        backbone={"batch_size": 12, "convolutions": [4, "M", 6, "A4"], "epochs": 1},
        heads={"batch_size": 12, "epochs": 1},
        datasets={"tiny": dataset},
    )


def test_training_steps_are_the_same(one_batch_params):
    split = random_split(12, seed=0)
    textbook = training_step.TextbookTraining(split, one_batch_params, CPU, workers=0)
    ours = training_step.OurTraining(split, one_batch_params, CPU)
    for ours_weights, weights in zip(ours.network.parameters(), textbook.network.parameters(), strict=True):
        ours_weights.data.copy_(weights.data)
    losses = [(textbook.epoch(), ours.epoch()) for _ in range(3)]
    np.testing.assert_allclose(*np.array(losses).T, rtol=1e-5)
    assert losses[-1][0] < losses[0][0] - 0.01  # it learns


def test_all_epochs_are_the_first_and_as_many_of_the_others(one_batch_params, monkeypatch):
    seconds = {1: 10.0, 3: 14.0}  # 2 an epoch, 8 to start with
    arch = one_batch_params.chosen_arch
    long = arch.model_copy(update={"backbone": arch.backbone.model_copy(update={"epochs": 200})})
    params = one_batch_params.model_copy(update={"archs": {"tiny": long}})
    monkeypatch.setattr(gpu, "seconds_of_training", lambda params, data, epochs, device: seconds[epochs])
    assert gpu.seconds_of_all_epochs(params, None, CPU) == (2.0, 8.0 + 200 * 2.0)
    monkeypatch.undo()
    trained = []
    monkeypatch.setattr(
        gpu, "train", lambda network, data, params, *rest: trained.append(params.chosen_arch.backbone.epochs)
    )
    gpu.seconds_of_training(params, random_data(12, 4), 3, CPU)
    assert trained == [3]


def test_textbook_images_are_moved_as_ours(make_params):
    params = make_params(
        datasets={"tiny": {"source": "class_folders", "image_size": 8, "flip": False, "translation": 1}}
    )
    images = np.full((1, 8, 8, 3), 255, np.uint8)
    dataset = training_step.Images(
        Split(images, np.array([2])), training_step.textbook_transform(params.chosen_dataset)
    )
    torch.manual_seed(0)
    drawn = torch.stack([dataset[0][0] for _ in range(200)])
    greys = (drawn - 1).abs() > 0.5
    assert torch.allclose(drawn[greys], torch.tensor(128 / 255 * 2 - 1), atol=1e-6)
    patterns = {tuple(grey[0].flatten().tolist()) for grey in greys}
    assert len(patterns) == 9  # each axis by -1, 0 or 1
    assert dataset[0][1] == 2


def test_heads_are_the_same(one_batch_params, tmp_path: Path):
    labels = torch.from_numpy(random_labels(12, 10, seed=1))
    features = {1: torch.from_numpy(random_features(12, 4, 9, seed=2))}
    flat = {1: features[1].flatten(1)}
    initial = one_batch_params.model_copy(update={"archs": _without_epochs(one_batch_params)})
    textbook = heads.FromTensors(flat, labels, one_batch_params)
    textbook.heads[1].linear.weight.data = heads.train_quietly(features, labels, 10, initial, tmp_path)[1].flatten(1)
    textbook.epoch()
    ours = heads.train_quietly(features, labels, 10, one_batch_params, tmp_path)
    torch.testing.assert_close(ours[1].flatten(1), textbook.heads[1].linear.weight.data)


def test_heads_from_files_see_the_images_of_the_file(one_batch_params, tmp_path: Path):
    heads.write_random_features(tmp_path, {1: (4, 9), 2: (6, 1)}, "train", 12)
    features, labels = heads.read_features(tmp_path, (1, 2))
    dataset = heads.FeatureFile(tmp_path / "layer1.h5")
    assert len(dataset) == 12
    assert torch.equal(dataset[5][0], features[1][5].flatten().float())
    assert dataset[5][1] == labels[5]
    way = heads.FromFiles(tmp_path, one_batch_params, 6, workers=0)
    before = [head.linear.weight.detach().clone() for head, _ in way.items]
    way.epoch()
    assert all((head.linear.weight != weights).any() for (head, _), weights in zip(way.items, before, strict=True))


def test_silencing_gives_our_matrices():
    values, labels = random_features(40, 5, 4, seed=0), random_labels(40, 3, seed=0)
    values[0] = 0  # decided by no filter
    weights = random_head(3, 5, 4)
    ours = filter_matrices([(values[:25], labels[:25]), (values[25:], labels[25:])], weights, CPU)
    inputs = torch.from_numpy(values).flatten(1).float()
    batches = list(zip(inputs.split(7), torch.from_numpy(labels).split(7), strict=True))
    for chosen in range(5):
        fields, decisions = silence_others(batches, torch.from_numpy(weights), chosen)
        np.testing.assert_allclose(fields, ours.fields[chosen], rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(decisions, ours.decisions[chosen])


@pytest.mark.parametrize(("filters", "labels"), [(20, 10), (3, 30)])
def test_textbook_statistics_are_ours(filters, labels):
    fields = random_fields(filters, labels)
    fields[1] = -1  # silent
    textbook, ours = textbook_statistics(fields, 0.3), our_statistics(fields, 0.3)
    assert textbook == pytest.approx({name: ours[name] for name in textbook})
    assert textbook["clusters"] > 1


def test_ways_are_timed_in_turn():
    calls = []
    ways = {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}
    seconds = time_in_turn(ways, repeats=2)
    assert calls == ["a", "b"] * 3  # the first round is not timed
    assert {name: values.shape for name, values in seconds.items()} == {"a": (2,), "b": (2,)}


def test_ratio_is_the_median_of_neighbours():
    textbook, ours = np.array([2.0, 9.0, 8.0]), np.array([1.0, 3.0, 1.0])
    assert ratios(textbook, ours) == (3, 2, 8)
    cells = row("all of it", textbook, ours, least=3, aims=[judged("≤ 1 s", False)])
    assert cells == ["all of it", "8 s", "1 s", "3 (2–8)", "–", "≥ 3×: reached; ≤ 1 s: missed"]
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


@pytest.mark.skipif(sys.platform != "linux", reason="reads the resident memory from /proc")
@pytest.mark.parametrize("train", [long.train_backbone, long.train_heads])
def test_a_long_training_notes_its_memory_after_each_epoch_but_the_last(train):
    resident = train(epochs=3, images=200)
    assert len(resident) == 2 and min(resident) > 2**20


def _without_epochs(params: Params) -> dict:
    arch = params.chosen_arch
    heads_row = arch.heads.model_copy(update={"epochs": 0})
    return {"tiny": arch.model_copy(update={"heads": heads_row})}
