"""The numbers that claims are about, where tables lack something or several would do."""

import math
from dataclasses import replace

import pytest

from singlefilter.claims.judge import FAILS, HOLDS, NOT_COMPARABLE, judge
from tests.claims.tables import row, tables


def test_evenness_stands_beside_that_of_independent_filters():
    run = tables()
    run.layers[13] |= {"appearances_variation": 0.05, "appearances_variation_independent": 0.05}
    assert row(judge(run.run()), "equal.layer13")[["verdict", "beside"]].tolist() == [
        HOLDS,
        "independent filters: 0.05; what they do not explain: 0",
    ]
    run.layers[13]["appearances_variation"] = 0.13
    beside = row(judge(run.run()), "equal.layer13")["beside"]
    assert beside == "independent filters: 0.05; what they do not explain: 0.12"


def test_silencing_a_label_stands_beside_its_controls():
    beside = row(judge(tables().run()), "dilute.label")["beside"]
    # of label 0, which costs most
    assert beside == "loss without as many filters: by their largest weight 0.08, at random 0.001"


def test_one_large_cluster_among_many_does_not_spoil_the_fall_of_the_shares():
    run = tables()
    run.layers[10]["shares"] = [0.7, 0.25, 0.049, 0, 0, 0, 0, 0, 0, 0.001]
    table = judge(run.run())
    assert row(table, "clusters.layer10.falls")["verdict"] == HOLDS
    assert row(table, "clusters.layer10.above3")["verdict"] == HOLDS


def test_clusters_of_single_labels_alone_have_no_counted_ratio_to_judge():
    run = tables()
    run.layers[13] |= {"snr_counted": math.nan, "cluster_size": 1.0}
    judged = row(judge(run.run()), "snr.counted")
    assert judged[["verdict", "reason"]].tolist() == [NOT_COMPARABLE, "the run gives no such number"]


def test_a_first_noise_that_disturbs_nothing_holds_by_construction():
    run = tables()
    run.layers[13] |= {"first_noise": -12.3, "first_noise_largest": 40}
    judged = row(judge(run.run()), "snr")
    assert (judged["measured"], judged["verdict"], judged["tells"]) == (math.inf, HOLDS, "no")
    assert judged["beside"] == "signal 150, first noise: mean -12.3, largest 40"


def test_layers_right_after_a_pool_do_not_count_for_what_falls_and_grows_over_the_pooled_ones():
    run = tables()
    run.layers[8]["accuracy"] = 0.1
    table = judge(run.run())  # noise is higher in 8 and 11, too
    assert [row(table, name)["verdict"] for name in ("sr.progress.vgg16", "noise.falls.vgg16")] == [HOLDS] * 2


def test_what_a_layer_without_clusters_lacks_is_not_judged():
    run = tables()
    run.layers[13] |= {"cluster_size": math.nan, "noise": math.nan, "shares": [math.nan] * 10}
    run.layers[10]["shares"] = [math.nan] * 10
    run.clusters_at[13][0.5] = math.nan
    table = judge(run.run())
    names = ["size.vgg16", "same.train.size", "clusters.layer10.falls", "clusters.layer10.above3"]
    for name in [*names, "clusters.last.vgg16.thresholds"]:
        assert row(table, name)[["verdict", "reason"]].tolist() == [NOT_COMPARABLE, "the run gives no such number"]


def test_a_threshold_that_the_table_lacks_may_be_the_one_at_which_a_claim_fails():
    run = tables().run()
    fewer = run.thresholds[run.thresholds["threshold"] != 0.5]
    table = judge(replace(run, thresholds=fewer))
    for name in ("noise.falls.vgg16", "clusters.last.vgg16.thresholds"):
        assert row(table, name)["reason"] == "the run gives no such number"


def test_a_layer_without_noise_that_the_reversed_walk_gives_some_has_changed():
    run = tables()
    for means in run.layers.values():
        means |= {"noise": 0.0, "reversed_noise": 0.0}
    run.layers[13]["reversed_noise"] = 0.1
    assert row(judge(run.run()), "same.reversed.noise")["verdict"] == FAILS
    run.layers[13]["reversed_noise"] = 0.0
    assert row(judge(run.run()), "same.reversed.noise")["measured"] == 0


def test_two_labels_are_enough_for_every_number():
    run = tables(dataset="digits")
    for means in run.layers.values():
        means["shares"] = [0.5, 0.5]
    table = judge(run.run())
    assert row(table, "clusters.layer10.above3")["measured"] == 0


def test_a_sample_without_its_number_leaves_the_mean_unknown():
    run = tables().run()
    missing = run.dilution[(run.dilution["seed"] == 0) | (run.dilution["kind"] != "random")]
    table = judge(replace(run, dilution=missing))
    assert row(table, "dilute.random")["reason"] == "the run gives no such number"


def test_losses_are_paired_within_samples():
    run = tables()
    run.accuracies, run.loss_random = {0: 0.93, 1: 0.95}, {0: 0.001, 1: 0.003}
    judged = row(judge(run.run()), "dilute.random")
    half = 12.706205 * math.sqrt(2) * 0.001 / math.sqrt(2)
    assert judged[["measured", "low", "high"]].tolist() == pytest.approx([0.002, 0.002 - half, 0.002 + half], abs=1e-9)


def test_the_label_that_costs_most_is_each_samples_own():
    run = tables().run()
    labels = run.dilution["kind"] == "label"
    run.dilution.loc[labels, "accuracy"] = [0.90, 0.93, 0.94, 0.92]  # labels 0 and 1 of sample 0, then of sample 1
    assert row(judge(run), "dilute.label")["measured"] == pytest.approx((0.04 + 0.02) / 2)


def test_the_reversed_walk_is_compared_over_the_filters_that_are_not_silent():
    run = tables()
    for means in run.layers.values():
        means |= {"noise": 10.0, "reversed_noise": 10.0}
    run.layers[2] |= {"reversed_noise": 11.0, "silent_filters": 14}
    # Of 64, 128, 256, 512 and 512 filters in layers 2, 4, 7, 10 and 13, 14 are silent in layer 2.
    changed = row(judge(run.run()), "same.reversed.noise")["measured"]
    assert changed == pytest.approx((64 - 14) * 1 / ((1472 - 14) * 10), rel=1e-9)
