import numpy as np
import pandas as pd
import pytest

from singlefilter.statistics.bootstrap import bootstrap_draws, intervals, resampling_weights
from singlefilter.statistics.cluster_means import cluster_means
from tests.hand_made_filters import find_layer_clusters


def draws_of(layer=0, **columns) -> pd.DataFrame:
    """The first value of a column is the layer's own."""
    table = pd.DataFrame(columns)
    return table.assign(layer=layer, draw=range(len(table)))


@pytest.mark.parametrize(("labels", "draws"), [(2, 1000), (10, 1000), (100, 1000), (1000, 33), (1500, 20)])
def test_many_labels_get_fewer_draws_and_no_layer_fewer_than_20(labels, draws):
    assert bootstrap_draws(labels) == draws


def test_the_first_weights_are_ones_and_all_others_count_as_many_filters():
    weights = resampling_weights(7, 10, layer=13, seed=0)
    assert weights.shape == (1001, 7)
    assert weights[0].tolist() == [1] * 7
    assert (weights.sum(axis=1) == 7).all()
    assert (weights == weights.astype(int)).all()
    # Binomial with 7 tries of probability 1/7: mean 1, variance 6/7.
    assert weights[1:].mean(axis=0) == pytest.approx(np.ones(7), abs=0.12)
    assert weights[1:].var() == pytest.approx(6 / 7, rel=0.05)


def test_weights_depend_on_the_layer_and_the_sample_alone():
    first = resampling_weights(20, 10, layer=2, seed=5)
    np.testing.assert_array_equal(resampling_weights(20, 10, layer=2, seed=5), first)
    for layer, seed in ((5, 2), (2, 4), (3, 5)):
        assert (resampling_weights(20, 10, layer, seed) != first).any()


def test_intervals_reach_as_far_as_the_percentiles_of_the_mean_over_samples():
    values = np.random.default_rng(0).normal(size=(2, 101)) + 4
    tables = [draws_of(13, margin=[own, *drawn]) for own, drawn in zip((7.0, 8.0), values, strict=True)]
    low, middle, high = np.percentile(values.mean(axis=0), [2.5, 50, 97.5])
    expected = {"margin_low": 7.5 + low - middle, "margin_high": 7.5 + high - middle}
    assert intervals(pd.concat(tables)).loc[13].to_dict() == pytest.approx(expected)


def test_intervals_of_layers_and_of_statistics_are_apart():
    table = intervals(pd.concat([draws_of(13, a=[1.0, 1], b=[2.0, 2]), draws_of(2, a=[3.0, 3], b=[4.0, 4])]))
    assert table.columns.tolist() == ["a_low", "b_low", "a_high", "b_high"]
    assert table.loc[2].tolist() == [3, 4, 3, 4]
    assert table.loc[13].tolist() == [1, 2, 1, 2]


def test_a_draw_without_a_number_is_left_out_and_a_layer_without_one_has_no_interval():
    first = draws_of(a=[2, 1.0, np.nan, 3], b=[np.nan, 1, 1, 1], c=[1.0, np.nan, np.nan, np.nan])
    second = draws_of(a=[2, 3.0, np.nan, np.nan], b=[np.nan, 1, 1, 1], c=[1.0, np.nan, np.nan, np.nan])
    table = intervals(pd.concat([first, second]))  # a: 2 and 3, whose median is 2.5
    assert table.loc[0, ["a_low", "a_high"]].tolist() == pytest.approx([2 - 0.475, 2 + 0.475])
    assert table[["b_low", "b_high", "c_low", "c_high"]].isna().all(axis=None)


@pytest.mark.parametrize("samples", [1, 2])
def test_the_interval_of_mean_noise_is_that_of_its_standard_error(samples):
    tables, noise = [], []
    for seed in range(samples):
        clipped = np.random.default_rng(seed).random((512, 10, 10)) < 0.2
        clusters = find_layer_clusters(clipped, np.zeros(512, dtype=bool))
        means = cluster_means(clusters, resampling_weights(512, 10, layer=7, seed=seed))
        tables.append(draws_of(7, noise=means["noise"]))
        noise.append(clusters.noise)
    row = intervals(pd.concat(tables)).loc[7]
    error = np.sqrt(sum(values.var(ddof=1) / 512 for values in noise)) / samples  # of the mean over samples
    middle, half = (row["noise_low"] + row["noise_high"]) / 2, (row["noise_high"] - row["noise_low"]) / 2
    assert half == pytest.approx(1.96 * error, rel=0.1)
    assert middle == pytest.approx(np.mean(noise), abs=error / 4)
