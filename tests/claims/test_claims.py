"""What the claims make of numbers that satisfy them, violate them, and cannot show them."""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pandas as pd
import pytest

from singlefilter.claims.claims import CLAIMS
from singlefilter.claims.judge import FAILS, HOLDS, NOT_COMPARABLE, judge, judge_across, summarise_claims
from singlefilter.claims.text import claims_text
from singlefilter.pipeline.params_files import load_params
from tests.claims.tables import ACCURACY, EXAMINED, PARAMS, Tables, held_out, row, tables, with_biases

# The method's table, with a row for each number.
IDS = """
sr.vgg16 sr.vgg6 sr.avgg16 sr.order.vgg16 sr.order.avgg16
sr.layers.layer10 sr.layers.layer13 sr.vgg6.layer5
sr.progress.vgg16 sr.progress.vgg6
sr.spread.vgg16 sr.spread.vgg6 sr.spread.avgg16
train.layer7
noise.vgg16.layer2 noise.vgg16.layer10 noise.vgg16.layer13 noise.vgg16.layer13.thresholds
noise.vgg6 noise.avgg16
noise.order.vgg16 noise.order.avgg16 size.order.vgg6 size.order.avgg16
noise.falls.vgg16 noise.falls.vgg6 noise.lowest
noise.rises.layer8 noise.rises.layer11
columns.layer2 columns.layer2.share columns.layer4 columns.layer4.share
clusters.last.vgg16 clusters.last.vgg6 clusters.last.avgg16 clusters.last.vgg16.thresholds
clusters.layer7 clusters.layer7.size
clusters.layer10 clusters.layer10.falls clusters.layer10.above3 clusters.layer10.smaller
size.vgg16 size.vgg6 size.avgg16 size.shares size.shares.largest
threshold
equal.layer13 equal.layer7 equal.vgg6
field.gap field.negative
snr.counted snr snr.second snr.order
decision.vgg16 decision.vgg6 decision.avgg16
decision.early.layer2 decision.early.layer4 decision.early.layer7 decision.early.layer10
single.vgg16 single.vgg6 single.avgg16
same.train.noise same.train.size
same.reversed.noise same.reversed.clusters
dilute.random dilute.label
dilute.trained.350.layer13 dilute.trained.350.layers11to13 dilute.trained.120 dilute.trained.100
bias.none.vgg16 bias.removed.vgg16 validation.vgg16
bias.none.vgg6 bias.removed.vgg6 validation.vgg6
bias.none.avgg16 bias.removed.avgg16 validation.avgg16
""".split()

Change = Callable[[Tables, float], None]


def number(layer: int, name: str) -> Change:
    """Set a layer's statistic."""
    return lambda run, value: run.layers[layer].update({name: value})


def differing(layer: int, name: str, other: str) -> Change:
    """Set a layer's statistic to differ from another of its statistics."""
    return lambda run, value: run.layers[layer].update({name: run.layers[layer][other] + value})


def network(run: Tables, value: float) -> None:
    run.accuracies = {seed: value for seed in run.accuracies}


def head_beside_network(layer: int) -> Change:
    return lambda run, value: run.layers[layer].update(accuracy=run.accuracies[0] + value)


def accuracy_step(earlier: int, later: int) -> Change:
    return lambda run, value: run.layers[later].update(accuracy=run.layers[earlier]["accuracy"] + value)


def noise_step_at(earlier: int, later: int, threshold: float) -> Change:
    def change(run: Tables, value: float) -> None:
        run.noise_at[later][threshold] = run.noise_at[earlier][threshold] + value

    return change


def noise_step(earlier: int, later: int) -> Change:
    return lambda run, value: run.layers[later].update(noise=run.layers[earlier]["noise"] + value)


def noise_at(layer: int, threshold: float) -> Change:
    return lambda run, value: run.noise_at[layer].update({threshold: value})


def clusters_at(layer: int, threshold: float) -> Change:
    return lambda run, value: run.clusters_at[layer].update({threshold: value})


def size_at(layer: int, threshold: float) -> Change:
    return lambda run, value: run.size_at[layer].update({threshold: value * run.size_at[layer][0.3]})


def shares(layer: int, make: Callable[[float], list[float]]) -> Change:
    return lambda run, value: run.layers[layer].update(shares=make(value))


def spread(run: Tables, value: float) -> None:
    run.std = value


def signal(run: Tables, value: float) -> None:
    run.layers[13] |= {"signal": value * 25, "first_noise": 25}


