"""One run of the chain as its tables tell it, and the numbers that the paper's claims are about.

A number comes with its 95 % interval where there is one: that of the table; for success rates, and for what is known
sample by sample, Student's t over samples; for a difference, that of its two numbers.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import pandas as pd
from scipy.special import stdtrit

from singlefilter.claims.paper import SWEPT_THRESHOLDS
from singlefilter.pipeline.params import Params

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Run:
    """One run of the chain.

    Attributes:
        params: What the run was.
        layers: metrics/layers.csv.
        thresholds: metrics/thresholds.csv.
        histories: metrics/history/seed*.csv of all samples, with a column `seed`.
        dilution: metrics/dilution/seed*.csv of all samples.
    """

    params: Params
    layers: pd.DataFrame
    thresholds: pd.DataFrame
    histories: pd.DataFrame
    dilution: pd.DataFrame

    @property
    def samples(self) -> int:
        """The number of trained samples."""
        return len(self.params.seeds)

    @property
    def network(self) -> str:
        """The row of archs, and whether it is trained with output biases, which the paper's are not."""
        biases = " with output biases" if self.params.chosen_arch.backbone.output_bias else ""
        return f"{self.params.arch}{biases}"

    @property
    def last_epochs(self) -> pd.DataFrame:
        """The last row of each sample's history, by seed: the success rate is that after the last epoch."""
        return self.histories.groupby("seed").tail(1).set_index("seed")

    @cached_property
    def by_layer(self) -> dict[int, dict[str, float]]:
        """The rows of layers.csv, by layer."""
        return self.layers.set_index("layer").to_dict("index")

    @cached_property
    def by_threshold(self) -> dict[tuple[int, float], dict[str, float]]:
        """The rows of thresholds.csv of the test set's fields and the walk from label 0, by layer and threshold."""
        table = self.thresholds
        table = table[(table["split"] == "test") & (table["walk"] == "forward")]
        table = table.assign(threshold=table["threshold"].round(6))  # whatever the last bit that a file was read to
        return table.set_index(["layer", "threshold"]).to_dict("index")


class Number(NamedTuple):
    """A measured number, its interval, and where it was found if it is the worst of several; NaN where unknown."""

    value: float
    low: float = math.nan
    high: float = math.nan
    where: str = ""


UNKNOWN = Number(math.nan)


def network_accuracy(run: Run) -> Number:
    """The whole network's success rate on the test set, a fraction."""
    return _over_samples(run.last_epochs["test_accuracy"])


def accuracy(run: Run, layer: int, name: str = "accuracy") -> Number:
    """A head's success rate, a fraction; of the set that `name` says, such as train_accuracy."""
    return _with_t_interval(run.by_layer[layer], name, run.samples)


def statistic(run: Run, layer: int, name: str) -> Number:
    """A statistic of layers.csv, with the interval that is there."""
    row = run.by_layer[layer]
    return Number(float(row[f"{name}_mean"]), float(row[f"{name}_low"]), float(row[f"{name}_high"]))


def head_beside_network(run: Run, layer: int) -> Number:
    """The head's success rate less the whole network's."""
    return _difference(accuracy(run, layer), network_accuracy(run))


def smallest_growth(run: Run, layers: Sequence[int]) -> Number:
    """The smallest step of the heads' success rate from layer to layer."""
    steps = [
        _difference(accuracy(run, later), accuracy(run, earlier), f"layer {later} after {earlier}")
        for earlier, later in pairwise(layers)
    ]
    return _worst(steps, lambda step: -step.value)


def noise_growth(run: Run, earlier: int, later: int) -> Number:
    """The later layer's noise less the earlier one's."""
    return _difference(statistic(run, later, "noise"), statistic(run, earlier, "noise"))


def largest_noise_growth(run: Run, layers: Sequence[int]) -> Number:
    """The largest step of the noise from layer to layer, at any of the swept thresholds."""
    steps = [
        _difference(
            _at_threshold(run, later, threshold, "noise"),
            _at_threshold(run, earlier, threshold, "noise"),
            f"layer {later} after {earlier}, threshold {threshold:g}",
        )
        for threshold in SWEPT_THRESHOLDS
        for earlier, later in pairwise(layers)
    ]
    return _worst(steps, lambda step: step.value)


def clusters_farthest_from_one(run: Run, layer: int) -> Number:
    """Of the clusters per filter at the swept thresholds, the number that is farthest from 1."""
    numbers = [
        _at_threshold(run, layer, threshold, "clusters")._replace(where=f"threshold {threshold:g}")
        for threshold in SWEPT_THRESHOLDS
    ]
    return _worst(numbers, lambda number: abs(number.value - 1))


def largest_share_growth(run: Run, layer: int) -> Number:
    """The largest step of the share of clusters from each size to the next."""
    steps = [
        Number(later - earlier, where=f"size {size} after {size - 1}")
        for size, (earlier, later) in enumerate(pairwise(_size_shares(run, layer)), start=2)
    ]
    return _worst(steps, lambda step: step.value)


def share_above(run: Run, layer: int, size: int) -> Number:
    """The share of clusters of more than `size` labels."""
    return Number(math.fsum(_size_shares(run, layer)[size:]))


