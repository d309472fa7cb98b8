import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from singlefilter.clusters import number_clusters
from singlefilter.errors import InputError
from singlefilter.files import write_hdf5
from singlefilter.params import load_params
from singlefilter.statistics import (
    SWEPT_THRESHOLDS,
    LayerClusters,
    cluster_layer,
    filters_table,
    find_layer_clusters,
    labels_table,
    layer_statistics,
    layers_table,
    layers_text,
    slabs,
    summarise,
    thresholds_table,
)
from stages.cluster_stats import main

ROOT = Path(__file__).resolve().parents[1]

LAYERS_COLUMNS = [
    *("layer", "filters", "samples", "accuracy_mean", "accuracy_std", "train_accuracy_mean", "train_accuracy_std"),
    *("validation_accuracy_mean", "validation_accuracy_std"),
    *("noise_mean", "noise_std", "noise_clustered_mean", "noise_clustered_std", "clusters_mean", "clusters_std"),
    *("cluster_size_mean", "cluster_size_std"),
]


def clipped_filters() -> np.ndarray:
    """Five filters of four labels whose clusters and noise are plain to see."""
    return np.array(
        [
            [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]],  # (0, 1), noise 1
            [[1, 0, 0, 1], [0, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 1]],  # (0), (2), (3), noise 2
            [[0, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]],  # none, noise 3
            [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]],  # silent
            [[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]],  # (0, 1, 2, 3), noise 0
        ],
        dtype=bool,
    )


@pytest.fixture
def layer() -> LayerClusters:
    return find_layer_clusters(clipped_filters(), np.array([False, False, False, True, False]))


def silent_layer(filters: int = 2, labels: int = 3) -> LayerClusters:
    return find_layer_clusters(np.zeros((filters, labels, labels), dtype=bool), np.ones(filters, dtype=bool))


def samples_table(**columns) -> pd.DataFrame:
    rows = {
        **{"layer": [13, 13], "filters": [512, 512], "accuracy": [0.9, 0.92], "train_accuracy": [1.0, 0.98]},
        **{"validation_accuracy": [0.8, 0.86]},
        **{"noise": [1.0, 2.0], "noise_clustered": [0.5, 1.5], "clusters": [1.0, 1.4], "cluster_size": [2.0, 3.0]},
        **{"size_share_1": [0.5, 0.25], "size_share_2": [0.5, 0.75], "silent_filters": [0, 3]},
    }
    return pd.DataFrame({**rows, **columns})


def test_statistics_of_hand_made_filters(layer):
    assert layer_statistics(layer) == pytest.approx(
        {
            "filters": 5,
            "noise": (1 + 2 + 3 + 0) / 4,
            "noise_clustered": (1 + 2 + 0) / 3,
            "clusters": (1 + 3 + 0 + 1) / 4,
            "cluster_size": (2 + 1 + 1 + 1 + 4) / 5,
            "size_share_1": 3 / 5,
            "size_share_2": 1 / 5,
            "size_share_3": 0,
            "size_share_4": 1 / 5,
            "silent_filters": 1,
        }
    )


def test_the_filters_table_leaves_the_numbers_of_a_silent_filter_empty(layer):
    table = filters_table(layer)
    assert table["filter"].tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(table["noise"], [1, 2, 3, np.nan, 0])
    np.testing.assert_array_equal(table["clusters"], [1, 3, 0, np.nan, 1])
    assert table["silent"].tolist() == [False, False, False, True, False]
    assert table["labels"].tolist() == ["0 1", "0;2;3", "", "", "0 1 2 3"]


def test_the_labels_table_counts_the_clusters_that_have_the_label(layer):
    table = labels_table(layer, ["cat", "dog", "frog", "ship"])
    assert table["label"].tolist() == [0, 1, 2, 3]
    assert table["class_name"].tolist() == ["cat", "dog", "frog", "ship"]
    assert table["appearances"].tolist() == [3, 2, 2, 2]


def test_a_layer_of_silent_filters_has_no_means_and_no_warning():
    found = layer_statistics(silent_layer())
    assert found["filters"] == found["silent_filters"] == 2
    assert all(np.isnan(value) for name, value in found.items() if name not in ("filters", "silent_filters"))
    assert filters_table(silent_layer())["noise"].isna().all()


def test_a_layer_without_clusters_has_noise_but_no_cluster_size():
    found = layer_statistics(find_layer_clusters(clipped_filters()[2:3], np.array([False])))
    assert (found["noise"], found["clusters"]) == (3, 0)
    assert np.isnan([found["noise_clustered"], found["cluster_size"], found["size_share_1"]]).all()