def of_all_filters(name: str, layer: int, weights: dict[int, int]) -> Change:
    """Let the reversed walk change one layer so that the mean over all filters changes by a relative value."""

    def change(run: Tables, value: float) -> None:
        total = sum(weights[each] * run.layers[each][name] for each in weights)
        run.layers[layer][f"reversed_{name}"] = run.layers[layer][name] + value * total / weights[layer]

    return change


def share_above_three(run: Tables, value: float) -> None:
    run.layers[10]["shares"] = [1 - 3 * value, value, value, value / 2, value / 2, *[0] * 5]


def loss(attribute: str) -> Change:
    return lambda run, value: setattr(run, attribute, {seed: value for seed in run.accuracies})


def beside_test(attribute: str, sign: int) -> Change:
    def change(run: Tables, value: float) -> None:
        setattr(run, attribute, {seed: accuracy + sign * value for seed, accuracy in run.accuracies.items()})

    return change


def size_step(earlier: int, later: int) -> Change:
    return lambda run, value: run.layers[later].update(cluster_size=run.layers[earlier]["cluster_size"] + value)


POOLED = {2: 64, 4: 128, 7: 256, 10: 512, 13: 512}  # the filters of the layers before a pool
# id, the run, what sets its number, numbers of which it holds (the last ones at the tolerance), and does not
CASES = [
    ("sr.vgg16", tables, network, (0.94, 0.935, 0.945), (0.9349, 0.9451)),
    ("sr.vgg6", lambda: tables("vgg6"), network, (0.92, 0.915, 0.925), (0.9149, 0.9251)),
    ("sr.avgg16", lambda: tables("avgg16"), network, (0.955, 0.95, 0.96), (0.9499, 0.9601)),
    ("sr.layers.layer10", tables, head_beside_network(10), (0, -0.005, 0.05), (-0.0051,)),
    ("sr.layers.layer13", tables, head_beside_network(13), (0, -0.005, 0.05), (-0.0051,)),
    ("sr.vgg6.layer5", lambda: tables("vgg6"), number(5, "accuracy"), (0.92, 0.915, 0.925), (0.9149, 0.9251)),
    ("sr.spread.vgg16", tables, spread, (0.001, 0.005), (0.0051,)),
    ("sr.spread.vgg6", lambda: tables("vgg6"), spread, (0.001, 0.005), (0.0051,)),
    ("sr.spread.avgg16", lambda: tables("avgg16"), spread, (0.001, 0.005), (0.0051,)),
    ("sr.progress.vgg16", tables, accuracy_step(10, 13), (-0.002, -0.0029), (-0.003, -0.01)),
    ("sr.progress.vgg6", lambda: tables("vgg6"), accuracy_step(4, 5), (-0.002, -0.0029), (-0.003, -0.01)),
    ("train.layer7", tables, number(7, "train_accuracy"), (0.999, 0.995), (0.9949, 0.5)),
    ("noise.vgg16.layer2", tables, number(2, "noise"), (20, 16, 24), (15.9, 24.1)),
    ("noise.vgg16.layer10", tables, number(10, "noise"), (3.8, 2.8, 4.8), (2.7, 4.9)),
    ("noise.vgg16.layer13", tables, number(13, "noise"), (1.5, 1.0, 2.0), (0.99, 2.01)),
    ("noise.vgg16.layer13.thresholds", tables, noise_at(13, 0.6), (1.5, 1.0, 2.0), (0.99, 2.01)),
    ("noise.vgg6", lambda: tables("vgg6"), number(5, "noise"), (3.14, 2.34, 3.94), (2.3, 4.0)),
    ("noise.avgg16", lambda: tables("avgg16"), number(13, "noise"), (1.1, 0.7, 1.5), (0.69, 1.51)),
    ("noise.falls.vgg16", tables, noise_step_at(10, 13, 0.6), (-1, -0.01), (0, 0.1)),
    ("noise.falls.vgg6", lambda: tables("vgg6"), noise_step_at(1, 2, 0.3), (-1, -0.01), (0, 0.1)),
    ("noise.lowest", tables, noise_step_at(10, 13, 0.45), (-0.5, -0.01), (0, 0.1)),
    ("columns.layer2", tables, number(2, "full_columns"), (2, 1, 4), (0.99, 4.01)),
    ("columns.layer2.share", tables, number(2, "full_columns_share"), (0.9, 0.5), (0.49,)),
    ("columns.layer4", tables, number(4, "full_columns"), (2, 1, 4), (0.99, 4.01)),
    ("columns.layer4.share", tables, number(4, "full_columns_share"), (0.9, 0.5), (0.49,)),
    ("noise.rises.layer8", tables, noise_step(7, 8), (1, 0.01), (0, -1)),
    ("noise.rises.layer11", tables, noise_step(10, 11), (1, 0.01), (0, -1)),
    ("clusters.last.vgg16", tables, number(13, "clusters"), (1, 0.95, 1.05), (0.94, 1.06)),
    ("clusters.last.vgg6", lambda: tables("vgg6"), number(5, "clusters"), (1, 0.95, 1.05), (0.94, 1.06)),
    ("clusters.last.avgg16", lambda: tables("avgg16"), number(13, "clusters"), (1, 0.95, 1.05), (0.94, 1.06)),
    ("clusters.last.vgg16.thresholds", tables, clusters_at(13, 0.6), (1, 0.95, 1.05), (0.94, 1.06)),
    ("clusters.layer7", tables, number(7, "clusters"), (1.3, 1.1, 1.5), (1.09, 1.51)),
    ("clusters.layer7.size", tables, number(7, "cluster_size"), (1.66, 1.46, 1.86), (1.45, 1.87)),
    ("clusters.layer10", tables, number(10, "clusters"), (2, 1.3), (1.29,)),
    ("clusters.layer10.falls", tables, shares(10, lambda step: [0.6, 0.2, 0.2 + step]), (-0.1, -0.01), (0, 0.1)),
    ("clusters.layer10.smaller", tables, size_step(13, 10), (-1, -0.01), (0, 0.5)),
    ("clusters.layer10.above3", tables, share_above_three, (0.01, 0.05), (0.051, 0.2)),
    ("size.vgg16", tables, number(13, "cluster_size"), (2.88, 2.68, 3.08), (2.67, 3.09)),
    ("size.vgg6", lambda: tables("vgg6"), number(5, "cluster_size"), (2.6, 2.4, 2.8), (2.39, 2.81)),
    ("size.avgg16", lambda: tables("avgg16"), number(13, "cluster_size"), (2.5, 2.3, 2.7), (2.29, 2.71)),
    ("size.shares", tables, shares(13, lambda share: [0, 0, share, 1 - share]), (0.7, 0.4), (0.39,)),
    ("size.shares.largest", tables, shares(13, lambda step: [0.1, 0, 0.45 + step, 0.45]), (0.01, 0.2), (0, -0.1)),
    ("threshold", tables, size_at(13, 0.6), (1, 0.8, 1.2), (0.79,)),
    ("equal.layer13", tables, number(13, "appearances_variation"), (0.01, 0.15), (0.151,)),
    ("equal.layer7", tables, number(7, "appearances_variation"), (0.01, 0.2), (0.201,)),
    ("equal.vgg6", lambda: tables("vgg6"), number(5, "appearances_variation"), (0.01, 0.15), (0.151,)),
    ("field.gap", tables, number(13, "field_gap"), (0.01, 0.03), (0.031,)),
    ("field.negative", tables, number(13, "fields_beside_clusters"), (-0.1, -0.001), (0, 0.1)),
    ("snr.counted", tables, number(13, "snr_counted"), (4.5, 4), (3.99,)),
    ("snr", tables, signal, (6, 5.01), (5, 4.8)),
    ("snr.second", tables, number(13, "second_noise"), (-5, -0.01), (0, 3)),
    ("decision.vgg16", tables, number(13, "one_decision_share"), (1, 0.99), (0.989,)),
    ("decision.vgg6", lambda: tables("vgg6"), number(5, "one_decision_share"), (1, 0.99), (0.989,)),
    ("decision.avgg16", lambda: tables("avgg16"), number(13, "one_decision_share"), (1, 0.99), (0.989,)),
    ("decision.early.layer2", tables, number(2, "few_decisions_share"), (0.9, 0.5), (0.49,)),
    ("decision.early.layer4", tables, number(4, "few_decisions_share"), (0.9, 0.5), (0.49,)),
    ("decision.early.layer7", tables, number(7, "few_decisions_share"), (0.9, 0.5), (0.49,)),
    ("decision.early.layer10", tables, number(10, "few_decisions_share"), (0.9, 0.5), (0.49,)),
    ("single.vgg16", tables, number(13, "single_accuracy"), (0.1, 0.2), (0.21,)),
    ("single.vgg6", lambda: tables("vgg6"), number(5, "single_accuracy"), (0.1, 0.2), (0.21,)),
    ("single.avgg16", lambda: tables("avgg16"), number(13, "single_accuracy"), (0.1, 0.2), (0.21,)),
    ("same.train.noise", tables, differing(13, "train_noise", "noise"), (0, -0.3, 0.3), (-0.31, 0.31)),
    ("same.train.size", tables, differing(13, "train_cluster_size", "cluster_size"), (0, -0.15, 0.15), (-0.16, 0.16)),
    ("same.reversed.noise", tables, of_all_filters("noise", 7, POOLED), (0, -0.01, 0.01), (-0.011, 0.011)),
    ("same.reversed.clusters", tables, of_all_filters("clusters", 2, POOLED), (0, -0.01, 0.01), (-0.011, 0.011)),
    ("dilute.random", tables, loss("loss_random"), (0, -0.01, 0.005), (0.0051, 0.1)),
    ("dilute.label", tables, loss("loss_label"), (0.1, 0.021), (0.02, 0.001)),
    *(
        (f"bias.removed.{arch}", lambda arch=arch: with_biases(arch), beside_test("without_bias", -1), *numbers)
        for arch, numbers in dict.fromkeys(EXAMINED, ((0, 0.003, -0.003), (0.0031, -0.0031))).items()
    ),
    *(
        (f"validation.{arch}", lambda arch=arch: held_out(arch), beside_test("validation", 1), *numbers)
        for arch, numbers in dict.fromkeys(EXAMINED, ((0, 0.01, -0.01), (0.0101, -0.0101))).items()
    ),
]
JUDGED = [
    pytest.param(name, make, change, value, verdict, id=f"{name}={value:g}")
    for name, make, change, holding, failing in CASES
    for verdict, values in ((HOLDS, holding), (FAILS, failing))
    for value in values
]


