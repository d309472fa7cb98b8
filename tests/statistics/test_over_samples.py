import json

import numpy as np
import pandas as pd
import pytest

from singlefilter.filters.layer_clusters import LayerClusters
from singlefilter.statistics.over_samples import (
    decisions_table,
    filters_table,
    histograms_table,
    labels_table,
    layers_table,
    nulls_table,
    sizes_table,
    summarise,
    thresholds_table,
)

STATISTICS = [
    *("noise", "noise_clustered", "clusters", "cluster_size", "appearances", "appearances_variation"),
    "appearances_variation_independent",
    *("full_columns", "full_columns_share"),
    *("fields_in_clusters", "fields_beside_clusters", "fields_off_clusters", "field_gap", "field_gap_absolute"),
    *("signal_counted", "interference_counted", "noise_counted", "snr_counted", "snr_counted_with_noise"),
    *("signal", "first_noise", "first_noise_largest", "second_noise", "second_noise_others"),
    *("total_signal", "total_noise_rms", "snr_rms", "margin"),
    *("one_decision_share", "few_decisions_share", "single_accuracy"),
]
COMPARED = ["noise", "clusters", "cluster_size"]
VARIANTS = [f"{variant}_{name}" for variant in ("train", "reversed", "unfaded") for name in COMPARED]
LAYERS_COLUMNS = [
    *(
        "layer",
        "filters",
        "test_images",
        "samples",
        "accuracy_mean",
        "accuracy_std",
        "train_accuracy_mean",
        "train_accuracy_std",
    ),
    *("validation_accuracy_mean", "validation_accuracy_std"),
    *(f"{name}_{end}" for name in STATISTICS for end in ("mean", "std", "low", "high")),
    *("size_share_1", "size_share_2", "silent_filters_mean", "faded_filters_mean"),
    *(f"{name}_{end}" for name in VARIANTS for end in ("mean", "std")),
]


@pytest.fixture
def layer() -> LayerClusters:
    """Five filters of four labels, the fourth of them silent."""
    numbers = [[0, 0, -1, -1], [0, -1, 1, 2], [-1, -1, -1, -1], [-1, -1, -1, -1], [0, 0, 0, 0]]
    return LayerClusters(np.array([False, False, False, True, False]), np.array([1, 2, 3, 0, 0]), np.array(numbers))


def samples_table(**columns) -> pd.DataFrame:
    rows = {
        **{name: [5.0, 6.0] for name in [*STATISTICS, *VARIANTS]},
        **{
            "layer": [13, 13],
            "filters": [512, 512],
            "test_images": [9, 9],
            "accuracy": [0.9, 0.92],
            "train_accuracy": [1.0, 0.98],
        },
        **{"validation_accuracy": [0.8, 0.86]},
        **{"noise": [1.0, 2.0], "noise_clustered": [0.5, 1.5], "clusters": [1.0, 1.4], "cluster_size": [2.0, 3.0]},
        **{"size_share_1": [0.5, 0.25], "size_share_2": [0.5, 0.75], "silent_filters": [0, 3], "faded_filters": [1, 1]},
    }
    return pd.DataFrame({**rows, **columns})


def no_intervals(layers=(2, 13)) -> pd.DataFrame:
    columns = [f"{name}_{end}" for name in STATISTICS for end in ("low", "high")]
    return pd.DataFrame(np.nan, index=pd.Index(layers, name="layer"), columns=columns)


def averaged(**columns) -> pd.DataFrame:
    return layers_table(samples_table(**columns), no_intervals())


def test_the_filters_table_leaves_the_numbers_of_a_silent_filter_empty(layer):
    table = filters_table(layer)
    assert table["filter"].tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(table["noise"], [1, 2, 3, np.nan, 0])
    np.testing.assert_array_equal(table["clusters"], [1, 3, 0, np.nan, 1])
    assert table["silent"].tolist() == [False, False, False, True, False]
    assert table["labels"].tolist() == ["0 1", "0;2;3", "", "", "0 1 2 3"]


def test_the_labels_table_counts_the_clusters_that_have_the_label(layer):
    table = labels_table(layer, ["cat", "dog", "frog", "ship"], np.ones(4))
    assert table["label"].tolist() == [0, 1, 2, 3]
    assert table["class_name"].tolist() == ["cat", "dog", "frog", "ship"]
    assert table["appearances"].tolist() == [3, 2, 2, 2]


def test_a_label_without_images_has_no_number_of_appearances(layer):
    table = labels_table(layer, ["cat", "dog", "frog", "ship"], np.array([1, 0, 2, 2]))
    assert table["appearances"].isna().tolist() == [False, True, False, False]
    assert table.to_csv(index=False).splitlines()[1:3] == ["0,cat,3", "1,dog,"]


