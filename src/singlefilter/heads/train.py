"""Phase 2: a linear head on each examined layer, all heads of a sample trained in one pass over shared batches."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from singlefilter.pipeline.console import progress
from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.params import Heads, LayerName, Params, layer_key, layer_text
from singlefilter.training import ranks
from singlefilter.training.batches import Batches
from singlefilter.training.checkpoint import Checkpoint
from singlefilter.training.matmul import linear
from singlefilter.training.sgd import all_finite, nesterov, optimiser_state, restore_optimiser, set_rates
from singlefilter.training.step import Step

ELEMENTS_PER_PASS = 2**25  # features turned into float32 at a time in measuring accuracy


class Features(Protocol):
    """What heads are trained on.

    Attributes:
        shapes: For each layer its number of filters and of positions, (F, S).
        translation: The largest translation of an image, in pixels, that `rows` is asked for.
        flip: Whether it is asked for mirrored images.
        on_device: Whether they are where the heads are trained.
    """

    shapes: Mapping[LayerName, tuple[int, int]]
    translation: int
    flip: bool
    on_device: bool

    def rows(self, index: Tensor, flips: Tensor, shifts: Tensor) -> Iterator[tuple[LayerName, Tensor]]:
        """Give a step's features, a layer after the other.

        Args:
            index: Which images, int64 (n,).
            flips: Which of them are mirrored, bool (n,).
            shifts: Where the window lies on each, as augment takes it, int64 (n, 2).

        Yields:
            A layer and its outputs, float32 (n, F * S).
        """


class StoredFeatures:
    """Outputs for the plain images, as extract_features stores them.

    Args:
        features: For each layer float16 or float32 (N, F, S), all on the device of the heads, or all in main memory
            or files.
        scales: For each layer what its filters are multiplied by, float32 (F,), on the heads' device; without, nothing
            is.
        on_device: Whether the features are on the heads' device.
    """

    translation, flip = 0, False

    def __init__(
        self,
        features: Mapping[LayerName, Tensor],
        scales: Mapping[LayerName, Tensor] | None = None,
        on_device: bool = True,
    ):
        self.on_device = on_device
        self.shapes = {layer: (values.shape[1], values.shape[2]) for layer, values in features.items()}
        self._inputs = {layer: values.flatten(1) for layer, values in features.items()}  # (N, F, S) -> (N, F * S)
        self._scales = {
            layer: values.repeat_interleave(self.shapes[layer][1])  # (F,) -> (F * S,)
            for layer, values in (scales or {}).items()
        }

    def rows(self, index: Tensor, flips: Tensor, shifts: Tensor) -> Iterator[tuple[LayerName, Tensor]]:
        """Give a step's features by layer; see Features."""
        there = index if self.on_device else index.cpu()
        for layer, values in self._inputs.items():
            rows = values.index_select(0, there).to(index.device)
            yield layer, rows * self._scales[layer] if self._scales else rows.float()


def train_heads(
    features: Features,
    labels: Tensor,
    label_count: int,
    params: Params,
    seed: int,
    checkpoint: Checkpoint | None = None,
    name_of: Callable[[LayerName], str] = layer_text,
) -> dict[LayerName, Tensor]:
    """Train one linear layer without bias on each layer's features (SI, Training the fully connected layer).

    A head's result does not depend on which other heads are trained beside it: they share the order of the images
    and nothing else.

    Args:
        features: The layers' outputs for the N images of the training set, as each step asks for them.
        labels: int64 (N,), on the device where the heads are trained.
        label_count: The number of output labels, K.
        params: The heads' rates and epochs.
        seed: The sample's seed, for initial weights and the order of the images.
        checkpoint: Where the state is kept, if at all; training goes on from what it holds.
        name_of: Names a layer to the reader.

    Returns:
        For each layer the head's weights, float32 (K, F, S).

    Raises:
        InputError: A loss or a weight is no longer finite.
    """
    heads = params.chosen_arch.heads
    run = _Training(features, labels, label_count, heads, seed)
    first = run.restore(ranks.from_first(checkpoint.load) if checkpoint else None)
    epochs = params.epochs(heads.epochs)
    label = f"heads of {params.arch}, sample {seed}"
    bar = progress(range(first, epochs), label, "epoch", initial=first, total=epochs)
    for epoch in bar:
        rate = params.rate(heads, epoch)
        losses = run.epoch(epoch, rate)
        for layer, loss in losses.items():
            if not (math.isfinite(loss) and all_finite([run.weights[layer]])):
                raise InputError(
                    f"archs.{params.arch}.heads: {name_of(layer)}: the head has diverged in epoch {epoch + 1} at "
                    f"learning rate {rate:g}, its loss is {loss:g}; lower learning_rate or momentum"
                )
        shown = ", ".join(f"{name_of(layer)} {loss:.3f}" for layer, loss in losses.items())
        bar.set_postfix_str(f"loss: {shown}", refresh=False)
        if checkpoint and ranks.leads() and epoch + 1 < epochs:
            checkpoint.save_if_due(run.state(epoch + 1))
    shapes = features.shapes
    return {layer: values.view(label_count, *shapes[layer]) for layer, values in run.weights.items()}  # -> (K, F, S)