@pytest.mark.parametrize(("name", "make", "change", "value", "verdict"), JUDGED)
def test_a_claim_holds_up_to_its_tolerance_and_not_beyond(name, make, change, value, verdict):
    run = make()
    change(run, value)
    judged = row(judge(run.run()), name)
    assert judged["measured"] == pytest.approx(value, abs=1e-12)
    assert judged["verdict"] == verdict
    assert (judged["reason"] == "") == (verdict == HOLDS)


# id, the runs, the one whose success rate or ratio is changed, by what, and what holds and does not
ORDER = ("vgg6", "vgg16", "avgg16")
DILUTED = [
    ("dilute.trained.350.layer13", "vgg14", "vgg14_l13_350", (0.005, 0, -0.01), (0.0051,)),
    ("dilute.trained.350.layers11to13", "vgg16", "vgg16_l11to13_350", (0.005, 0, -0.01), (0.0051,)),
    ("dilute.trained.120", "vgg16", "vgg16_l11to13_120", (0.015, 0, -0.01), (0.0151,)),
    ("dilute.trained.100", "avgg16", "avgg16_l13_100", (0.005, 0, -0.01), (0.0051,)),
]


@pytest.mark.parametrize(
    ("name", "parent", "diluted", "value", "verdict"),
    [
        (name, parent, diluted, value, verdict)
        for name, parent, diluted, holding, failing in DILUTED
        for verdict, values in ((HOLDS, holding), (FAILS, failing))
        for value in values
    ],
)
def test_trained_diluted_networks_are_judged_against_their_parents(name, parent, diluted, value, verdict):
    ours = tables(diluted)
    network(ours, tables(parent).accuracies[0] - value)
    judged = row(judge_across([ours.run(), tables(parent).run()]), name)
    assert (judged["measured"], judged["verdict"]) == (pytest.approx(value, abs=1e-12), verdict)