def test_the_decisions_table_names_the_label_that_a_filter_picks_most_often():
    table = decisions_table(np.array([[1, 6, 1], [0, 0, 0], [2, 0, 2]]))
    assert table.to_csv(index=False).split() == ["decision_label,decision_share", "1,0.75", ",", "0,0.5"]


def test_layers_are_averaged_over_samples_with_ddof_1():
    table = averaged()
    assert table.columns.tolist() == LAYERS_COLUMNS
    half = np.sqrt(0.5)  # standard deviation of two values that differ by 1, ddof 1
    others = set(STATISTICS + VARIANTS) - {"noise", "noise_clustered", "clusters", "cluster_size"}
    intervals = no_intervals().columns
    assert table.drop(columns=intervals).iloc[0].to_dict() == pytest.approx(
        {
            **{"layer": 13, "filters": 512, "test_images": 9, "samples": 2},
            **{"accuracy_mean": 0.91, "accuracy_std": 0.02 * half},
            **{"train_accuracy_mean": 0.99, "train_accuracy_std": 0.02 * half},
            **{"validation_accuracy_mean": 0.83, "validation_accuracy_std": 0.06 * half},
            **{"noise_mean": 1.5, "noise_std": half, "noise_clustered_mean": 1.0, "noise_clustered_std": half},
            **{"clusters_mean": 1.2, "clusters_std": 0.4 * half, "cluster_size_mean": 2.5, "cluster_size_std": half},
            **{"size_share_1": 0.375, "size_share_2": 0.625, "silent_filters_mean": 1.5, "faded_filters_mean": 1},
            **{f"{name}_mean": 5.5 for name in others},
            **{f"{name}_std": half for name in others},
        }
    )


def test_intervals_stand_beside_the_statistics_of_their_layer():
    intervals = no_intervals()
    intervals["margin_low"], intervals["margin_high"] = [0.1, 0.3], [0.2, 0.4]
    table = layers_table(samples_table(layer=[13, 2]), intervals)
    assert table[["layer", "margin_low", "margin_high"]].to_numpy().tolist() == [[2, 0.1, 0.2], [13, 0.3, 0.4]]


def test_the_standard_deviation_of_one_sample_is_empty():
    table = layers_table(samples_table().head(1), no_intervals())
    assert table["samples"].tolist() == [1]
    assert table["noise_mean"].tolist() == [1.0]
    assert table.filter(regex="_std$").isna().all(axis=None)


def test_layers_without_a_validation_set_have_no_accuracy_on_it_and_all_else():
    table = averaged(validation_accuracy=np.nan)
    empty = set(table.columns[table.isna().any()]) - set(no_intervals().columns)
    assert sorted(empty) == ["validation_accuracy_mean", "validation_accuracy_std"]


def test_layers_rise_and_are_averaged_apart():
    table = averaged(layer=[13, 2])
    assert table["layer"].tolist() == [2, 13]
    assert table["noise_mean"].tolist() == [2.0, 1.0]


def test_where_a_sample_has_no_clusters_there_is_no_mean_cluster_size():
    table = averaged(cluster_size=[np.nan, 3.0])
    assert table[["cluster_size_mean", "cluster_size_std"]].isna().all(axis=None)
    assert table["noise_mean"].notna().all()


def test_thresholds_are_averaged_apart():
    forward, backward = {"split": "test", "walk": "forward"}, {"split": "test", "walk": "reversed"}
    rows = pd.concat(
        [
            samples_table(threshold=0.6, noise=[0.0, 0.5], **forward),
            samples_table(threshold=0.3, **forward),
            samples_table(threshold=0.3, noise=[8.0, 8.5], **backward),
        ]
    )
    table = thresholds_table(rows)
    assert table.columns.tolist() == [
        *("layer", "split", "walk", "threshold", "noise_mean", "noise_std", "clusters_mean", "clusters_std"),
        *("cluster_size_mean", "cluster_size_std"),
    ]
    assert table[["layer", "walk", "threshold", "noise_mean"]].to_numpy().tolist() == [
        [13, "forward", 0.3, 1.5],
        [13, "forward", 0.6, 0.25],
        [13, "reversed", 0.3, 8.25],
    ]
    half = np.sqrt(0.5)
    assert table["noise_std"].tolist() == pytest.approx([half, 0.5 * half, 0.5 * half])


def test_nulls_are_averaged_over_samples_and_compared():
    rows = pd.DataFrame(
        {
            **{"layer": [2, 2, 2, 2], "null": "ones", "statistic": ["noise", "clusters", "noise", "clusters"]},
            **{"draws": 100, "measured": [18.0, 1.0, 20.0, 1.0], "null_mean": [15.0, 2.0, 17.0, 1.0]},
            "null_std": [1.0, 0.0, 2.0, 0.0],
        }
    )
    table = nulls_table(rows)
    names = ["layer", "null", "statistic", "samples", "draws", "measured", "null_mean", "null_std", "z"]
    assert table.columns.tolist() == names
    assert table.iloc[0].tolist() == [2, "ones", "noise", 2, 100, 19.0, 16.0, 1.5, pytest.approx(2 * 2**0.5)]
    assert table.iloc[1].tolist()[:-1] == [2, "ones", "clusters", 2, 100, 1.0, 1.5, 0.0]
    assert np.isnan(table["z"][1])