def accuracy(features: Tensor, labels: Tensor, weights: Tensor) -> float:
    """Measure a head's success rate: the fraction of images whose label has the largest output field; see correct."""
    return correct(features, labels, weights) / len(labels)


@torch.no_grad()
def correct(features: Tensor, labels: Tensor, weights: Tensor) -> int:
    """Count the images whose label has the largest output field.

    In float64, so that sums taken in any other order, as for the whole head when filters are removed, decide alike.

    Args:
        features: float (N, F, S).
        labels: int64 (N,).
        weights: The head, float32 (K, F, S); times their scales, if the features are as they are stored.
    """
    images = images_per_evaluation(weights)
    found = torch.zeros((), dtype=torch.int64, device=labels.device)
    head = weights.flatten(1).T.double()  # (K, F, S) -> (F * S, K)
    for start in range(0, len(labels), images):
        rows = slice(start, start + images)
        fields = features[rows].flatten(1).double() @ head  # (n, F * S) @ (F * S, K) -> (n, K)
        found += (fields.argmax(1) == labels[rows]).sum()
    return int(found.item())


def images_per_evaluation(weights: Tensor) -> int:
    """How many images are measured at a time, for a head float32 (K, F, S)."""
    return max(ELEMENTS_PER_PASS // weights[0].numel(), 1)


def _initial_weights(layer: LayerName, inputs: int, label_count: int, seed: int) -> Tensor:
    """Draw a head's weights as torch.nn.Linear does, from the seed and the layer alone."""
    bound = inputs**-0.5
    draws = np.random.default_rng([seed, layer_key(layer)]).uniform(-bound, bound, (label_count, inputs))
    return torch.from_numpy(draws.astype(np.float32))


def _gradient(fields: Tensor, labels: Tensor, images: int) -> Tensor:
    """Differentiate a batch's mean cross-entropy by the fields, (n, K): probability minus truth, over `images`.

    Written out, since nothing else is differentiated, and each layer's rows are still in the cache for its gradient.
    """
    truth = labels[:, None] == torch.arange(fields.shape[1], device=labels.device)
    return (fields.softmax(1) - truth.float()) / images


class _Training:
    """Heads in training: their weights (K, F * S), the optimiser, and the step that goes through the features."""

    def __init__(self, features: Features, labels: Tensor, label_count: int, heads: Heads, seed: int):
        device = labels.device
        self.features, self.labels = features, labels
        self.weights = {
            layer: _initial_weights(layer, math.prod(shape), label_count, seed).to(device)
            for layer, shape in features.shapes.items()
        }
        self.optimiser = nesterov([(self.weights.values(), heads)], device)
        self.batches = Batches(len(labels), heads.batch_size, seed, device, features.translation, features.flip)
        self.losses = torch.zeros(len(self.weights), device=device)
        self.step = Step(self._step, device, recordable=features.on_device)

    def epoch(self, epoch: int, rate: float) -> dict[LayerName, float]:
        """Train for one epoch; give the mean loss of each layer's head."""
        self.batches.start(epoch)
        set_rates(self.optimiser, [rate])
        self.losses.zero_()
        for _ in range(self.batches.steps):
            self.step()
        ranks.add(self.losses)
        return dict(zip(self.weights, (self.losses / self.batches.steps).tolist(), strict=True))

    def _step(self) -> None:
        index, flips, shifts = ranks.part(*self.batches.next())
        chosen, images = self.labels[index], self.batches.size
        for number, (layer, rows) in enumerate(self.features.rows(index, flips, shifts)):
            head = self.weights[layer]
            fields = linear(rows, head)  # (n, F * S) @ (F * S, K) -> (n, K)
            self.losses[number] += nn.functional.cross_entropy(fields, chosen) * (len(chosen) / images)
            gradient = _gradient(fields, chosen, images)
            head.grad = linear(gradient.T, rows.T)  # (K, n) @ (n, F * S) -> (K, F * S)
        ranks.add_gradients(self.weights.values())
        self.optimiser.step()

    def state(self, done: int) -> dict:
        return {"done": done, "weights": dict(self.weights), "optimiser": optimiser_state(self.optimiser)}

    def restore(self, state: dict | None) -> int:
        """Put a checkpoint's values in place; give the number of epochs that are done."""
        if state is None:
            return 0
        for layer, values in self.weights.items():
            values.copy_(state["weights"][layer])
        restore_optimiser(self.optimiser, state["optimiser"])
        return state["done"]