@pytest.mark.parametrize("arch", EXAMINED)
@pytest.mark.parametrize(("value", "verdict"), [(0, HOLDS), (0.003, HOLDS), (-0.003, HOLDS), (-0.0031, FAILS)])
def test_a_network_with_output_biases_is_judged_against_the_one_without(arch, value, verdict):
    ours = with_biases(arch)
    network(ours, ACCURACY[arch] + value)
    judged = row(judge_across([tables(arch).run(), ours.run()]), f"bias.none.{arch}")
    assert (judged["measured"], judged["verdict"]) == (pytest.approx(value, abs=1e-12), verdict)


@pytest.mark.parametrize(("ratios", "step", "verdict"), [((1, 2, 2.5), 0.5, HOLDS), ((1, 2, 2), 0, FAILS)])
def test_signal_to_noise_orders_the_networks_or_not(ratios, step, verdict):
    runs = []
    for arch, ratio in zip(ORDER, ratios, strict=True):
        run = tables(arch)
        run.layers[EXAMINED[arch][-1]]["snr_counted_with_noise"] = ratio
        runs.append(run.run())
    judged = row(judge_across(runs), "snr.order")
    assert (judged["measured"], judged["verdict"]) == (step, verdict)
    assert verdict == HOLDS or judged["reason"] == "at the bound, must be > 0 (avgg16 over vgg16)"


