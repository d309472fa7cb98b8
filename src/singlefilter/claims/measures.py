"""The numbers that the paper's claims are about, from the tables of a run."""

import math
from collections.abc import Sequence
from itertools import pairwise

import pandas as pd

from singlefilter.claims.intervals import (
    FILTERS,
    UNKNOWN,
    Number,
    binomial,
    difference,
    over_samples,
    spread_over_samples,
    with_t_interval,
    worst,
)
from singlefilter.claims.run import Run
from singlefilter.paper.values import SWEPT_THRESHOLDS


def network_accuracy(run: Run) -> Number:
    """The whole network's success rate on the test set, a fraction."""
    found = over_samples(run.last_epochs["test_accuracy"])
    return binomial(found.value, _test_images(run)) if run.samples == 1 else found


def accuracy(run: Run, layer: int, name: str = "accuracy") -> Number:
    """A head's success rate, a fraction; of the set that `name` says, such as train_accuracy."""
    found = with_t_interval(run.by_layer[layer], name, run.samples)
    return binomial(found.value, _test_images(run)) if run.samples == 1 and name == "accuracy" else found


def statistic(run: Run, layer: int, name: str) -> Number:
    """A statistic of layers.csv, with the interval that is there; unknown where the table lacks it."""
    row = run.by_layer[layer]
    value, low, high = (float(row.get(f"{name}_{end}", math.nan)) for end in ("mean", "low", "high"))
    return Number(value, low, high, population="" if math.isnan(low) else FILTERS)


def head_beside_network(run: Run, layer: int) -> Number:
    """The head's success rate less the whole network's."""
    return difference(accuracy(run, layer), _trained_accuracy(run))


def smallest_growth(run: Run, layers: Sequence[int]) -> Number:
    """The smallest step of the heads' success rate from layer to layer."""
    steps = [
        difference(accuracy(run, later), accuracy(run, earlier), f"layer {later} after {earlier}")
        for earlier, later in pairwise(layers)
    ]
    return worst(steps, lambda step: -step.value)


def largest_spread(run: Run, layers: Sequence[int]) -> Number:
    """The largest standard deviation over samples of the heads' success rates."""
    spreads = [
        spread_over_samples(float(run.by_layer[layer].get("accuracy_std", math.nan)), run.samples)._replace(
            where=f"layer {layer}"
        )
        for layer in layers
    ]
    return worst(spreads, lambda spread: spread.value)


def growth(run: Run, earlier: int, later: int, name: str) -> Number:
    """One layer's statistic less another's."""
    return difference(statistic(run, later, name), statistic(run, earlier, name))


def largest_noise_growth(run: Run, layers: Sequence[int], thresholds: Sequence[float]) -> Number:
    """The largest step of the noise from layer to layer, at any of some thresholds."""
    return _largest_noise_step(run, list(pairwise(layers)), thresholds)


def above_lowest_noise(run: Run, layer: int, layers: Sequence[int]) -> Number:
    """A layer's noise less that of the other layer with the lowest, at the swept threshold where it is largest."""
    return _largest_noise_step(run, [(other, layer) for other in layers if other != layer], SWEPT_THRESHOLDS)


def farthest_over_thresholds(run: Run, layer: int, name: str, value: float) -> Number:
    """Of a statistic at the swept thresholds, the number that is farthest from a value."""
    numbers = [
        _at_threshold(run, layer, threshold, name)._replace(where=f"threshold {threshold:g}")
        for threshold in SWEPT_THRESHOLDS
    ]
    return worst(numbers, lambda number: abs(number.value - value))


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
    return worst(steps, lambda step: step.value)


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
    return Number(signal / mean, beside=beside)


def training_beside_test(run: Run, layer: int, name: str) -> Number:
    """A statistic of the training set's fields less that of the test set's."""
    return Number(statistic(run, layer, f"train_{name}").value - statistic(run, layer, name).value)


