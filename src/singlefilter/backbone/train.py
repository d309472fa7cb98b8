"""Phase 1: a backbone trained by SGD with the paper's schedules, stopped and resumed at any epoch."""

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from singlefilter.backbone.network import Trainable, build_network
from singlefilter.data.dataset import Data, Split
from singlefilter.pipeline.console import progress
from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.params import Params, Rates
from singlefilter.training import ranks
from singlefilter.training.augment import augment, scale
from singlefilter.training.batches import Batches
from singlefilter.training.checkpoint import Checkpoint
from singlefilter.training.device import autocast
from singlefilter.training.sgd import all_finite, nesterov, optimiser_state, restore_optimiser, set_rates
from singlefilter.training.step import Step

PIXELS_PER_PASS = 500 * 32**2  # in evaluation, and at least one image; bounds the memory of the activations


@dataclasses.dataclass(frozen=True)
class Epoch:
    """What an epoch gave; epoch 0 is the state before any training, and has only the accuracies of the other splits.

    Training accuracy and loss are means over the epoch's augmented images while the weights change. The test accuracy
    is None where there is no test set, the validation accuracy where nothing is held out, the one without bias where
    the output layer has none.
    """

    epoch: int
    learning_rate_convolutional: float | None
    learning_rate_fully_connected: float | None
    loss: float | None
    train_accuracy: float | None
    test_accuracy: float | None
    validation_accuracy: float | None
    test_accuracy_without_bias: float | None


def new_network(data: Data, params: Params, seed: int) -> Trainable:
    """Build the chosen network with initial weights that depend on the seed alone, or with those its row asks for."""
    torch.manual_seed(seed)
    network = build_network(params.chosen_arch.backbone, len(data.class_names), data.train.images.shape[1])
    if not network.backbone.is_chain:
        from singlefilter.backbone.weights import load_weights  # and with it torchvision, which takes a second

        network.require_layers(params.chosen_arch.examined_layers)
        load_weights(network)
    return network


def train(
    network: Trainable,
    data: Data,
    params: Params,
    seed: int,
    device: torch.device,
    checkpoint: Checkpoint | None = None,
    callback: Callable[[list[Epoch]], None] | None = None,
) -> list[Epoch]:
    """Train a network in place with cross-entropy and two groups of weights (SI, Optimization and Hyper-parameters).

    Args:
        network: The network with its initial weights; it ends on `device`.
        data: The images. The test set is only measured: the success rate is that after the last epoch.
        params: The rates, epochs, precision and augmentation.
        seed: The sample's seed, for the order and the augmentation of the images.
        device: Where to train.
        checkpoint: Where the state is kept, if at all; training goes on from what it holds.
        callback: Called with the rows so far, before the first epoch that is trained and after each; on the first of
            several ranks alone.

    Returns:
        A row for the state before training and one for each epoch.

    Raises:
        InputError: The loss or a weight is no longer finite.
    """
    epochs = params.epochs(network.backbone.epochs)
    network.to(device)
    run = _Training(ranks.synchronise(network) if epochs else network, data.train, params, seed, device)
    history = run.restore(ranks.from_first(checkpoint.load) if checkpoint else None)
    if not history:
        history.append(Epoch(0, None, None, None, None, **_accuracies(network, data, device, params.precision)))
    if callback and ranks.leads():
        callback(history)
    first = len(history) - 1
    label = f"{params.arch} on {data.name}, sample {seed}"
    bar = progress(range(first, epochs), label, "epoch", initial=first, total=epochs)
    for epoch in bar:
        rates = [params.rate(group, epoch) for _, group in _groups(network)]
        loss, train_accuracy = run.epoch(epoch, rates)
        if not (math.isfinite(loss) and all_finite(network.parameters())):
            raise InputError(
                f"archs.{params.arch}.backbone: training has diverged in epoch {epoch + 1} at learning rates "
                f"{rates[0]:g} (convolutional) and {rates[1]:g} (fully connected), the loss is {loss:g}; "
                "lower learning_rate or momentum"
            )
        accuracies = _accuracies(network, data, device, params.precision)
        history.append(Epoch(epoch + 1, *rates, loss, train_accuracy, **accuracies))
        test = f", on the test set {accuracies['test_accuracy']:.3f}" if data.test else ""
        bar.set_postfix_str(f"loss {loss:.3f}, accuracy {train_accuracy:.3f}{test}", refresh=False)
        if not ranks.leads():
            continue
        if callback:
            callback(history)
        if checkpoint and epoch + 1 < epochs:
            checkpoint.save_if_due(run.state(history))
    return history


