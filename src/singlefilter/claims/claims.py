"""The paper's claims, and when each holds (method, section 7, whose tolerances were fixed before any result).

Each is made of the networks of which the paper makes it. Where several numbers make one claim, each has a row:
noise.vgg16 is noise.vgg16.layer2, .layer10 and .layer13.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from singlefilter.claims import measures
from singlefilter.claims.intervals import Number
from singlefilter.paper.values import LAYERS, SWEPT_THRESHOLDS, THRESHOLD, VALIDATION_IMAGES, VALUES, paper_text

ROUNDING = 1e-9  # what is at its tolerance holds, whatever the last bit of a difference


class Rule(NamedTuple):
    """What a number must be: in words, and as bounds, which are allowed themselves unless `strict`.

    With `by_interval`, the whole interval of the number must be inside.
    """

    text: str
    lowest: float = -math.inf
    highest: float = math.inf
    strict: bool = False
    by_interval: bool = False

    def excess(self, number: Number) -> float:
        """By how much a number is beyond the nearest bound; negative inside, NaN where it cannot be said."""
        low, high = (number.low, number.high) if self.by_interval else (number.value, number.value)
        return math.nan if math.isnan(low + high) else max(self.lowest - low, high - self.highest)

    def allows(self, number: Number) -> bool:
        """Whether a number is what it must be."""
        excess = self.excess(number)
        return excess < -ROUNDING if self.strict else excess <= ROUNDING


class Need(NamedTuple):
    """What a run must be for a claim to be judged on it, beside the paper's data, epochs and threshold.

    Attributes:
        arch: The row of archs, with what the paper fixes of it.
        layers: Those that must be examined.
        output_bias: Whether the network is trained with output biases.
        validation: How many training images must be held out, at least; none may be where it is 0.
        of_filters: Whether the claim is about the layers' filters, of which most must then be neither silent nor faded;
            success rates are not.
    """

    arch: str
    layers: tuple[int, ...] = ()
    output_bias: bool = False
    validation: int = 0
    of_filters: bool = True

    @property
    def network(self) -> str:
        """The network, as runs name theirs."""
        return f"{self.arch} with output biases" if self.output_bias else self.arch


@dataclass(frozen=True)
class Claim:
    """A claim that one number decides.

    Attributes:
        id: Its name.
        claim: In words.
        paper: What the paper reports.
        rule: When it holds.
        needs: The runs that it takes, mostly one.
        measure: Gives the number from these runs.
        construction: Why it holds whatever was learnt, if it does (method, section 5).
    """

    id: str
    claim: str
    paper: str
    rule: Rule
    needs: tuple[Need, ...]
    measure: Callable[..., Number]
    construction: str = ""


def _within(value: float, tolerance: float) -> Rule:
    return Rule(f"± {tolerance:g}", value - tolerance, value + tolerance)


def _between(lowest: float, highest: float) -> Rule:
    return Rule(f"{lowest:g} … {highest:g}", lowest, highest)


def _at_most(bound: float) -> Rule:
    return Rule(f"≤ {bound:g}", highest=bound)


def _at_least(bound: float) -> Rule:
    return Rule(f"≥ {bound:g}", lowest=bound)


def _above(bound: float) -> Rule:
    return Rule(f"> {bound:g}", lowest=bound, strict=True)


def _below(bound: float) -> Rule:
    return Rule(f"< {bound:g}", highest=bound, strict=True)


POSITIVE_BY_INTERVAL = Rule("> 0 by its interval", lowest=0, strict=True, by_interval=True)


def _near(arch: str, layer: int | None, statistic: str, tolerance: float) -> tuple[str, Rule]:
    """What the paper reports, and the rule that a number is near it."""
    return paper_text(arch, layer, statistic), _within(VALUES[arch, layer, statistic], tolerance)


def _statistic(name: str) -> Callable[..., Number]:
    return partial(measures.statistic, name=name)


def _one(
    name: str,
    arch: str,
    layers: int | tuple[int, ...],
    text: str,
    paper: str,
    rule: Rule,
    measure: Callable[..., Number],
    construction: str = "",
    **need: Any,
) -> Claim:
    """A claim of one run; where `layers` is a number, of this layer, which the measure is told."""
    place = arch
    if isinstance(layers, int):
        place, measure, layers = f"{arch}, layer {layers}", partial(measure, layer=layers), (layers,)
    return Claim(name, f"{place}: {text}", paper, rule, (Need(arch, layers, **need),), measure, construction)


V16, V6, A16 = LAYERS["vgg16"], LAYERS["vgg6"], LAYERS["avgg16"]
ONE_POSITION = "with one position, a filter decides alike for every image"
ROWS_SUM_TO_0 = "trained by cross-entropy, a head gives a filter fields that sum to about 0 over the outputs"
LABEL_REMOVED = "removing all filters that vote for a label removes the label from any head that decides"
OF_VGG16 = "small (vgg16)"  # the paper says it of this network alone
LAST = (Need("vgg6", (5,)), Need("vgg16", (13,)), Need("avgg16", (13,)))

# fmt: off
CLAIMS: tuple[Claim, ...] = (
    _one("sr.vgg16", "vgg16", (), "success rate of the whole network",
         *_near("vgg16", None, "accuracy", 0.005), measures.network_accuracy),
    _one("sr.vgg6", "vgg6", (), "success rate of the whole network",
         *_near("vgg6", None, "accuracy", 0.005), measures.network_accuracy),
    _one("sr.avgg16", "avgg16", (), "success rate of the whole network",
         *_near("avgg16", None, "accuracy", 0.005), measures.network_accuracy),
    Claim("sr.order.vgg16", "vgg16 has a larger success rate than vgg6 (difference)",
          "0.02", POSITIVE_BY_INTERVAL, (Need("vgg16"), Need("vgg6")), measures.accuracy_difference),
    Claim("sr.order.avgg16", "avgg16 has a larger success rate than vgg16 (difference)",
          "0.015", POSITIVE_BY_INTERVAL, (Need("avgg16"), Need("vgg16")), measures.accuracy_difference),
    _one("sr.layers.layer10", "vgg16", 10, "the head does as well as the whole network (difference)",
         "0", _at_least(-0.005), measures.head_beside_network, of_filters=False),
    _one("sr.layers.layer13", "vgg16", 13, "the head does as well as the whole network (difference)",
         "0", _at_least(-0.005), measures.head_beside_network, of_filters=False),
    _one("sr.vgg6.layer5", "vgg6", 5, "success rate of the head",
         *_near("vgg6", 5, "accuracy", 0.005), measures.accuracy, of_filters=False),
    _one("sr.progress.vgg16", "vgg16", V16, "success rate grows with the layer (smallest step)",
         "grows", _above(-0.003), partial(measures.smallest_growth, layers=V16), of_filters=False),
    _one("sr.progress.vgg6", "vgg6", V6, "success rate grows with the layer (smallest step)",
         "grows", _above(-0.003), partial(measures.smallest_growth, layers=V6), of_filters=False),
    _one("sr.spread.vgg16", "vgg16", V16, "standard deviation of the success rate over samples (largest layer)",
         "small", _at_most(0.005), partial(measures.largest_spread, layers=V16), of_filters=False),
    _one("sr.spread.vgg6", "vgg6", V6, "standard deviation of the success rate over samples (largest layer)",
         OF_VGG16, _at_most(0.005), partial(measures.largest_spread, layers=V6), of_filters=False),
    _one("sr.spread.avgg16", "avgg16", A16, "standard deviation of the success rate over samples (largest layer)",
         OF_VGG16, _at_most(0.005), partial(measures.largest_spread, layers=A16), of_filters=False),
    _one("train.layer7", "vgg16", 7, "success rate of the head on the training set",
         paper_text("vgg16", 7, "train_accuracy"), _at_least(0.995),
         partial(measures.accuracy, name="train_accuracy"), of_filters=False),

    _one("noise.vgg16.layer2", "vgg16", 2, "noise per filter", *_near("vgg16", 2, "noise", 4), _statistic("noise")),
    _one("noise.vgg16.layer10", "vgg16", 10, "noise per filter", *_near("vgg16", 10, "noise", 1), _statistic("noise")),
    _one("noise.vgg16.layer13", "vgg16", 13, "noise per filter",
         *_near("vgg16", 13, "noise", 0.5), _statistic("noise")),
    _one("noise.vgg16.layer13.thresholds", "vgg16", 13, "noise per filter at each threshold from 0.3 to 0.6 (farthest)",
         *_near("vgg16", 13, "noise", 0.5),
         partial(measures.farthest_over_thresholds, name="noise", value=VALUES["vgg16", 13, "noise"])),
    _one("noise.vgg6", "vgg6", 5, "noise per filter", *_near("vgg6", 5, "noise", 0.8), _statistic("noise")),
    _one("noise.avgg16", "avgg16", 13, "noise per filter", *_near("avgg16", 13, "noise", 0.4), _statistic("noise")),
    Claim("noise.order.vgg16", "the last layer's noise is larger in vgg6 than in vgg16 (difference)",
          "3.14 > 1.5", POSITIVE_BY_INTERVAL, (LAST[0], LAST[1]), partial(measures.last_layers, name="noise")),
    Claim("noise.order.avgg16", "the last layer's noise is larger in vgg16 than in avgg16 (difference)",
          "1.5 > 1.1", POSITIVE_BY_INTERVAL, (LAST[1], LAST[2]), partial(measures.last_layers, name="noise")),
    Claim("size.order.vgg6", "the last layer's clusters are larger in vgg16 than in vgg6 (difference)",
          "2.88 > 2.6", POSITIVE_BY_INTERVAL, (LAST[1], LAST[0]),
          partial(measures.last_layers, name="cluster_size")),
    Claim("size.order.avgg16", "the last layer's clusters are larger in vgg16 than in avgg16 (difference)",
          "2.88 > 2.5", POSITIVE_BY_INTERVAL, (LAST[1], LAST[2]),
          partial(measures.last_layers, name="cluster_size")),
    _one("noise.falls.vgg16", "vgg16", V16, "noise falls over the layers before a pool, at each threshold from 0.3 to "
         "0.6 (largest step)", "falls", _below(0),
         partial(measures.largest_noise_growth, layers=V16, thresholds=SWEPT_THRESHOLDS)),
    _one("noise.falls.vgg6", "vgg6", V6, "noise falls over the layers before a pool (largest step)",
         "falls", _below(0), partial(measures.largest_noise_growth, layers=V6, thresholds=(THRESHOLD,))),
    _one("noise.lowest", "vgg16", V16, "layer 13 has the lowest noise, at each threshold from 0.3 to 0.6 (largest "
         "difference to the next)", "lowest", _below(0), partial(measures.above_lowest_noise, layer=13, layers=V16)),
    _one("noise.rises.layer8", "vgg16", (7, 8), "noise rises right after a pool, layer 8 over 7",
         "rises", _above(0), partial(measures.growth, earlier=7, later=8, name="noise")),
    _one("noise.rises.layer11", "vgg16", (10, 11), "noise rises right after a pool, layer 11 over 10",
         "rises", _above(0), partial(measures.growth, earlier=10, later=11, name="noise")),
    _one("columns.layer2", "vgg16", 2, "columns almost wholly above threshold, per filter",
         "a few", _between(1, 4), _statistic("full_columns")),
    _one("columns.layer2.share", "vgg16", 2, "share of the ones that are in such columns",
         "–", _at_least(0.5), _statistic("full_columns_share")),
    _one("columns.layer4", "vgg16", 4, "columns almost wholly above threshold, per filter",
         "a few", _between(1, 4), _statistic("full_columns")),
    _one("columns.layer4.share", "vgg16", 4, "share of the ones that are in such columns",
         "–", _at_least(0.5), _statistic("full_columns_share")),

    _one("clusters.last.vgg16", "vgg16", 13, "one cluster per filter",
         *_near("vgg16", 13, "clusters", 0.05), _statistic("clusters")),
    _one("clusters.last.vgg6", "vgg6", 5, "one cluster per filter",
         *_near("vgg6", 5, "clusters", 0.05), _statistic("clusters")),
    _one("clusters.last.avgg16", "avgg16", 13, "one cluster per filter",
         *_near("avgg16", 13, "clusters", 0.05), _statistic("clusters")),
    _one("clusters.last.vgg16.thresholds", "vgg16", 13, "one cluster per filter at each threshold from 0.3 to 0.6 "
         "(farthest)", *_near("vgg16", 13, "clusters", 0.05),
         partial(measures.farthest_over_thresholds, name="clusters", value=VALUES["vgg16", 13, "clusters"])),
    _one("clusters.layer7", "vgg16", 7, "clusters per filter",
         *_near("vgg16", 7, "clusters", 0.2), _statistic("clusters")),
    _one("clusters.layer7.size", "vgg16", 7, "cluster size",
         *_near("vgg16", 7, "cluster_size", 0.2), _statistic("cluster_size")),
    _one("clusters.layer10", "vgg16", 10, "clusters per filter", "several", _at_least(1.3), _statistic("clusters")),
    _one("clusters.layer10.falls", "vgg16", 10, "the share of clusters falls from size 1 to 2 to 3 (largest step)",
         "falls", _below(0), partial(measures.largest_share_growth, sizes=3)),
    _one("clusters.layer10.above3", "vgg16", 10, "share of the clusters of more than 3 labels",
         "~0", _at_most(0.05), partial(measures.share_above, size=3)),
    _one("clusters.layer10.smaller", "vgg16", (10, 13), "layer 10's clusters are smaller than layer 13's (difference)",
         "smaller", _below(0), partial(measures.growth, earlier=13, later=10, name="cluster_size")),
    _one("size.vgg16", "vgg16", 13, "cluster size",
         *_near("vgg16", 13, "cluster_size", 0.2), _statistic("cluster_size")),
    _one("size.vgg6", "vgg6", 5, "cluster size", *_near("vgg6", 5, "cluster_size", 0.2), _statistic("cluster_size")),
    _one("size.avgg16", "avgg16", 13, "cluster size",
         *_near("avgg16", 13, "cluster_size", 0.2), _statistic("cluster_size")),
    _one("size.shares", "vgg16", 13, "share of the clusters of 3 labels",
         "most", _at_least(0.4), partial(measures.share_of, size=3)),
    _one("size.shares.largest", "vgg16", 13, "share of the clusters of 3 labels less the largest other",
         "> 0", _above(0), partial(measures.share_above_others, size=3)),
    _one("threshold", "vgg16", 13, "cluster size at threshold 0.6 over that at 0.3",
         "~1", _at_least(0.8), measures.size_over_thresholds),
    _one("equal.layer13", "vgg16", 13, "variation over labels of the clusters that a label is in",
         "slight", _at_most(0.15), measures.evenness),
    _one("equal.layer7", "vgg16", 7, "variation over labels of the clusters that a label is in",
         "slight", _at_most(0.2), measures.evenness),
    _one("equal.vgg6", "vgg6", 5, "variation over labels of the clusters that a label is in",
         "slight", _at_most(0.15), measures.evenness),

    _one("field.gap", "vgg16", 13, "fields in rows off the clusters against those of cluster blocks",
         paper_text("vgg16", 13, "field_gap"), _at_most(0.03), measures.field_gap),
    _one("field.negative", "vgg16", 13, "mean of the sub-threshold fields in the clusters' rows",
         "< 0", _below(0), _statistic("fields_beside_clusters"), ROWS_SUM_TO_0),
    _one("snr.counted", "vgg16", 13, "signal over interference, counted",
         "4.5 … 4.8", _at_least(4), _statistic("snr_counted")),
    _one("snr", "vgg16", 13, "signal over the mean first noise, measured (inf: that mean is not positive)",
         paper_text("vgg16", 13, "snr"), _above(5), measures.signal_over_first_noise, ROWS_SUM_TO_0),
    _one("snr.second", "vgg16", 13, "second noise: the other filters' sum of fields on the label itself",
         "< 0", _below(0), _statistic("second_noise")),
    Claim("snr.order", "signal over interference and noise, counted, orders the networks as their success rates do "
          "(smallest step)", "vgg6 < vgg16 < avgg16", _above(0), LAST,
          partial(measures.smallest_rise, name="snr_counted_with_noise")),

    _one("decision.vgg16", "vgg16", 13, "share of filters that pick one label whatever the input",
         "1", _at_least(0.99), _statistic("one_decision_share"), ONE_POSITION),
    _one("decision.vgg6", "vgg6", 5, "share of filters that pick one label whatever the input",
         "essentially 1", _at_least(0.99), _statistic("one_decision_share"), ONE_POSITION),
    _one("decision.avgg16", "avgg16", 13, "share of filters that pick one label whatever the input",
         "essentially 1", _at_least(0.99), _statistic("one_decision_share")),
    *(
        _one(f"decision.early.layer{layer}", "vgg16", layer, "share of filters that mostly pick one, two or three "
             "labels", "most", _at_least(0.5), _statistic("few_decisions_share"))
        for layer in V16[:-1]
    ),
    _one("single.vgg16", "vgg16", 13, "success rate of a single filter alone, mean over filters",
         "low", _at_most(0.2), _statistic("single_accuracy"), ONE_POSITION),
    _one("single.vgg6", "vgg6", 5, "success rate of a single filter alone, mean over filters",
         "low", _at_most(0.2), _statistic("single_accuracy"), ONE_POSITION),
    _one("single.avgg16", "avgg16", 13, "success rate of a single filter alone, mean over filters",
         "low", _at_most(0.2), _statistic("single_accuracy")),

    _one("same.train.noise", "vgg16", 13, "the training set's noise is the test set's (difference)",
         "0", _within(0, 0.3), partial(measures.training_beside_test, name="noise")),
    _one("same.train.size", "vgg16", 13, "the training set's cluster size is the test set's (difference)",
         "0", _within(0, 0.15), partial(measures.training_beside_test, name="cluster_size")),
    _one("same.reversed.noise", "vgg16", V16, "the reversed walk leaves the mean noise of all filters unchanged "
         "(relative difference)", "0", _within(0, 0.01), partial(measures.change_reversed, layers=V16, name="noise")),
    _one("same.reversed.clusters", "vgg16", V16, "the reversed walk leaves the mean number of clusters of all filters "
         "unchanged (relative difference)", "0", _within(0, 0.01),
         partial(measures.change_reversed, layers=V16, name="clusters")),

    _one("dilute.random", "vgg16", 13, "150 of 512 filters removed at random, loss of success rate",
         "0", _at_most(0.005), partial(measures.loss_without_random_filters, removed=150)),
    _one("dilute.label", "vgg16", 13, "filters silenced whose clusters include a label, largest loss of success rate",
         "large", _above(0.02), measures.loss_without_worst_label, LABEL_REMOVED),
    Claim("dilute.trained.350.layer13", "vgg14 trained with 350 filters in layer 13: loss of success rate",
          "0", _at_most(0.005), (Need("vgg14"), Need("vgg14_l13_350")), measures.accuracy_difference),
    Claim("dilute.trained.350.layers11to13", "vgg16 trained with 350 filters in layers 11 to 13: loss of success "
          "rate", "little to no", _at_most(0.005), (Need("vgg16"), Need("vgg16_l11to13_350")),
          measures.accuracy_difference),
    Claim("dilute.trained.120", "vgg16 trained with 120 filters in layers 11 to 13: loss of success rate",
          "slight", _at_most(0.015), (Need("vgg16"), Need("vgg16_l11to13_120")), measures.accuracy_difference),
    Claim("dilute.trained.100", "avgg16 trained with 100 filters in layer 13: loss of success rate",
          "0", _at_most(0.005), (Need("avgg16"), Need("avgg16_l13_100")), measures.accuracy_difference),

    *(
        claim
        for arch in LAYERS
        for claim in (
            Claim(f"bias.none.{arch}", f"{arch}: trained with output biases, the success rate is the same "
                  "(difference)", "0", _within(0, 0.003),
                  (Need(arch, output_bias=True), Need(arch)), measures.accuracy_difference),
            _one(f"bias.removed.{arch}", arch, (), "trained with output biases that are then removed, the success rate "
                 "stays (difference)", "0", _within(0, 0.003), measures.loss_without_output_biases, output_bias=True),
            _one(f"validation.{arch}", arch, (), "success rate on held-out training images is that on the test set "
                 "(difference)", "within its std", _within(0, 0.01), measures.validation_beside_test,
                 validation=VALIDATION_IMAGES),
        )
    ),
)
# fmt: on