def training_beside_test(run: Run, layer: int, name: str) -> Number:
    """A statistic of the training set's fields less that of the test set's."""
    row = run.by_layer[layer]
    return Number(float(row[f"train_{name}_mean"] - row[f"{name}_mean"]))


def largest_change_reversed(run: Run, layers: Sequence[int], name: str) -> Number:
    """Of the layers' relative differences of the reversed walk's mean to the walk's, the one farthest from 0."""
    changes = []
    for layer in layers:
        row = run.by_layer[layer]
        forward, backward = float(row[f"{name}_mean"]), float(row[f"reversed_{name}_mean"])
        change = 0.0 if forward == backward else (backward - forward) / forward if forward else math.inf
        changes.append(Number(change, where=f"layer {layer}"))
    return _worst(changes, lambda change: abs(change.value))


def loss_without_random_filters(run: Run, layer: int, removed: int) -> Number:
    """What the head's success rate loses without `removed` filters at random, mean over draws."""
    table = _diluted(run, layer, "random")
    return _loss(run, layer, table[table["removed_filters"] == removed].set_index("seed")["accuracy"])


def loss_without_worst_label(run: Run, layer: int) -> Number:
    """What the head's success rate loses without a label's filters, for the label that costs each sample most."""
    return _loss(run, layer, _diluted(run, layer, "label").groupby("seed")["accuracy"].min())


def loss_without_output_biases(run: Run) -> Number:
    """What the whole network's success rate loses once its trained output biases are removed."""
    last = run.last_epochs
    return _over_samples(last["test_accuracy"] - last["test_accuracy_without_bias"].astype(float))


def validation_beside_test(run: Run) -> Number:
    """The whole network's success rate on the held-out training images less that on the test set."""
    last = run.last_epochs
    return _over_samples(last["validation_accuracy"].astype(float) - last["test_accuracy"])


def accuracy_difference(run: Run, other: Run) -> Number:
    """The whole network's success rate of one run less another's."""
    return _difference(network_accuracy(run), network_accuracy(other))


def smallest_rise(*runs: Run, name: str) -> Number:
    """The smallest step of a statistic of the last examined layer from run to run."""
    steps = []
    for lower, higher in pairwise(runs):
        numbers = [statistic(run, run.params.chosen_arch.examined_layers[-1], name) for run in (higher, lower)]
        steps.append(_difference(*numbers, f"{higher.params.arch} over {lower.params.arch}"))
    return _worst(steps, lambda step: -step.value)


def _at_threshold(run: Run, layer: int, threshold: float, name: str) -> Number:
    """A statistic of the test set's fields at one of the swept thresholds; unknown where the table lacks it."""
    row = run.by_threshold.get((layer, threshold))
    return UNKNOWN if row is None else _with_t_interval(row, name, run.samples)


def _size_shares(run: Run, layer: int) -> list[float]:
    row = run.by_layer[layer]
    sizes = sum(name.startswith("size_share_") for name in row)
    return [float(row[f"size_share_{size}"]) for size in range(1, sizes + 1)]


def _diluted(run: Run, layer: int, kind: str) -> pd.DataFrame:
    return run.dilution[(run.dilution["layer"] == layer) & (run.dilution["kind"] == kind)]


def _loss(run: Run, layer: int, accuracies: pd.Series) -> Number:
    """What accuracies, by seed, lose against the whole head."""
    whole = _diluted(run, layer, "none").set_index("seed")["accuracy"]
    return _over_samples(whole - accuracies)


def _worst(numbers: Sequence[Number], badness: Callable[[Number], float]) -> Number:
    """The number of the largest badness; unknown if any is, as it could be the worst."""
    if any(math.isnan(number.value) for number in numbers):
        return UNKNOWN
    return max(numbers, key=badness, default=UNKNOWN)


def _over_samples(values: pd.Series) -> Number:
    """The mean of one value a sample; unknown if a sample has none."""
    mean, std = float(values.mean(skipna=False)), float(values.std(ddof=1))
    return Number(mean, *_t_interval(mean, std, len(values)))


def _with_t_interval(row: Mapping[str, float], name: str, samples: int) -> Number:
    """A table's mean over samples, with the interval that follows from its standard deviation."""
    mean, std = float(row[f"{name}_mean"]), float(row[f"{name}_std"])
    return Number(mean, *_t_interval(mean, std, samples))


def _t_interval(mean: float, std: float, samples: int) -> tuple[float, float]:
    """Student's interval of a mean over samples."""
    if samples < 2:
        return math.nan, math.nan
    half = float(stdtrit(samples - 1, (1 + CONFIDENCE) / 2)) * std / math.sqrt(samples)
    return mean - half, mean + half


def _difference(number: Number, other: Number, where: str = "") -> Number:
    """The difference of two numbers, and the interval that theirs give it if they are independent.

    Numbers of the same samples mostly are not: then it is too wide rather than too narrow.
    Source: Zou and Donner (2008), Statistics in Medicine 27, 1693.
    """
    value = number.value - other.value
    below = math.sqrt((number.value - number.low) ** 2 + (other.high - other.value) ** 2)
    above = math.sqrt((number.high - number.value) ** 2 + (other.value - other.low) ** 2)
    return Number(value, value - below, value + above, where)