# id, the network that has more and the one that has less, and the statistic; none: the whole network's success rate
ORDERED = [
    ("sr.order.vgg16", "vgg16", "vgg6", None),
    ("sr.order.avgg16", "avgg16", "vgg16", None),
    ("noise.order.vgg16", "vgg6", "vgg16", "noise"),
    ("noise.order.avgg16", "vgg16", "avgg16", "noise"),
    ("size.order.vgg6", "vgg16", "vgg6", "cluster_size"),
    ("size.order.avgg16", "vgg16", "avgg16", "cluster_size"),
]


@pytest.mark.parametrize(("name", "more", "less", "statistic"), ORDERED)
@pytest.mark.parametrize(("beyond", "verdict"), [(0.01, HOLDS), (-0.01, FAILS)])
def test_an_order_is_judged_by_the_interval_of_the_difference(name, more, less, statistic, beyond, verdict):
    runs = [tables(arch, seeds=(0, 1)) for arch in (more, less)]
    if statistic is None:
        half = 12.706205 * math.sqrt(2) * 0.001 / math.sqrt(2)  # Student's, of two rates 0.002 apart
        step = math.hypot(half, half) + beyond * 0.01
        for run, rate in zip(runs, (0.5 + step, 0.5), strict=True):
            run.accuracies = {0: rate - 0.001, 1: rate + 0.001}
    else:
        half = 12.706205 * 0.004 / math.sqrt(2)  # of the tables' deviation
        step = math.hypot(half, half) + beyond
        for run, value in zip(runs, (3 + step, 3), strict=True):
            run.layers[EXAMINED[run.values["arch"]][-1]][statistic] = value
    judged = row(judge_across([run.run() for run in runs]), name)
    assert judged["measured"] == pytest.approx(step) and judged["measured"] > 0
    assert judged["verdict"] == verdict
    assert judged["reason"] == ("" if verdict == HOLDS else f"its interval reaches {judged['low']:.2g}")
    assert judged["low"] < 0 or verdict == HOLDS
    assert judged["interval_over"] == "samples"


def test_an_order_without_interval_is_not_judged():
    runs = [tables(arch).run() for arch in ("vgg16", "vgg6")]
    runs = [replace(run, layers=run.layers.drop(columns="noise_std")) for run in runs]
    judged = row(judge_across(runs), "noise.order.vgg16")
    assert judged[["verdict", "reason"]].tolist() == [NOT_COMPARABLE, "the run gives no interval"]


def test_every_claim_is_there_in_the_methods_order_and_is_tried_here():
    assert [claim.id for claim in CLAIMS] == IDS
    assert judge(tables().run())["id"].tolist() == IDS
    tried = [name for name, *_ in CASES] + [name for name, *_ in DILUTED] + [name for name, *_ in ORDERED]
    assert {*tried, *(f"bias.none.{arch}" for arch in EXAMINED), "snr.order"} == set(IDS)


def test_all_that_one_run_can_show_holds_of_the_papers_numbers():
    for arch, count in (("vgg16", 49), ("vgg6", 11), ("avgg16", 7)):
        counts = summarise_claims(judge(tables(arch).run()))
        verdicts = {"holds": count, "does_not_hold": 0, "not_comparable": len(IDS) - count}
        assert verdicts.items() <= counts.items()


def test_a_shortened_run_shows_its_numbers_the_papers_and_the_controls():
    params = load_params(PARAMS)
    run, control = (replace(made.run(), params=params) for made in (tables(seeds=(0,)), untrained(seeds=(0,))))
    table = judge(run, control)
    assert set(table["verdict"]) == {NOT_COMPARABLE}
    shared = "digits instead of CIFAR-10; shortened run: 0.05 of the epochs; 1 sample"
    assert row(table, "sr.vgg16")["reason"] == shared
    assert row(table, "noise.vgg6")["reason"] == f"about vgg6; {shared}"
    assert row(table, "sr.vgg16")["measured"] == 0.94
    assert math.isnan(row(table, "noise.vgg6")["measured"])
    lines = claims_text(table).splitlines()
    assert lines == [
        "the paper's claims: none of the 87 can be judged on this run",
        # one sample has no spread
        "  of these, 48 have a number all the same: metrics/claims.csv",
        f"not comparable: {shared}",
        "  besides, 22 about other networks and 14 need several runs",
        "open choices: heads on augmented images for 10 epochs, hidden layers of 512, 512 with ReLU",
    ]