def test_a_null_is_compared_on_the_samples_that_have_the_number():
    rows = pd.DataFrame(
        {
            **{"layer": 2, "null": "ones", "statistic": "cluster_size", "draws": 100},
            **{"measured": [2.0, np.nan, 3.0], "null_mean": [1.2, 1.05, np.nan], "null_std": 0.1},
        }
    )
    assert nulls_table(rows).iloc[0].tolist()[3:] == [1, 100, 2.0, 1.2, 0.1, pytest.approx(8)]


def test_histograms_are_added_up_over_samples_and_shared_out_by_kind_of_rows():
    bins = {"low": [np.nan, -1.0, np.nan, -1.0], "high": [-1.0, 0.3, -1.0, 0.3]}
    kinds = ["cluster", "cluster", "other", "other"]
    columns = {"layer": 2, "rows": kinds, **bins}
    samples = [pd.DataFrame({**columns, "count": counts}) for counts in ([0, 5, 1, 2], [1, 2, 0, 1])]
    table = histograms_table(pd.concat(samples))
    assert table.columns.tolist() == ["layer", "rows", "low", "high", "count", "share"]
    assert table.to_csv(index=False).splitlines()[1:] == [
        "2,cluster,,-1.0,1,0.125",
        "2,cluster,-1.0,0.3,7,0.875",
        "2,other,,-1.0,1,0.25",
        "2,other,-1.0,0.3,3,0.75",
    ]


def test_a_histogram_of_nothing_has_no_shares():
    rows = pd.DataFrame({"layer": 2, "rows": "cluster", "low": [-1.0], "high": [0.3], "count": [0]})
    assert histograms_table(rows)["share"].isna().all()


def last_epochs(test: list[float], validation: list[float] | float = np.nan) -> pd.DataFrame:
    return pd.DataFrame({"test_accuracy": test, "validation_accuracy": validation})


def test_the_summary_names_first_and_last_layer_and_the_whole_network():
    layers = averaged(layer=[2, 13])
    summary = summarise(layers, last_epochs([0.93, 0.95], [0.8, 0.9]))
    assert summary == {
        "samples": 2,
        "accuracy": 0.94,
        "accuracy_std": 0.0141421,
        "validation_accuracy": 0.85,
        "first_layer": {"accuracy": 0.9, "noise": 1.0},
        "last_layer": {
            **{"accuracy": 0.92, "train_accuracy": 0.98, "noise": 2.0, "clusters": 1.4, "cluster_size": 3.0},
            **{"silent_filters": 3.0, "faded_filters": 1.0, "validation_accuracy": 0.86, "snr_counted": 6.0},
        },
    }


def test_the_summary_has_no_key_for_a_number_that_does_not_exist():
    samples = samples_table(cluster_size=np.nan, validation_accuracy=np.nan).head(1)
    summary = summarise(layers_table(samples, no_intervals()), last_epochs([0.93]))
    assert sorted(summary) == ["accuracy", "first_layer", "last_layer", "samples"]
    assert sorted(summary["last_layer"]) == [
        *("accuracy", "clusters", "faded_filters", "noise", "silent_filters", "snr_counted", "train_accuracy"),
    ]
    json.dumps(summary, allow_nan=False)


def test_sizes_have_the_deviation_of_their_own_share():
    shares = {"size_share_1": [0.5, 0.7, 0.2, 0.2], "size_share_2": [0.5, 0.3, 0.8, 0.8], "size_share_3": 0.0}
    samples = pd.DataFrame({"layer": [2, 2, 13, 13], **shares})
    layers, std = samples.groupby("layer").mean().reset_index(), 0.2 * np.sqrt(0.5)
    expected = [[2, 1, 0.6, std], [2, 2, 0.4, std], [13, 1, 0.2, 0], [13, 2, 0.8, 0]]
    np.testing.assert_allclose(sizes_table(layers, samples).to_numpy(), expected, atol=1e-12)


def test_shares_are_of_each_layers_own_fields():
    bins = {"rows": "cluster", "low": [-1.0, 0.0], "high": [0.0, 0.3]}
    layers = [pd.DataFrame({"layer": layer, **bins, "count": counts}) for layer, counts in ((2, [1, 3]), (13, [9, 1]))]
    assert histograms_table(pd.concat(layers))["share"].tolist() == [0.25, 0.75, 0.9, 0.1]