def test_thresholds_are_applied_to_means_over_unequal_numbers_of_images():
    # Means [[4, 2], [1, 4]], so normalised [[1, 0.5], [0.25, 1]]; the sums alone would give [[0.1, 0.05], [0.25, 1]].
    fields = np.array([[[4.0, 2.0], [10.0, 40.0]]])
    found = cluster_layer(fields, np.array([1, 10]), [0.2, 0.3, 0.6])
    assert {threshold: clusters.numbers.tolist() for threshold, clusters in found.items()} == {
        0.2: [[0, 0]],
        0.3: [[0, 1]],
        0.6: [[0, 1]],
    }
    assert {threshold: clusters.noise.tolist() for threshold, clusters in found.items()} == {
        0.2: [0],
        0.3: [1],
        0.6: [0],
    }


def test_the_walk_of_a_layer_can_be_reversed():
    fields = np.zeros((1, 4, 4))
    fields[0, :3, :3] = fields[0, 2:, 2:] = 1
    forward, backward = (cluster_layer(fields, np.ones(4), [0.3], reverse)[0.3] for reverse in (False, True))
    assert (forward.numbers.tolist(), forward.noise.tolist()) == ([[0, 0, 0, 1]], [2])
    assert (backward.numbers.tolist(), backward.noise.tolist()) == ([[1, 1, 0, 0]], [4])


def test_slabs_are_small_and_together_the_whole(tmp_path):
    matrices = np.arange(7 * 3 * 3).reshape(7, 3, 3)
    with write_hdf5(tmp_path / "fields.h5") as file:
        file["fields"] = matrices
    with h5py.File(tmp_path / "fields.h5") as file:
        parts = list(slabs(file["fields"], elements=20))
    assert [len(part) for part in parts] == [2, 2, 2, 1]
    np.testing.assert_array_equal(np.concatenate(parts), matrices)
    assert [len(part) for part in slabs(matrices, elements=1)] == [1] * 7


def test_a_layer_read_in_several_slabs_keeps_the_order_of_its_filters():
    fields = np.zeros((5, 1500, 1500), dtype=np.float32)  # one filter a slab
    for filter_number in range(4):  # the last filter stays silent
        fields[filter_number, : filter_number + 1, : filter_number + 1] = 1
        fields[filter_number, 9, :filter_number] = 1
    assert len(list(slabs(fields))) > 1
    found = cluster_layer(fields, np.ones(1500), [0.3])[0.3]
    assert (found.numbers >= 0).sum(axis=1).tolist() == [1, 2, 3, 4, 0]
    assert found.noise.tolist() == [0, 1, 2, 3, 0]
    assert found.silent.tolist() == [False] * 4 + [True]


def test_random_layers_agree_with_the_definition_of_each_statistic():
    clipped = np.random.default_rng(0).random((200, 10, 10)) < 0.3
    found = layer_statistics(find_layer_clusters(clipped, np.zeros(200, dtype=bool)))
    sizes = [np.count_nonzero(row == number) for row in number_clusters(clipped) for number in set(row) - {-1}]
    assert found["noise"] == pytest.approx((clipped.sum() - np.square(sizes).sum()) / 200)
    assert found["clusters"] == pytest.approx(len(sizes) / 200)
    # SI: the average size is the sum of the sizes times their shares.
    assert found["cluster_size"] == pytest.approx(sum(size * found[f"size_share_{size}"] for size in range(1, 11)))
    assert found["cluster_size"] == pytest.approx(np.mean(sizes))


def test_layers_are_averaged_over_samples_with_ddof_1():
    table = layers_table(samples_table())
    assert table.columns.tolist() == [*LAYERS_COLUMNS, "size_share_1", "size_share_2", "silent_filters_mean"]
    half = np.sqrt(0.5)  # standard deviation of two values that differ by 1, ddof 1
    assert table.iloc[0].to_dict() == pytest.approx(
        {
            **{"layer": 13, "filters": 512, "samples": 2},
            **{"accuracy_mean": 0.91, "accuracy_std": 0.02 * half},
            **{"train_accuracy_mean": 0.99, "train_accuracy_std": 0.02 * half},
            **{"validation_accuracy_mean": 0.83, "validation_accuracy_std": 0.06 * half},
            **{"noise_mean": 1.5, "noise_std": half, "noise_clustered_mean": 1.0, "noise_clustered_std": half},
            **{"clusters_mean": 1.2, "clusters_std": 0.4 * half, "cluster_size_mean": 2.5, "cluster_size_std": half},
            **{"size_share_1": 0.375, "size_share_2": 0.625, "silent_filters_mean": 1.5},
        }
    )


def test_the_standard_deviation_of_one_sample_is_empty():
    table = layers_table(samples_table().head(1))
    assert table["samples"].tolist() == [1]
    assert table["noise_mean"].tolist() == [1.0]
    assert table.filter(regex="_std$").isna().all(axis=None)


