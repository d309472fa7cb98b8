"""One run of the chain as its tables tell it, and the numbers that the paper's claims are about.

A number comes with its 95 % interval where there is one, and with the population that the interval is about:

* samples: Student's t over trained networks.
* filters: the bootstrap of the tables, other filters within these samples.
* test images: Wilson's binomial interval of the success rate of one sample on other images.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import pandas as pd
from scipy.special import ndtri, stdtrit

from singlefilter.claims.paper import SWEPT_THRESHOLDS
from singlefilter.pipeline.params import Params

CONFIDENCE = 0.95
SAMPLES, FILTERS, TEST_IMAGES = "samples", "filters", "test images"  # the populations of intervals


@dataclass(frozen=True)
class Run:
    """One run of the chain.

    Attributes:
        params: What the run was.
        layers: metrics/layers.csv.
        thresholds: metrics/thresholds.csv.
        nulls: metrics/nulls.csv.
        histories: metrics/history/seed*.csv of all samples, with a column `seed`.
        dilution: metrics/dilution/seed*.csv of all samples.
    """

    params: Params
    layers: pd.DataFrame
    thresholds: pd.DataFrame
    nulls: pd.DataFrame
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

    def of_null(self, null: str) -> "Run":
        """Give the run that has a null's noise, clusters and cluster sizes, and nothing else, in place of its own."""
        table = self.nulls[self.nulls["null"] == null]
        means = table.pivot(index="layer", columns="statistic", values="null_mean").add_suffix("_mean")
        layers = means.reset_index()
        thresholds = layers.assign(split="test", walk="forward", threshold=self.params.threshold)
        nothing = {"histories": self.histories.head(0), "dilution": self.dilution.head(0)}
        return replace(self, layers=layers, thresholds=thresholds, **nothing)


class Number(NamedTuple):
    """A measured number; NaN where it is unknown.

    Attributes:
        value: The number, and
        low, high: its interval, NaN where there is none.
        where: Where it was found, if it is the worst of several.
        population: What the interval is about; empty where there is none.
        beside: Other numbers that it is to be read with, in words.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    where: str = ""
    population: str = ""
    beside: str = ""


UNKNOWN = Number(math.nan)


def network_accuracy(run: Run) -> Number:
    """The whole network's success rate on the test set, a fraction."""
    found = _over_samples(run.last_epochs["test_accuracy"])
    return _binomial(found.value, _test_images(run)) if run.samples == 1 else found


def accuracy(run: Run, layer: int, name: str = "accuracy") -> Number:
    """A head's success rate, a fraction; of the set that `name` says, such as train_accuracy."""
    found = _with_t_interval(run.by_layer[layer], name, run.samples)
    return _binomial(found.value, _test_images(run)) if run.samples == 1 and name == "accuracy" else found


def statistic(run: Run, layer: int, name: str) -> Number:
    """A statistic of layers.csv, with the interval that is there; unknown where the table lacks it."""
    row = run.by_layer[layer]
    value, low, high = (float(row.get(f"{name}_{end}", math.nan)) for end in ("mean", "low", "high"))
    return Number(value, low, high, population="" if math.isnan(low) else FILTERS)


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


def largest_spread(run: Run, layers: Sequence[int]) -> Number:
    """The largest standard deviation over samples of the heads' success rates."""
    spreads = [
        Number(float(run.by_layer[layer].get("accuracy_std", math.nan)), where=f"layer {layer}") for layer in layers
    ]
    return _worst(spreads, lambda spread: spread.value)


def growth(run: Run, earlier: int, later: int, name: str) -> Number:
    """One layer's statistic less another's."""
    return _difference(statistic(run, later, name), statistic(run, earlier, name))


def largest_noise_growth(run: Run, layers: Sequence[int], thresholds: Sequence[float]) -> Number:
    """The largest step of the noise from layer to layer, at any of some thresholds."""
    return _largest_noise_step(run, list(pairwise(layers)), thresholds)


def above_lowest_noise(run: Run, layer: int, layers: Sequence[int]) -> Number:
    """A layer's noise less that of the other layer with the lowest, at the swept threshold where it is largest."""
    return _largest_noise_step(run, [(other, layer) for other in layers if other != layer], SWEPT_THRESHOLDS)