def untrained(arch: str = "vgg16", **changes: Any) -> Tables:
    """A run as if nothing had been learnt."""
    made = tables(arch, **changes)
    for rates in ("convolutional_rates", "fully_connected_rates"):
        made.values["archs"][arch]["backbone"][rates]["learning_rate"] = 0.0
    for layer in made.layers:
        made.layers[layer] |= {"noise": 18.0, "clusters": 1.03, "cluster_size": 2.96, "train_accuracy": 0.5}
    return made


def test_a_claim_that_the_untrained_network_or_the_null_satisfies_tells_nothing():
    run = tables()
    run.nulls[10]["clusters"] = 2.0
    table = judge(run.run(), untrained().run())
    for name, control, holds, null, null_holds, tells in (
        ("noise.vgg16.layer13", 18.0, False, 18.0, False, "yes"),
        ("noise.vgg16.layer2", 18.0, True, 18.0, True, "no"),
        ("size.vgg16", 2.96, True, 1.2, False, "no"),
        ("clusters.layer10", 1.03, False, 2.0, True, "no"),
        ("clusters.last.vgg16", 1.03, True, 3.0, False, "no"),
        ("train.layer7", 0.5, False, math.nan, None, "yes"),
    ):
        found = row(table, name)
        assert found["verdict"] == HOLDS, name
        assert found[["control", "null"]].astype(float).tolist() == pytest.approx([control, null], nan_ok=True)
        assert (found["control_holds"], found["null_holds"], found["tells"]) == (holds, null_holds, tells), name
    counts, alone = summarise_claims(table), summarise_claims(judge(run.run()))
    assert (counts["holds"], counts["hold_without_control"]) == (49, 2)
    assert counts["hold_beyond_controls"] == (table["tells"] == "yes").sum() > 0
    assert alone["hold_beyond_controls"] == 0 < alone["hold_without_control"]
    lines = claims_text(table).splitlines()
    after = {line.split()[0]: words for line, words in pairwise(lines)}
    assert after["size.vgg16"] == "  vgg16, layer 13: cluster size; untrained would do"
    assert after["noise.vgg16.layer2"] == "  vgg16, layer 2: noise per filter; untrained and the null would do"
    assert {*table.loc[table["measured"].isna(), "tells"]} == {""}  # of other networks, and of several runs
    assert after["single.vgg16"].endswith("; by construction")


def test_a_control_whose_head_is_at_chance_says_nothing_of_its_layer():
    control, run = untrained(), tables().run()
    for accuracy, known in ((0.1, False), (0.105, False), (0.107, True)):  # Wilson's 95 % of 10,000 images: ± 0.006
        control.layers[10]["accuracy"] = accuracy
        table = judge(run, control.run())
        for name in ("noise.vgg16.layer10", "sr.progress.vgg16", "noise.falls.vgg16", "clusters.layer10.smaller"):
            assert math.isnan(row(table, name)["control"]) != known, (name, accuracy)
        assert row(table, "noise.vgg16.layer13")["control"] == 18
    control.layers[10]["accuracy"] = 0.1
    found = row(judge(run, control.run()), "sr.progress.vgg16")
    assert (found["verdict"], found["control_holds"], found["tells"]) == (HOLDS, None, "no control")


def test_a_control_with_as_many_silent_filters_as_no_run_may_have_says_nothing_of_them():
    control, run = untrained(), tables().run()
    for silent, known in ((52, False), (51, True)):  # of 512
        control.layers[13]["silent_filters"] = silent
        table = judge(run, control.run())
        assert math.isnan(row(table, "noise.vgg16.layer13")["control"]) != known
        assert not math.isnan(row(table, "sr.progress.vgg16")["control"])  # which is not about filters
        assert row(table, "noise.vgg16.layer10")["control"] == 18


