"""Intervals, worked out from tables of quantiles."""

import math

import numpy as np
import pytest

from singlefilter.claims.intervals import Number, difference
from singlefilter.claims.judge import judge, judge_across
from tests.claims.tables import row, tables


def test_success_rates_have_students_interval_over_samples():
    run = tables(seeds=(0, 1, 2, 3))
    run.accuracies = dict(enumerate([0.936, 0.940, 0.940, 0.944]))
    judged = row(judge(run.run()), "sr.vgg16")
    half = 3.182446 * math.sqrt(2 * 0.004**2 / 3) / 2  # t of 3 degrees of freedom, standard deviation, root of 4
    assert judged[["measured", "low", "high"]].tolist() == pytest.approx([0.94, 0.94 - half, 0.94 + half], abs=1e-9)


def test_a_spread_over_samples_has_the_interval_of_chi_square():
    judged = row(judge(tables(seeds=(0, 1, 2, 3)).run()), "sr.spread.vgg16")
    low, high = (0.004 * math.sqrt(3 / quantile) for quantile in (9.348404, 0.215795))  # of 3 degrees of freedom
    assert judged[["measured", "low", "high"]].tolist() == pytest.approx([0.004, low, high], rel=1e-5)
    assert judged["interval_over"] == "samples"


def test_statistics_have_their_tables_interval_and_differences_that_of_both():
    table = judge(tables().run())
    assert row(table, "noise.vgg16.layer2")[["low", "high"]].tolist() == [19.5, 20.5]
    spread = math.sqrt(0.5**2 + 0.5**2)
    rise = row(table, "noise.rises.layer8")
    assert rise[["measured", "low", "high"]].tolist() == pytest.approx([2, 2 - spread, 2 + spread])


def test_one_sample_has_wilsons_interval_over_test_images():
    judged = row(judge(tables(seeds=(0,)).run()), "sr.vgg16")
    z, share, images = 1.959964, 0.94, 10_000
    roots = np.roots([1 + z**2 / images, -(2 * share + z**2 / images), share**2])  # (p - share)² = z² p (1 - p) / N
    assert judged[["low", "high"]].tolist() == pytest.approx(sorted(roots), abs=1e-6)
    assert judged["interval_over"] == "test images"
    assert row(judge(tables().run()), "sr.vgg16")["interval_over"] == "samples"
    assert row(judge(tables().run()), "noise.vgg16.layer13")["interval_over"] == "filters"


def test_a_difference_of_numbers_whose_intervals_are_about_other_things_has_none():
    runs = [tables("vgg14").run(), tables("vgg14_l13_350", seeds=(0,)).run()]
    judged = row(judge_across(runs), "dilute.trained.350.layer13")
    assert judged["measured"] == 0
    assert judged[["low", "high"]].isna().all() and judged["interval_over"] == ""


def test_a_difference_takes_the_far_ends_of_lopsided_intervals():
    found = difference(Number(5, 4, 8, population="filters"), Number(3, 1, 4, population="filters"))
    assert found[:3] == pytest.approx((2, 2 - math.sqrt(1 + 1), 2 + math.sqrt(9 + 4)))