def clusters_farthest_from_one(run: Run, layer: int) -> Number:
    """Of the clusters per filter at the swept thresholds, the number that is farthest from 1."""
    numbers = [
        _at_threshold(run, layer, threshold, "clusters")._replace(where=f"threshold {threshold:g}")
        for threshold in SWEPT_THRESHOLDS
    ]
    return _worst(numbers, lambda number: abs(number.value - 1))


def size_over_thresholds(run: Run, layer: int) -> Number:
    """The cluster size at the largest swept threshold over that at the smallest."""
    low, high = (_at_threshold(run, layer, end(SWEPT_THRESHOLDS), "cluster_size").value for end in (min, max))
    return Number(high / low if low else math.nan)


def largest_share_growth(run: Run, layer: int, sizes: int) -> Number:
    """The largest step of the share of clusters from each size to the next, up to `sizes`."""
    steps = [
        Number(later - earlier, where=f"size {size} after {size - 1}")
        for size, (earlier, later) in enumerate(pairwise(_size_shares(run, layer)[:sizes]), start=2)
    ]
    return _worst(steps, lambda step: step.value)


def share_above(run: Run, layer: int, size: int) -> Number:
    """The share of clusters of more than `size` labels."""
    shares = _size_shares(run, layer)
    return Number(math.fsum(shares[size:])) if shares else UNKNOWN


def share_of(run: Run, layer: int, size: int) -> Number:
    """The share of clusters of `size` labels."""
    shares = _size_shares(run, layer)
    return Number(shares[size - 1]) if len(shares) >= size else UNKNOWN


def share_above_others(run: Run, layer: int, size: int) -> Number:
    """The share of clusters of `size` labels less the largest share of another size."""
    shares = _size_shares(run, layer)
    if len(shares) < max(size, 2):
        return UNKNOWN
    others = [(share, other) for other, share in enumerate(shares, start=1) if other != size]
    largest, other = max(others)
    return Number(shares[size - 1] - largest, where=f"size {other}")


def evenness(run: Run, layer: int) -> Number:
    """The variation over labels of the clusters that a label is in.

    Beside it, that of independent filters, and the root of what its square has beyond theirs.
    """
    independent = statistic(run, layer, "appearances_variation_independent").value
    found = statistic(run, layer, "appearances_variation")
    beyond = math.sqrt(max(found.value**2 - independent**2, 0)) if not math.isnan(found.value) else math.nan
    beside = f"independent filters: {independent:.3g}; what they do not explain: {beyond:.3g}"
    return found._replace(beside="" if math.isnan(independent) else beside)


def field_gap(run: Run, layer: int) -> Number:
    """The mean field off the clusters over that in them, beside the same of absolute values."""
    absolute = statistic(run, layer, "field_gap_absolute").value
    beside = "" if math.isnan(absolute) else f"of mean absolute fields: {absolute:.3g}"
    return statistic(run, layer, "field_gap")._replace(beside=beside)


def signal_over_first_noise(run: Run, layer: int) -> Number:
    """The signal over the mean first noise; infinite where that does not disturb it, beside the largest one."""
    signal, mean, largest = (
        statistic(run, layer, name).value for name in ("signal", "first_noise", "first_noise_largest")
    )
    if math.isnan(signal) or math.isnan(mean):
        return UNKNOWN
    beside = f"signal {signal:.4g}, first noise: mean {mean:.4g}, largest {largest:.4g}"
    if mean <= 0:
        return Number(math.inf, beside=beside)
    return statistic(run, layer, "snr")._replace(value=signal / mean, beside=beside)


def training_beside_test(run: Run, layer: int, name: str) -> Number:
    """A statistic of the training set's fields less that of the test set's."""
    return Number(statistic(run, layer, f"train_{name}").value - statistic(run, layer, name).value)


def change_reversed(run: Run, layers: Sequence[int], name: str) -> Number:
    """The relative difference of the reversed walk's mean to the walk's, over all filters of all layers."""
    filters = [float(run.by_layer[layer].get("filters", math.nan)) for layer in layers]
    forward, backward = (
        sum(count * statistic(run, layer, f"{walk}{name}").value for layer, count in zip(layers, filters, strict=True))
        for walk in ("", "reversed_")
    )
    return Number(0.0 if forward == backward else (backward - forward) / forward if forward else math.inf)


def loss_without_random_filters(run: Run, layer: int, removed: int) -> Number:
    """What the head's success rate loses without `removed` filters at random, mean over draws."""
    table = _diluted(run, layer, "random")
    return _loss(run, layer, table[table["removed_filters"] == removed].set_index("seed")["accuracy"])