def test_an_untrained_network_whose_success_rate_is_chance_is_no_control_of_comparisons_with_it():
    made, run = untrained(), tables().run()
    network(made, 0.1)
    table = judge(run, made.run())
    assert row(table, "sr.vgg16")[["control", "tells"]].tolist() == [0.1, "yes"]
    found = row(table, "sr.layers.layer13")
    assert (found["verdict"], math.isnan(found["control"]), found["tells"]) == (HOLDS, True, "no control")


def test_one_degenerate_control_of_two_leaves_a_claim_of_several_runs_without():
    runs, controls = [tables(arch).run() for arch in ("vgg16", "vgg6")], [untrained("vgg16"), untrained("vgg6")]
    known = row(judge_across(runs, [made.run() for made in controls]), "noise.order.vgg16")
    assert known["control"] == 0
    controls[1].layers[5]["accuracy"] = 0.1
    unknown = row(judge_across(runs, [made.run() for made in controls]), "noise.order.vgg16")
    assert math.isnan(unknown["control"]) and unknown["tells"] == "no control"


def test_the_fall_of_the_noise_stands_beside_that_of_the_null():
    run = tables("vgg6")
    for layer, noise in zip(EXAMINED["vgg6"], (20, 18, 15, 14, 13), strict=True):
        run.nulls[layer]["noise"] = noise
    found = row(judge(run.run()), "noise.falls.vgg6")
    assert (found["verdict"], found["null"], found["null_holds"], found["tells"]) == (HOLDS, -1, True, "no")
    assert math.isnan(row(judge(tables().run()), "noise.falls.vgg16")["null"])  # other thresholds have no null


def test_the_reasons_say_by_how_much_and_where():
    run = tables()
    run.noise_at[7][0.45] = 14.0
    run.layers[2]["noise"] = 15.0
    run.layers[13] |= {"signal": 125, "first_noise": 25}
    table = judge(run.run())
    assert row(table, "noise.vgg16.layer2")["reason"] == "1 too low"
    assert row(table, "noise.falls.vgg16")["reason"] == "2 too high (layer 7 over 4, threshold 0.45)"
    assert row(table, "snr")["reason"] == "at the bound, must be > 5"


def test_claims_of_several_runs_wait_for_them():
    reason = "needs runs of vgg6, vgg16 and avgg16"
    single = judge(tables().run())
    assert row(single, "snr.order")[["verdict", "reason"]].tolist() == [NOT_COMPARABLE, reason]
    assert row(single, "bias.none.vgg6")["reason"] == "needs runs of vgg6 with output biases and vgg6"
    across = judge_across([tables().run(), tables("vgg6").run()])
    assert across["id"].tolist() == [claim.id for claim in CLAIMS if len(claim.needs) > 1]
    assert row(across, "snr.order")["reason"] == reason
    assert set(judge_across([])["verdict"]) == {NOT_COMPARABLE}


def test_what_only_some_of_several_runs_lack_is_said_with_their_network():
    one, two = tables("vgg16", seeds=(0,)), tables("vgg6")
    two.layers[5]["silent_filters"] = 60
    found = row(judge_across([one.run(), two.run()]), "size.order.vgg6")
    assert found["reason"] == "vgg16: 1 sample; vgg6: layer 5: 60 of 512 filters are silent or faded"
    both = [tables(arch, seeds=(0,)).run() for arch in ("vgg16", "vgg6")]
    assert row(judge_across(both), "size.order.vgg6")["reason"] == "1 sample"


def test_runs_are_compared_only_under_the_same_conditions_and_nearest_to_the_papers():
    parent, short_parent = tables("vgg14"), tables("vgg14", epochs_scale=0.1)
    network(short_parent, 0.8)
    short = tables("vgg14_l13_350", epochs_scale=0.1)
    network(short, 0.7)
    name = "dilute.trained.350.layer13"
    apart = "no runs of vgg14 and vgg14_l13_350 agree in data set, epochs, threshold and images held out"
    assert row(judge_across([parent.run(), short.run()]), name)["reason"] == apart
    both = row(judge_across([parent.run(), short.run(), short_parent.run()]), name)
    assert (both["measured"], both["reason"]) == (pytest.approx(0.1), "shortened run: 0.1 of the epochs")
    full = tables("vgg14_l13_350")
    everything = [short.run(), short_parent.run(), full.run(), parent.run()]
    assert row(judge_across(everything), name)[["measured", "verdict"]].tolist() == [0, HOLDS]
    full.values["validation"] = {"images": 0, "seed": 7}  # without images the seed says nothing
    assert row(judge_across([parent.run(), full.run()]), name)["verdict"] == HOLDS
    full.values["archs"]["vgg14_l13_350"]["heads"]["images"] = "plain"
    assert row(judge_across([parent.run(), full.run()]), name)["verdict"] == HOLDS  # it is about no heads
    full.values["threshold"] = 0.4
    assert row(judge_across([parent.run(), full.run()]), name)["reason"] == apart


