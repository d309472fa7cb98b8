from functools import partial

import numpy as np
import pandas as pd
import pytest

from singlefilter.filters import layer_clusters
from singlefilter.filters.clusters import normalise_fields
from singlefilter.filters.layer_clusters import cluster_layer, label_slabs, slabs
from singlefilter.filters.store import FilterMatrices
from singlefilter.statistics import cluster_means, signal
from singlefilter.statistics.bootstrap import bootstrap_draws, intervals
from singlefilter.statistics.cluster_means import layer_statistics
from singlefilter.statistics.layer import measure_layer
from singlefilter.statistics.nulls import NULLS
from singlefilter.statistics.signal import counted_signal

COMPARED = ["noise", "clusters", "cluster_size"]


class OnDisk:
    """A data set that is read in slices, and remembers the largest."""

    def __init__(self, values: np.ndarray):
        self.shape, self.largest, self._values = values.shape, 0, values

    def __getitem__(self, rows: slice) -> np.ndarray:
        part = self._values[rows]
        self.largest = max(self.largest, part.size)
        return part

    def __array__(self, *_, **__):
        pytest.fail("read whole")


def matrices(seed=0, filters=30, labels=6, images=None, bias=0.2) -> FilterMatrices:
    generator = np.random.default_rng(seed)
    fields = generator.normal(bias, 1, (filters, labels, labels))
    decisions = generator.integers(5, size=fields.shape)
    return FilterMatrices(
        fields, decisions, np.full(labels, 3) if images is None else np.array(images), np.zeros(filters, dtype=int)
    )


def measure(test, train=None, threshold=0.3, layer=2, seed=0, faded=()) -> dict[str, pd.DataFrame]:
    faded = np.isin(np.arange(test.fields.shape[0]), faded)
    names = [f"label {number}" for number in range(test.fields.shape[1])]
    return measure_layer(test, train or test, faded, names, threshold, layer, seed)


def test_a_layer_is_never_read_whole(monkeypatch):
    for module in (layer_clusters, cluster_means):
        monkeypatch.setattr(module, "slabs", partial(slabs, elements=4 * 36))
    monkeypatch.setattr(signal, "label_slabs", partial(label_slabs, elements=2 * 30 * 6))
    test, train = (
        FilterMatrices(OnDisk(split.fields), OnDisk(split.decisions), split.images_per_label, split.correct_without)
        for split in (matrices(0), matrices(1))
    )
    measure(test, train)
    # Two labels' rows of all filters, and all rows of four filters.
    assert [test.fields.largest, test.decisions.largest, train.fields.largest] == [2 * 30 * 6, 4 * 36, 4 * 36]


def test_the_size_of_the_slabs_does_not_matter(monkeypatch):
    test, train = matrices(0), matrices(1)
    test.fields[[3, 20]] = -1  # silent
    whole = measure(test, train)
    monkeypatch.setattr(layer_clusters, "slabs", partial(slabs, elements=7 * 36))
    monkeypatch.setattr(signal, "label_slabs", partial(label_slabs, elements=1))
    parts = measure(test, train)
    for name, table in whole.items():
        pd.testing.assert_frame_equal(parts[name], table)


def test_a_layer_has_all_statistics_of_its_clusters_and_of_their_averages():
    test, train = matrices(0, bias=0.8), matrices(1)  # dense, so that some clusters have two labels
    test.fields[7] = -1  # silent
    row = measure(test, train, threshold=0.42)["samples"].iloc[0]
    clusters = cluster_layer(test.fields, test.images_per_label, [0.42])[0.42]
    plain = layer_statistics(clusters)
    assert row[list(plain)].to_dict() == pytest.approx(plain)
    assert row["silent_filters"] == 1
    counted = counted_signal(clusters, 6, np.ones((1, 30)))
    assert row[list(counted)].to_dict() == pytest.approx({name: values[0] for name, values in counted.items()})
    assert row["appearances"] == pytest.approx(row["signal_counted"])  # the same number, counted in two ways
    for prefix, split, reverse in (("train", train, False), ("reversed", test, True)):
        variant = layer_statistics(cluster_layer(split.fields, split.images_per_label, [0.42], reverse)[0.42])
        assert [row[f"{prefix}_{name}"] for name in COMPARED] == [variant[name] for name in COMPARED]


def test_faded_filters_count_and_the_statistics_without_them_stand_beside():
    test = matrices(0, bias=0.8)
    test.fields[7] = -1  # silent, and faded
    row = measure(test, faded=[3, 7, 11])["samples"].iloc[0]
    assert (row["faded_filters"], row["silent_filters"]) == (2, 1)
    left = np.delete(test.fields, [3, 11], axis=0)
    decisions, without = (np.delete(part, [3, 11], axis=0) for part in (test.decisions, test.correct_without))
    expected = measure(FilterMatrices(left, decisions, test.images_per_label, without))
    for name in COMPARED:
        assert row[f"unfaded_{name}"] == expected["samples"][name][0] != row[name]


