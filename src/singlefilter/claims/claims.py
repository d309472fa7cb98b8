"""The paper's claims, and when each holds (method, section 7, whose tolerances were fixed before any result).

Each is made of the networks of which the paper makes it:

* all three: the whole network's success rate, the last layer's noise and number and size of clusters, one decision a
  filter (Abstract), output biases and validation sets (SI).
* VGG-16 and VGG-6: success rates that grow and noise that falls with the layer; of AVGG-16 one layer is examined.
* VGG-16 alone: what the paper says of its layers 7, 8, 10, 11 and 13, of fields and signal to noise, of the training
  set's fields, of the reversed walk, and of filters removed from its layer 13.

Where several numbers make one claim, each has a row: noise.vgg16 is noise.vgg16.layer2, .layer10 and .layer13.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from singlefilter.claims import run as runs
from singlefilter.claims.paper import LAYERS, VALIDATION_IMAGES, VALUES, paper_text

ROUNDING = 1e-9  # what is at its tolerance holds, whatever the last bit of a difference


class Rule(NamedTuple):
    """What a number must be: in words, and as bounds, which are allowed themselves unless `strict`."""

    text: str
    lowest: float = -math.inf
    highest: float = math.inf
    strict: bool = False

    def excess(self, value: float) -> float:
        """By how much a value is beyond the nearest bound; negative inside."""
        return max(self.lowest - value, value - self.highest)

    def allows(self, value: float) -> bool:
        """Whether a value is what it must be."""
        excess = self.excess(value)
        return excess < -ROUNDING if self.strict else excess <= ROUNDING


class Need(NamedTuple):
    """What a run must be for a claim to be judged on it, beside the paper's data, epochs and threshold.

    Attributes:
        arch: The row of archs, with the paper's values.
        layers: Those that must be examined.
        output_bias: Whether the network is trained with output biases.
        validation: How many training images must be held out, at least; none may be where it is 0.
    """

    arch: str
    layers: tuple[int, ...] = ()
    output_bias: bool = False
    validation: int = 0

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
    """

    id: str
    claim: str
    paper: str
    rule: Rule
    needs: tuple[Need, ...]
    measure: Callable[..., runs.Number]


def _within(value: float, tolerance: float) -> Rule:
    return Rule(f"± {tolerance:g}", value - tolerance, value + tolerance)


def _at_most(bound: float) -> Rule:
    return Rule(f"≤ {bound:g}", highest=bound)


def _at_least(bound: float) -> Rule:
    return Rule(f"≥ {bound:g}", lowest=bound)


def _above(bound: float) -> Rule:
    return Rule(f"> {bound:g}", lowest=bound, strict=True)


def _below(bound: float) -> Rule:
    return Rule(f"< {bound:g}", highest=bound, strict=True)


def _near_paper(name: str, text: str, arch: str, layer: int, statistic: str, tolerance: float) -> Claim:
    """A claim that a layer's statistic is the paper's."""
    return Claim(
        name,
        f"{arch}, layer {layer}: {text}",
        paper_text(arch, layer, statistic),
        _within(VALUES[arch, layer, statistic], tolerance),
        (Need(arch, (layer,)),),
        partial(runs.statistic, layer=layer, name=statistic),
    )


def _success_rate(arch: str) -> Claim:
    return Claim(
        f"sr.{arch}",
        f"{arch}: success rate of the whole network",
        paper_text(arch, None, "accuracy"),
        _within(VALUES[arch, None, "accuracy"], 0.005),
        (Need(arch),),
        runs.network_accuracy,
    )


def _as_good_as_network(layer: int) -> Claim:
    return Claim(
        f"sr.layers.layer{layer}",
        f"vgg16, layer {layer}: the head does as well as the whole network",
        "0",
        _within(0, 0.005),
        (Need("vgg16", (layer,)),),
        partial(runs.head_beside_network, layer=layer),
    )


def _progress(arch: str) -> Claim:
    layers = LAYERS[arch]
    return Claim(
        f"sr.progress.{arch}",
        f"{arch}: success rate grows with the layer (smallest step)",
        "grows",
        _above(-0.003),
        (Need(arch, layers),),
        partial(runs.smallest_growth, layers=layers),
    )


def _noise_falls(arch: str) -> Claim:
    layers = LAYERS[arch]
    return Claim(
        f"noise.falls.{arch}",
        f"{arch}: noise falls over the layers before a pool, at each threshold from 0.3 to 0.6 (largest step)",
        "falls",
        _below(0),
        (Need(arch, layers),),
        partial(runs.largest_noise_growth, layers=layers),
    )


def _noise_rises(later: int) -> Claim:
    earlier = later - 1
    return Claim(
        f"noise.rises.layer{later}",
        f"vgg16: noise rises right after a pool, layer {later} over {earlier}",
        "rises",
        _above(0),
        (Need("vgg16", (earlier, later)),),
        partial(runs.noise_growth, earlier=earlier, later=later),
    )