def change_reversed(run: Run, layers: Sequence[int], name: str) -> Number:
    """The relative difference of the reversed walk's mean to the walk's, over the filters of all layers."""
    rows = [run.by_layer[layer] for layer in layers]
    filters = [float(row.get("filters", math.nan)) - float(row.get("silent_filters_mean", 0)) for row in rows]
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
    worst_labels = table.loc[table.groupby("seed")["accuracy"].idxmin(), ["seed", "label"]]
    controls = []
    for kind, words in (("label_largest", "by their largest weight"), ("label_random", "at random")):
        found = _diluted(run, layer, kind).merge(worst_labels, on=["seed", "label"])
        if not found.empty:
            controls.append(f"{words} {_loss(run, layer, found.set_index('seed')['accuracy']).value:.3g}")
    beside = f"loss without as many filters: {', '.join(controls)}" if controls else ""
    return _loss(run, layer, table.groupby("seed")["accuracy"].min())._replace(beside=beside)


def loss_without_output_biases(run: Run) -> Number:
    """What the whole network's success rate loses once its trained output biases are removed."""
    last = run.last_epochs
    loss = over_samples(last["test_accuracy"] - last["test_accuracy_without_bias"].astype(float))
    return loss if _is_trained(run) else UNKNOWN


def validation_beside_test(run: Run) -> Number:
    """The whole network's success rate on the held-out training images less that on the test set."""
    last = run.last_epochs
    gain = over_samples(last["validation_accuracy"].astype(float) - last["test_accuracy"])
    return gain if _is_trained(run) else UNKNOWN


def accuracy_difference(run: Run, other: Run) -> Number:
    """The whole network's success rate of one run less another's."""
    return difference(_trained_accuracy(run), _trained_accuracy(other))


def last_layers(run: Run, other: Run, name: str) -> Number:
    """A statistic of the last examined layer of one run less another's: of networks, so by what samples differ in."""
    last = [each.by_layer[each.params.chosen_arch.examined_layers[-1]] for each in (run, other)]
    return difference(*(with_t_interval(row, name, each.samples) for row, each in zip(last, (run, other), strict=True)))


def smallest_rise(*runs: Run, name: str) -> Number:
    """The smallest step of a statistic of the last examined layer from run to run."""
    steps = [
        last_layers(higher, lower, name)._replace(where=f"{higher.params.arch} over {lower.params.arch}")
        for lower, higher in pairwise(runs)
    ]
    return worst(steps, lambda step: -step.value)


def _trained_accuracy(run: Run) -> Number:
    """The whole network's success rate, to be compared; an untrained one's is chance, and as good as any other's."""
    return network_accuracy(run) if _is_trained(run) else UNKNOWN


def _is_trained(run: Run) -> bool:
    return run.params.chosen_arch.backbone.is_trained


def _largest_noise_step(run: Run, pairs: Sequence[tuple[int, int]], thresholds: Sequence[float]) -> Number:
    """The largest difference of the noise of a pair's second layer to its first's, at any of some thresholds."""
    steps = [
        difference(
            _at_threshold(run, second, threshold, "noise"),
            _at_threshold(run, first, threshold, "noise"),
            f"layer {second} over {first}, threshold {threshold:g}",
        )
        for threshold in thresholds
        for first, second in pairs
    ]
    return worst(steps, lambda step: step.value)


def _at_threshold(run: Run, layer: int, threshold: float, name: str) -> Number:
    """A statistic of the test set's fields at one of the swept thresholds; unknown where the table lacks it."""
    row = run.by_threshold.get((layer, threshold))
    return UNKNOWN if row is None else with_t_interval(row, name, run.samples)


def _size_shares(run: Run, layer: int) -> list[float]:
    return [float(share) for name, share in run.by_layer[layer].items() if name.startswith("size_share_")]


def _diluted(run: Run, layer: int, kind: str) -> pd.DataFrame:
    return run.dilution[(run.dilution["layer"] == layer) & (run.dilution["kind"] == kind)]


def _loss(run: Run, layer: int, accuracies: pd.Series) -> Number:
    """What accuracies, by seed, lose against the whole head."""
    whole = _diluted(run, layer, "none").set_index("seed")["accuracy"]
    return over_samples(whole - accuracies)


def _test_images(run: Run) -> float:
    return float(run.layers["test_images"].iloc[0]) if "test_images" in run.layers else math.nan