def test_the_reversed_walk_is_another_one():
    fields = np.zeros((1, 4, 4))
    fields[0, :3, :3] = fields[0, 2:, 2:] = 1  # clusters (0, 1, 2), (3) or (3, 2), (1, 0)
    row = measure(FilterMatrices(fields, np.zeros((1, 4, 4), dtype=int), np.ones(4), np.zeros(1)))["samples"].iloc[0]
    assert row[["noise", "reversed_noise", "train_noise"]].tolist() == [2, 4, 2]


def test_the_fields_in_clusters_are_those_of_the_chosen_threshold():
    fields = np.tile([[1.0, 0.35], [0.35, 0.8]], (2, 1, 1))
    data = FilterMatrices(fields, np.zeros((2, 2, 2), dtype=int), np.ones(2), np.zeros(2))
    for threshold, mean in ((0.3, 2.5 / 4), (0.42, 1.8 / 2)):
        assert measure(data, threshold=threshold)["samples"]["fields_in_clusters"][0] == pytest.approx(mean)


def test_the_signal_is_that_of_the_sum_of_normalised_fields():
    test = matrices(images=[3, 1, 2, 5, 4, 3])
    row = measure(test)["samples"].iloc[0]
    total = normalise_fields(test.fields, test.images_per_label)[0].sum(axis=0)
    noise = total[~np.eye(6, dtype=bool)]
    assert row["total_signal"] == pytest.approx(np.trace(total) / 6)
    assert row["total_noise_rms"] == pytest.approx(np.sqrt(np.mean(noise**2)))
    gaps = [total[i, i] - max(total[i, j] for j in range(6) if j != i) for i in range(6)]
    assert row["margin"] == pytest.approx(np.sum(gaps) / np.trace(total))


def test_the_first_draw_is_the_layer_itself_and_the_others_vary_around_it():
    tables = measure(matrices(filters=300, labels=10, bias=0.5))
    draws, row = tables["draws"], tables["samples"].iloc[0]
    assert draws["draw"].tolist() == list(range(bootstrap_draws(10) + 1))
    own = row[draws.columns.drop("draw")].astype(float)
    pd.testing.assert_series_equal(draws.iloc[0].drop("draw"), own, check_names=False)
    means = ["noise", "noise_clustered", "clusters", "cluster_size", "appearances", "signal_counted", "noise_counted"]
    means += ["fields_in_clusters", "fields_beside_clusters", "fields_off_clusters", "total_signal"]
    drawn = draws.iloc[1:]
    assert ((drawn[means].mean() - own[means]).abs() < 0.1 * drawn[means].std()).all()
    assert (
        drawn.std().drop(["one_decision_share", "few_decisions_share", "full_columns", "full_columns_share"]) > 0
    ).all()


def test_an_interval_holds_the_layers_own_value():
    # Of random fields, the noise of every resampled layer is larger than the layer's own.
    tables = measure(matrices(filters=300, labels=10, bias=0))
    drawn, own = tables["draws"]["total_noise_rms"].iloc[1:], tables["samples"]["total_noise_rms"][0]
    assert drawn.quantile(0.025) > own
    row = intervals(tables["draws"].assign(layer=2)).loc[2]
    assert row["total_noise_rms_low"] < own < row["total_noise_rms_high"]


def test_thresholds_are_those_of_both_splits_and_walks():
    test, train = matrices(0), matrices(1)
    table = measure(test, train, threshold=0.42)["thresholds"].set_index(["split", "walk", "threshold"])
    assert len(table) == 3 * 8
    for split, walk, data in (("test", "forward", test), ("test", "reversed", test), ("train", "forward", train)):
        for threshold in (0.3, 0.42, 0.6):
            found = cluster_layer(data.fields, data.images_per_label, [threshold], walk == "reversed")[threshold]
            expected = {name: layer_statistics(found)[name] for name in COMPARED}
            assert table.loc[(split, walk, threshold)].to_dict() == pytest.approx(expected)


def test_nulls_stand_beside_what_was_measured():
    tables = measure(matrices())
    table, row = tables["nulls"], tables["samples"].iloc[0]
    assert table[["null", "statistic"]].to_numpy().tolist() == [
        [null, name] for null in ("ones", "columns", "labels") for name in COMPARED
    ]
    assert table["measured"].tolist() == [row[name] for name in COMPARED] * 3