def _one_cluster(arch: str) -> Claim:
    return _near_paper(f"clusters.last.{arch}", "one cluster per filter", arch, LAYERS[arch][-1], "clusters", 0.05)


def _one_cluster_at_thresholds(arch: str) -> Claim:
    layer = LAYERS[arch][-1]
    return Claim(
        f"clusters.last.{arch}.thresholds",
        f"{arch}, layer {layer}: one cluster per filter at each threshold from 0.3 to 0.6 (farthest)",
        paper_text(arch, layer, "clusters"),
        _within(VALUES[arch, layer, "clusters"], 0.05),
        (Need(arch, (layer,)),),
        partial(runs.clusters_farthest_from_one, layer=layer),
    )


def _equal_appearances(layer: int) -> Claim:
    tolerance = 0.15 * VALUES["vgg16", layer, "appearances"]
    return _near_paper(
        f"equal.layer{layer}", "clusters that a label is in, mean over labels", "vgg16", layer, "appearances", tolerance
    )


def _of_vgg16(name: str, text: str, paper: str, rule: Rule, layer: int, statistic: str) -> Claim:
    """A claim that a statistic of a layer of VGG-16 keeps to a rule."""
    needs = (Need("vgg16", (layer,)),)
    return Claim(
        name, f"vgg16, layer {layer}: {text}", paper, rule, needs, partial(runs.statistic, layer=layer, name=statistic)
    )


def _ordered(name: str, statistic: str, text: str) -> Claim:
    return Claim(
        f"snr.order.{name}",
        f"signal to noise, {text}, orders the networks as their success rates do (smallest step)",
        "vgg6 < vgg16 < avgg16",
        _above(0),
        tuple(Need(arch, LAYERS[arch][-1:]) for arch in ("vgg6", "vgg16", "avgg16")),
        partial(runs.smallest_rise, name=statistic),
    )


def _one_decision(arch: str, note: str) -> Claim:
    layer = LAYERS[arch][-1]
    return Claim(
        f"decision.{arch}",
        f"{arch}, layer {layer}: share of filters that pick one label whatever the input ({note})",
        "1",
        _at_least(0.99),
        (Need(arch, (layer,)),),
        partial(runs.statistic, layer=layer, name="one_decision_share"),
    )


def _same_on_training_set(name: str, statistic: str, tolerance: float) -> Claim:
    return Claim(
        f"same.train.{name}",
        f"vgg16, layer 13: the training set's {statistic.replace('_', ' ')} is the test set's (difference)",
        "0",
        _within(0, tolerance),
        (Need("vgg16", (13,)),),
        partial(runs.training_beside_test, layer=13, name=statistic),
    )


def _same_reversed(statistic: str) -> Claim:
    layers = LAYERS["vgg16"]
    return Claim(
        f"same.reversed.{statistic}",
        f"vgg16: the reversed walk leaves each layer's mean {statistic} unchanged (largest relative difference)",
        "0",
        _within(0, 0.01),
        (Need("vgg16", layers),),
        partial(runs.largest_change_reversed, layers=layers, name=statistic),
    )


def _diluted_in_training(name: str, text: str, paper: str, parent: str, arch: str, tolerance: float) -> Claim:
    return Claim(
        f"dilute.trained.{name}",
        f"{parent} trained with {text}: loss of success rate",
        paper,
        _at_most(tolerance),
        (Need(parent), Need(arch)),
        runs.accuracy_difference,
    )


def _biases_or_none(arch: str) -> Claim:
    return Claim(
        f"bias.none.{arch}",
        f"{arch}: trained with output biases, the success rate is the same (difference)",
        "0",
        _within(0, 0.003),
        (Need(arch, output_bias=True), Need(arch)),
        runs.accuracy_difference,
    )


def _biases_removed(arch: str) -> Claim:
    return Claim(
        f"bias.removed.{arch}",
        f"{arch}: trained with output biases that are then removed, the success rate stays (difference)",
        "0",
        _within(0, 0.003),
        (Need(arch, output_bias=True),),
        runs.loss_without_output_biases,
    )


def _validated(arch: str) -> Claim:
    return Claim(
        f"validation.{arch}",
        f"{arch}: success rate on held-out training images is that on the test set (difference)",
        "0",
        _within(0, 0.01),
        (Need(arch, validation=VALIDATION_IMAGES),),
        runs.validation_beside_test,
    )