@torch.no_grad()
def evaluate(network: Trainable, split: Split, device: torch.device, precision: str) -> float:
    """Measure a network's success rate: the fraction of images whose label has the largest output field."""
    network.eval()
    correct = torch.zeros((), dtype=torch.int64, device=device)
    images_per_pass = max(PIXELS_PER_PASS // split.images[0, ..., 0].size, 1)
    for start in range(ranks.rank() * images_per_pass, len(split.labels), ranks.count() * images_per_pass):
        images = torch.from_numpy(split.images[start : start + images_per_pass]).to(device)
        labels = torch.from_numpy(split.labels[start : start + images_per_pass]).to(device)
        with autocast(device, precision):
            correct += (network(scale(images)).argmax(1) == labels).sum()
    ranks.add(correct)
    return correct.item() / len(split.labels)


@contextmanager
def without_output_bias(network: Trainable) -> Iterator[None]:
    """Take the biases from a network's output layer within the block (SI, Architectures)."""
    layer = network.output_layer
    bias, layer.bias = layer.bias, None
    try:
        yield
    finally:
        layer.bias = bias


def history_table(history: Iterable[Epoch]) -> pd.DataFrame:
    """Give the rows of a training as a table; what epoch 0 lacks is NaN."""
    return pd.DataFrame(map(dataclasses.asdict, history))


def _accuracies(network: Trainable, data: Data, device: torch.device, precision: str) -> dict[str, float | None]:
    def measured(split: Split | None) -> float | None:
        return evaluate(network, split, device, precision) if split else None

    accuracies = {"test_accuracy": measured(data.test), "validation_accuracy": measured(data.validation)}
    if getattr(network.output_layer, "bias", None) is None:
        return accuracies | {"test_accuracy_without_bias": None}
    with without_output_bias(network):
        return accuracies | {"test_accuracy_without_bias": measured(data.test)}


def _groups(network: Trainable) -> list[tuple[Iterable[Tensor], Rates]]:
    """Give the two groups of weights, each with its rates."""
    first, last = network.weight_groups()
    return [(first, network.backbone.convolutional_rates), (last, network.backbone.fully_connected_rates)]


class _Training:
    """A network in training: images on the device, optimiser, and the step that goes through them."""

    def __init__(self, network: Trainable, split: Split, params: Params, seed: int, device: torch.device):
        row = params.chosen_dataset
        self.network, self.device, self.precision, self.seed = network, device, params.precision, seed
        self.images = torch.from_numpy(split.images).to(device)
        self.labels = torch.from_numpy(split.labels).to(device)
        size = network.backbone.batch_size
        self.batches = Batches(len(split.labels), size, seed, device, row.translation, row.flip)
        self.optimiser = nesterov(_groups(network), device)
        self.loss = torch.zeros((), device=device)
        self.correct = torch.zeros((), dtype=torch.int64, device=device)
        self.step = Step(self._step, device)

    def epoch(self, epoch: int, rates: list[float]) -> tuple[float, float]:
        """Train for one epoch; give the mean loss and the fraction of images that were right."""
        self.network.train()
        # Dropout and its like draw from here; a resumed run draws as one that was not stopped.
        torch.manual_seed(int(np.random.SeedSequence([self.seed, epoch, ranks.rank()]).generate_state(1)[0]))
        self.batches.start(epoch)
        set_rates(self.optimiser, rates)
        self.loss.zero_()
        self.correct.zero_()
        for _ in range(self.batches.steps):
            self.step()
        ranks.add(self.loss)
        ranks.add(self.correct)
        return self.loss.item() / self.batches.steps, self.correct.item() / (self.batches.steps * self.batches.size)

    def _step(self) -> None:
        index, flips, shifts = ranks.part(*self.batches.next())
        images, labels = augment(self.images[index], flips, shifts), self.labels[index]
        with autocast(self.device, self.precision):
            fields = self.network(images)
            loss = nn.functional.cross_entropy(fields, labels) * (len(labels) / self.batches.size)
        self.optimiser.zero_grad()
        loss.backward()
        ranks.add_gradients(self.network.parameters())
        self.optimiser.step()
        self.loss += loss.detach()
        self.correct += (fields.argmax(1) == labels).sum()

    def state(self, history: list[Epoch]) -> dict:
        return {
            "network": self.network.state_dict(),
            "optimiser": optimiser_state(self.optimiser),
            "history": [dataclasses.asdict(row) for row in history],
        }

    def restore(self, state: dict | None) -> list[Epoch]:
        if state is None:
            return []
        assert not self.step.is_recorded, "a recorded step goes on with the momenta that it has"
        self.network.load_state_dict(state["network"])
        restore_optimiser(self.optimiser, state["optimiser"])
        return [Epoch(**row) for row in state["history"]]