def loss_without_worst_label(run: Run, layer: int) -> Number:
    """What the head's success rate loses without a label's filters, for the label that costs each sample most.

    Beside it, for the same labels, as many filters by their largest weight for the label, and at random.
    """
    table = _diluted(run, layer, "label")
    if table.empty:
        return UNKNOWN
    worst = table.loc[table.groupby("seed")["accuracy"].idxmin(), ["seed", "label"]]
    controls = []
    for kind, words in (("label_largest", "by their largest weight"), ("label_random", "at random")):
        found = _diluted(run, layer, kind).merge(worst, on=["seed", "label"])
        if not found.empty:
            controls.append(f"{words} {_loss(run, layer, found.set_index('seed')['accuracy']).value:.3g}")
    beside = f"loss without as many filters: {', '.join(controls)}" if controls else ""
    return _loss(run, layer, table.groupby("seed")["accuracy"].min())._replace(beside=beside)


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


def last_layers(run: Run, other: Run, name: str) -> Number:
    """A statistic of the last examined layer of one run less another's."""
    return _difference(*(statistic(each, each.params.chosen_arch.examined_layers[-1], name) for each in (run, other)))


def smallest_rise(*runs: Run, name: str) -> Number:
    """The smallest step of a statistic of the last examined layer from run to run."""
    steps = [
        last_layers(higher, lower, name)._replace(where=f"{higher.params.arch} over {lower.params.arch}")
        for lower, higher in pairwise(runs)
    ]
    return _worst(steps, lambda step: -step.value)


def _largest_noise_step(run: Run, pairs: Sequence[tuple[int, int]], thresholds: Sequence[float]) -> Number:
    """The largest difference of the noise of a pair's second layer to its first's, at any of some thresholds."""
    steps = [
        _difference(
            _at_threshold(run, second, threshold, "noise"),
            _at_threshold(run, first, threshold, "noise"),
            f"layer {second} over {first}, threshold {threshold:g}",
        )
        for threshold in thresholds
        for first, second in pairs
    ]
    return _worst(steps, lambda step: step.value)


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


def _test_images(run: Run) -> float:
    return float(run.layers["test_images"].iloc[0]) if "test_images" in run.layers else math.nan


def _binomial(share: float, images: float) -> Number:
    """The share of images that are right, with Wilson's interval of one sample's success rate on other images.

    Source: Wilson (1927), Journal of the American Statistical Association 22, 209.
    """
    z = float(ndtri((1 + CONFIDENCE) / 2))
    centre, half = share + z**2 / (2 * images), z * math.sqrt(share * (1 - share) / images + (z / (2 * images)) ** 2)
    low, high = ((centre + sign * half) / (1 + z**2 / images) for sign in (-1, 1))
    return Number(share, low, high, population="" if math.isnan(low) else TEST_IMAGES)


def _over_samples(values: pd.Series) -> Number:
    """The mean of one value a sample; unknown if a sample has none."""
    mean, std = float(values.mean(skipna=False)), float(values.std(ddof=1))
    return _t_interval(mean, std, len(values))


def _with_t_interval(row: Mapping[str, float], name: str, samples: int) -> Number:
    """A table's mean over samples, with the interval that follows from its standard deviation."""
    mean, std = (float(row.get(f"{name}_{end}", math.nan)) for end in ("mean", "std"))
    return _t_interval(mean, std, samples)


def _t_interval(mean: float, std: float, samples: int) -> Number:
    """A mean over samples with Student's interval."""
    if samples < 2 or math.isnan(std):
        return Number(mean)
    half = float(stdtrit(samples - 1, (1 + CONFIDENCE) / 2)) * std / math.sqrt(samples)
    return Number(mean, mean - half, mean + half, population=SAMPLES)


def _difference(number: Number, other: Number, where: str = "") -> Number:
    """The difference of two numbers, and the interval that theirs give it if they are independent.

    Numbers of the same samples mostly are not: then it is too wide rather than too narrow. Intervals of different
    populations give none.
    Source: Zou and Donner (2008), Statistics in Medicine 27, 1693.
    """
    value = number.value - other.value
    if number.population != other.population:
        return Number(value, where=where)
    below = math.sqrt((number.value - number.low) ** 2 + (other.high - other.value) ** 2)
    above = math.sqrt((number.high - number.value) ** 2 + (other.value - other.low) ** 2)
    return Number(value, value - below, value + above, where, number.population)