CLAIMS: tuple[Claim, ...] = (
    *map(_success_rate, ("vgg16", "vgg6", "avgg16")),
    *map(_as_good_as_network, (10, 13)),
    *map(_progress, ("vgg16", "vgg6")),
    Claim(
        "train.layer7",
        "vgg16, layer 7: success rate of the head on the training set",
        paper_text("vgg16", 7, "train_accuracy"),
        _at_least(0.995),
        (Need("vgg16", (7,)),),
        partial(runs.accuracy, layer=7, name="train_accuracy"),
    ),
    _near_paper("noise.vgg16.layer2", "noise per filter", "vgg16", 2, "noise", 4),
    _near_paper("noise.vgg16.layer10", "noise per filter", "vgg16", 10, "noise", 1),
    _near_paper("noise.vgg16.layer13", "noise per filter", "vgg16", 13, "noise", 0.5),
    _near_paper("noise.vgg6", "noise per filter", "vgg6", 5, "noise", 0.8),
    _near_paper("noise.avgg16", "noise per filter", "avgg16", 13, "noise", 0.4),
    *map(_noise_falls, ("vgg16", "vgg6")),
    *map(_noise_rises, (8, 11)),
    *map(_one_cluster, ("vgg16", "vgg6", "avgg16")),
    *map(_one_cluster_at_thresholds, ("vgg16", "vgg6", "avgg16")),
    _near_paper("clusters.layer7", "clusters per filter", "vgg16", 7, "clusters", 0.2),
    _near_paper("clusters.layer7.size", "cluster size", "vgg16", 7, "cluster_size", 0.2),
    Claim(
        "clusters.layer10.falls",
        "vgg16, layer 10: the share of clusters falls with their size (largest step)",
        "falls",
        _at_most(0),
        (Need("vgg16", (10,)),),
        partial(runs.largest_share_growth, layer=10),
    ),
    Claim(
        "clusters.layer10.above3",
        "vgg16, layer 10: share of the clusters of more than 3 labels",
        "~0",
        _at_most(0.05),
        (Need("vgg16", (10,)),),
        partial(runs.share_above, layer=10, size=3),
    ),
    _near_paper("size.vgg16", "cluster size", "vgg16", 13, "cluster_size", 0.2),
    _near_paper("size.vgg6", "cluster size", "vgg6", 5, "cluster_size", 0.2),
    _near_paper("size.avgg16", "cluster size", "avgg16", 13, "cluster_size", 0.2),
    _equal_appearances(13),
    _of_vgg16(
        "equal.layer13.variation",
        "variation over labels of the clusters that a label is in",
        "~0",
        _at_most(0.15),
        13,
        "appearances_variation",
    ),
    _equal_appearances(7),
    _of_vgg16(
        "equal.layer7.variation",
        "variation over labels of the clusters that a label is in",
        "~0",
        _at_most(0.15),
        7,
        "appearances_variation",
    ),
    _of_vgg16(
        "field.gap",
        "fields in rows off the clusters against those of cluster blocks",
        paper_text("vgg16", 13, "field_gap"),
        _at_most(0.03),
        13,
        "field_gap",
    ),
    _of_vgg16(
        "field.negative",
        "mean of the sub-threshold fields in the clusters' rows",
        "< 0",
        _below(0),
        13,
        "fields_beside_clusters",
    ),
    _of_vgg16(
        "snr",
        "signal to noise, measured",
        paper_text("vgg16", 13, "snr_measured"),
        _above(VALUES["vgg16", 13, "snr_measured"]),
        13,
        "snr_measured",
    ),
    _ordered("counted", "snr_counted_with_noise", "counted with noise"),
    _ordered("measured", "snr_measured", "measured"),
    _one_decision("vgg16", "by construction: one position"),
    _one_decision("vgg6", "by construction: one position"),
    _one_decision("avgg16", "16 positions"),
    _same_on_training_set("noise", "noise", 0.3),
    _same_on_training_set("size", "cluster_size", 0.15),
    *map(_same_reversed, ("noise", "clusters")),
    Claim(
        "dilute.random",
        "vgg16, layer 13: 150 of 512 filters removed at random, loss of success rate",
        "0",
        _at_most(0.005),
        (Need("vgg16", (13,)),),
        partial(runs.loss_without_random_filters, layer=13, removed=150),
    ),
    Claim(
        "dilute.label",
        "vgg16, layer 13: filters silenced whose clusters include a label, largest loss of success rate",
        "large",
        _above(0.02),
        (Need("vgg16", (13,)),),
        partial(runs.loss_without_worst_label, layer=13),
    ),
    _diluted_in_training("350.layer13", "350 filters in layer 13", "0", "vgg14", "vgg14_l13_350", 0.005),
    _diluted_in_training(
        "350.layers11to13", "350 filters in layers 11 to 13", "0", "vgg16", "vgg16_l11to13_350", 0.005
    ),
    _diluted_in_training("120", "120 filters in layers 11 to 13", "slight", "vgg16", "vgg16_l11to13_120", 0.015),
    _diluted_in_training("100", "100 filters in layer 13", "0", "avgg16", "avgg16_l13_100", 0.005),
    *map(_biases_or_none, ("vgg16", "vgg6", "avgg16")),
    *map(_biases_removed, ("vgg16", "vgg6", "avgg16")),
    *map(_validated, ("vgg16", "vgg6", "avgg16")),
)