def test_random_numbers_depend_on_layer_and_sample_alone():
    test = matrices()
    first = measure(test)
    for other in (measure(test, layer=3), measure(test, seed=1)):
        assert other["samples"].equals(first["samples"])
        assert not other["draws"].equals(first["draws"])
        assert not other["nulls"].equals(first["nulls"])
    for name, table in measure(test).items():
        assert table.equals(first[name])


@pytest.mark.parametrize(("filters", "labels"), [(1, 2), (40, 2), (1, 10), (3, 100)])
def test_few_filters_and_few_or_many_labels(filters, labels):
    tables = measure(matrices(filters=filters, labels=labels))
    assert len(tables["filters"]) == filters
    assert len(tables["labels"]) == labels
    assert tables["samples"].iloc[0][f"size_share_{labels}"] >= 0


def test_a_label_without_images_is_left_out_of_what_is_averaged_over_labels():
    test = matrices(images=[3, 0, 3, 3, 3, 3])
    test.fields[:, 1] = 0
    tables = measure(test)
    row, labels = tables["samples"].iloc[0], tables["labels"]
    assert labels["appearances"].isna().tolist() == [False, True, False, False, False, False]
    assert row["appearances"] == pytest.approx(labels["appearances"].mean())
    assert row["signal_counted"] == pytest.approx(labels["appearances"].mean())
    total = normalise_fields(test.fields, test.images_per_label)[0].sum(axis=0)
    assert row["total_signal"] == pytest.approx(np.nanmean(np.diag(total)))
    assert tables["nulls"]["null_mean"].notna().all()


def test_a_layer_without_any_images_has_no_statistics():
    test = matrices(images=[0] * 6)
    test.fields[:] = 0
    tables = measure(test)
    row = tables["samples"].iloc[0].drop(["one_decision_share", "few_decisions_share", "single_accuracy"]).dropna()
    assert row.to_dict() == {"filters": 30, "silent_filters": 30, "faded_filters": 0, "test_images": 0}


def test_a_layer_without_clusters_has_noise():
    fields = np.tile([[0.0, 1], [1, 0]], (4, 1, 1))
    row = measure(FilterMatrices(fields, np.zeros((4, 2, 2), dtype=int), np.ones(2), np.zeros(4)))["samples"].iloc[0]
    assert row[["noise", "clusters", "appearances", "noise_counted"]].tolist() == [2, 0, 0, 4]
    assert row["signal_counted"] == 0
    unknown = ["noise_clustered", "cluster_size", "snr_counted", "fields_in_clusters", "field_gap"]
    assert row[unknown].isna().all()


def test_a_random_matrix_has_the_papers_noise_of_layer_2_and_so_has_its_null():
    """A fifth of the fields above threshold, at random places: about 18 ones of noise and 1.9 clusters (method, 5)."""
    above = np.random.default_rng(0).random((512, 10, 10)) < 0.2
    fields = np.where(above, 1.0, 0.0)
    tables = measure(FilterMatrices(fields, np.zeros((512, 10, 10), dtype=int), np.ones(10), np.zeros(512)))
    row = tables["samples"].iloc[0]
    nulls = tables["nulls"].set_index(["null", "statistic"])["null_mean"]
    assert row["noise"] == pytest.approx(18, abs=0.4) and row["clusters"] == pytest.approx(1.9, abs=0.1)
    assert nulls["labels", "noise"] == pytest.approx(row["noise"], abs=0.4)


def test_each_split_has_its_own_numbers_of_images():
    counts = [1, 7, 2, 2, 9, 1]
    test, train = matrices(0, images=[3, 1, 2, 5, 4, 3]), matrices(1, images=counts)
    row = measure(test, train)["samples"].iloc[0]
    plain = layer_statistics(cluster_layer(train.fields, np.array(counts), [0.3])[0.3])
    assert [row[f"train_{name}"] for name in COMPARED] == [plain[name] for name in COMPARED]
    right = np.trace(test.decisions, axis1=1, axis2=2).sum()
    assert row["single_accuracy"] == pytest.approx(right / (30 * 18))  # 30 filters, 18 test images


def test_nulls_are_of_the_filters_that_are_not_silent_at_the_runs_threshold():
    test = matrices(0, bias=0.8)
    test.fields[::2] = -1
    found = measure(test, threshold=0.55)["nulls"].set_index(["null", "statistic"])["null_mean"]
    heard = test.fields[1::2]
    above = (heard / heard.max(axis=(1, 2), keepdims=True) > 0.55).sum()
    for null in NULLS:  # each one of the diagonal, a sixth of all, is in a cluster
        in_clusters = found[null, "clusters"] * found[null, "cluster_size"]
        assert in_clusters == pytest.approx(above / 15 / 6, rel=0.1)