def test_layers_without_a_validation_set_have_no_accuracy_on_it_and_all_else():
    table = layers_table(samples_table(validation_accuracy=np.nan))
    assert table.columns[table.isna().any()].tolist() == ["validation_accuracy_mean", "validation_accuracy_std"]


def test_layers_rise_and_are_averaged_apart():
    table = layers_table(samples_table(layer=[13, 2]))
    assert table["layer"].tolist() == [2, 13]
    assert table["noise_mean"].tolist() == [2.0, 1.0]


def test_a_sample_without_clusters_is_left_out_of_the_mean_cluster_size():
    table = layers_table(samples_table(cluster_size=[np.nan, 3.0]))
    assert table["cluster_size_mean"].tolist() == [3.0]
    assert table["cluster_size_std"].isna().all()


def test_thresholds_are_averaged_apart():
    rows = pd.concat([samples_table(threshold=0.3), samples_table(threshold=0.6, noise=[0.0, 0.5])])
    table = thresholds_table(rows)
    assert table.columns.tolist() == [
        *("layer", "threshold", "noise_mean", "noise_std", "clusters_mean", "clusters_std"),
        *("cluster_size_mean", "cluster_size_std"),
    ]
    assert table[["layer", "threshold", "noise_mean"]].to_numpy().tolist() == [[13, 0.3, 1.5], [13, 0.6, 0.25]]
    assert table["noise_std"].tolist() == pytest.approx([np.sqrt(0.5), 0.5 * np.sqrt(0.5)])


def last_epochs(test: list[float], validation: list[float] | float = np.nan) -> pd.DataFrame:
    return pd.DataFrame({"test_accuracy": test, "validation_accuracy": validation})


def test_the_summary_names_first_and_last_layer_and_the_whole_network():
    layers = layers_table(samples_table(layer=[2, 13]))
    summary = summarise(layers, last_epochs([0.93, 0.95], [0.8, 0.9]))
    assert summary == {
        "samples": 2,
        "accuracy": 0.94,
        "accuracy_std": 0.0141421,
        "validation_accuracy": 0.85,
        "first_layer": {"accuracy": 0.9, "noise": 1.0},
        "last_layer": {
            **{"accuracy": 0.92, "train_accuracy": 0.98, "noise": 2.0, "clusters": 1.4, "cluster_size": 3.0},
            **{"silent_filters": 3.0, "validation_accuracy": 0.86},
        },
    }


def test_the_summary_has_no_key_for_a_number_that_does_not_exist():
    samples = samples_table(cluster_size=np.nan, validation_accuracy=np.nan).head(1)
    summary = summarise(layers_table(samples), last_epochs([0.93]))
    assert sorted(summary) == ["accuracy", "first_layer", "last_layer", "samples"]
    assert sorted(summary["last_layer"]) == ["accuracy", "clusters", "noise", "silent_filters", "train_accuracy"]
    json.dumps(summary, allow_nan=False)


def test_the_text_of_layers_has_a_line_a_layer():
    header, *lines = layers_text(layers_table(samples_table())).splitlines()
    assert header.split() == ["layer", "accuracy", "noise", "clusters", "per", "filter", "cluster", "size"]
    assert [line.split() for line in lines] == [["13", "0.9100", "±", "0.0141", "1.50", "1.20", "2.50"]]
    assert len({len(header), *map(len, lines)}) == 1


def test_the_text_of_layers_leaves_out_what_does_not_exist():
    table = layers_table(samples_table(cluster_size=np.nan).head(1))
    assert layers_text(table).splitlines()[1].split() == ["13", "0.9000", "1.00", "1.00", "–"]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project's outs for two samples of avgg16, and its parameters."""
    monkeypatch.chdir(tmp_path)
    params = load_params(ROOT / "params.yaml").model_copy(update={"arch": "avgg16", "seeds": (0, 3), "threshold": 0.42})
    history = Path("metrics/history")
    history.mkdir(parents=True)
    for seed in params.seeds:
        rows = f"0,,0.1,\n1,0.9,0.{9 - seed},\n"
        (history / f"seed{seed}.csv").write_text(f"epoch,train_accuracy,test_accuracy,validation_accuracy\n{rows}")
        with write_hdf5(Path(f"metrics/filters/seed{seed}.h5")) as file:
            file.attrs["class_names"] = ["cat", "dog, big", "frog", "ship"]
            file["test/images_per_label"] = np.full(4, 2)
            for layer in params.chosen_arch.examined_layers:
                group = file.create_group(f"layer{layer}")
                group.attrs["test_accuracy"], group.attrs["train_accuracy"] = 0.8, 1.0
                # All above 0.42; from 0.5 on only the diagonal elements of labels 0, 1 and 2.
                group["test/fields"] = np.where(clipped_filters(), np.where(np.diag([1, 1, 1, 0]), 1.0, 0.5), 0.0)
    return params