def test_runs_of_a_claim_about_heads_must_agree_in_the_images_of_these():
    deep, flat = tables("vgg16"), tables("vgg6")
    flat.values["archs"]["vgg6"]["heads"]["images"] = "plain"
    across = judge_across([deep.run(), flat.run()])
    assert row(across, "noise.order.vgg16")["reason"] == (
        "no runs of vgg6 and vgg16 agree in data set, epochs, threshold, images held out and images of the heads"
    )
    assert row(across, "sr.order.vgg16")["verdict"] == HOLDS


def test_folders_of_images_are_data_sets_of_their_own():
    runs = [tables("vgg16"), tables("vgg6")]
    for made, name in zip(runs, ("birds", "flowers"), strict=True):
        row_of_images = {"source": "class_folders", "image_size": 32, "flip": True, "translation": 4}
        made.values |= {"dataset": name, "datasets": {name: row_of_images}}
    assert math.isnan(row(judge_across([made.run() for made in runs]), "noise.order.vgg16")["measured"])


@pytest.mark.parametrize(
    "change",
    [
        {"threshold": 0.6},
        {"features": {"pooled": True, "streamed_layers": []}},
        {"dataset": "cifar100"},
        {"archs": {"fully_connected": [100]}},
        {"archs": {"output_bias": True}},
    ],
)
def test_an_untrained_network_of_another_kind_is_no_control(change):
    made = untrained()
    made.values["archs"]["vgg16"]["backbone"] |= change.pop("archs", {})
    made.values |= change
    control, run = made.run(), tables().run()
    assert math.isnan(row(judge(run, control), "noise.vgg16.layer13")["control"])
    assert math.isnan(
        row(judge_across([run, tables("vgg6").run()], [control, untrained().run()]), "sr.order.vgg16")["control"]
    )


def test_a_control_without_an_interval_can_still_be_told_not_to_hold():
    """As that of one untrained sample beside one of two: their intervals are about different things."""
    flat = tables("vgg6")
    network(flat, 0.9)
    controls = [tables("vgg16", seeds=(0,)), tables("vgg6")]
    for made in controls:
        network(made, 0.1)
    found = row(judge_across([tables().run(), flat.run()], [made.run() for made in controls]), "sr.order.vgg16")
    assert (found["verdict"], found["control"], found["control_holds"], found["tells"]) == (HOLDS, 0, False, "yes")
    network(controls[0], 0.3)
    found = row(judge_across([tables().run(), flat.run()], [made.run() for made in controls]), "sr.order.vgg16")
    assert (found["control_holds"], found["tells"]) == (None, "no control")


def test_of_several_runs_of_a_network_the_one_nearest_to_the_papers_is_taken_then_that_of_most_samples():
    changed = tables("vgg14", seeds=(0, 1, 2))
    changed.values["archs"]["vgg14"]["heads"]["learning_rate"] = 0.05
    network(changed, 0.5)
    fewer, more = tables("vgg14"), tables("vgg14", seeds=(0, 1, 2))
    network(more, 0.96)
    diluted = tables("vgg14_l13_350")
    for others, measured in (([changed, fewer], 0), ([changed, fewer, more], 0.02), ([more, fewer], 0.02)):
        runs = [run.run() for run in (*others, diluted)]
        assert row(judge_across(runs), "dilute.trained.350.layer13")["measured"] == pytest.approx(measured, abs=1e-12)


def test_the_success_rate_is_that_of_the_last_epoch_and_not_of_the_best():
    run = tables().run()
    best = run.histories[run.histories["epoch"] == 0].assign(epoch=7, test_accuracy=0.99)
    histories = pd.concat([run.histories, best]).sort_values(["seed", "epoch"], ignore_index=True)
    assert row(judge(replace(run, histories=histories)), "sr.vgg16")["measured"] == pytest.approx(0.94)


def test_controls_of_dilution_are_of_each_samples_own_worst_label():
    run = tables().run()
    run.dilution.loc[run.dilution["kind"] == "label", "accuracy"] = [0.90, 0.93, 0.94, 0.92]  # worst: label 0, then 1
    assert "by their largest weight 0.29," in row(judge(run), "dilute.label")["beside"]  # (0.08 + 0.5) / 2