def test_the_stage_writes_the_tables(project):
    main(project)
    layer = project.chosen_arch.examined_layers[-1]
    layers, filters, labels, thresholds = (
        pd.read_csv(f"metrics/{name}.csv") for name in ("layers", "filters", "labels", "thresholds")
    )
    assert layers.columns[: len(LAYERS_COLUMNS)].tolist() == LAYERS_COLUMNS
    assert layers[["validation_accuracy_mean", "validation_accuracy_std"]].isna().all(axis=None)
    last = layers.iloc[-1]
    assert (last["layer"], last["samples"], last["noise_mean"], last["noise_std"]) == (layer, 2, 1.5, 0)
    assert (last["accuracy_mean"], last["train_accuracy_mean"], last["silent_filters_mean"]) == (0.8, 1.0, 1.0)
    assert filters.columns.tolist() == ["seed", "layer", "filter", "noise", "clusters", "silent", "labels"]
    assert filters.query("seed == 3 and layer == @layer")["labels"].tolist()[:2] == ["0 1", "0;2;3"]
    assert labels.columns.tolist() == ["seed", "layer", "label", "class_name", "appearances"]
    assert labels.query("seed == 0 and layer == @layer")["appearances"].tolist() == [3, 2, 2, 2]
    assert labels["class_name"][1] == "dog, big"
    swept = thresholds[thresholds["layer"] == layer].set_index("threshold")
    assert swept.index.tolist() == sorted({*SWEPT_THRESHOLDS, 0.42})
    # Filter 2's elements are all 0.5, so 1 once normalised, and stay above every threshold.
    assert swept.loc[0.45, "noise_mean"] == 1.5
    assert swept.loc[0.5, "noise_mean"] == 0.75
    assert swept.loc[0.5, "clusters_mean"] == (2 + 2 + 0 + 3) / 4
    summary = json.loads(Path("metrics/summary.json").read_text(), parse_constant=pytest.fail)
    assert summary["accuracy"] == 0.75
    assert summary["last_layer"]["noise"] == 1.5
    for part in (summary, summary["first_layer"], summary["last_layer"]):
        assert "validation_accuracy" not in part


def test_the_stage_averages_the_accuracies_on_the_validation_set(project):
    for seed in project.seeds:
        rows = f"0,,0.1,0.2\n1,0.9,0.5,0.{8 - seed}\n"
        path = Path(f"metrics/history/seed{seed}.csv")
        path.write_text(f"epoch,train_accuracy,test_accuracy,validation_accuracy\n{rows}")
        with h5py.File(f"metrics/filters/seed{seed}.h5", "a") as file:
            for number, layer in enumerate(project.chosen_arch.examined_layers):
                file[f"layer{layer}"].attrs["validation_accuracy"] = 0.25 + 0.125 * number + 0.0625 * seed
    main(project)
    layers = pd.read_csv("metrics/layers.csv")
    expected = [0.25 + 0.125 * number + 0.0625 * 1.5 for number in range(len(layers))]  # seeds 0 and 3
    assert layers["validation_accuracy_mean"].tolist() == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(layers["validation_accuracy_std"], 0.1875 * np.sqrt(0.5), rtol=1e-5)
    summary = json.loads(Path("metrics/summary.json").read_text())
    assert summary["validation_accuracy"] == pytest.approx((0.8 + 0.5) / 2)
    assert summary["last_layer"]["validation_accuracy"] == pytest.approx(expected[-1], rel=1e-5)


def test_the_stage_writes_the_same_bytes_again(project):
    def outs():
        return {path.name: path.read_bytes() for path in Path("metrics").iterdir() if path.is_file()}

    main(project)
    first = outs()
    main(project)
    assert outs() == first
    assert sorted(first) == ["filters.csv", "labels.csv", "layers.csv", "summary.json", "thresholds.csv"]


def test_the_stage_names_the_history_file_that_is_missing_or_short(project):
    path = Path("metrics/history/seed3.csv")
    header = "epoch,test_accuracy,validation_accuracy\n"
    for content in ("", header, f"{header}1,none,\n", "epoch\n1\n", "epoch,test_accuracy\n1,0.5\n"):
        path.write_text(content)
        with pytest.raises(InputError, match=r"seed3\.csv is missing or not whole.*--single-item train_backbone@3"):
            main(project)
    path.unlink()
    with pytest.raises(InputError, match=r"seed3\.csv is missing or not whole.*--single-item train_backbone@3"):
        main(project)


def test_the_stage_names_the_layer_that_the_matrices_lack(project):
    layer = project.chosen_arch.examined_layers[0]
    with h5py.File("metrics/filters/seed3.h5", "a") as file:
        del file[f"layer{layer}"]
    with pytest.raises(
        InputError, match=rf"seed3\.h5 has no layer{layer}\. Make it again: .*--single-item filter_matrices@3"
    ):
        main(project)
