import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from singlefilter.filters.store import FilterMatrices, LayerMatrices, write_layer
from singlefilter.paper.values import SWEPT_THRESHOLDS
from singlefilter.pipeline.artifacts import Workspace
from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.params_files import load_params
from singlefilter.statistics.nulls import NULLS
from stages import cluster_stats
from stages.cluster_stats import main, measure, places_and_costs
from tests.hand_made_filters import clipped_filters
from tests.hdf5_files import edited

ROOT = Path(__file__).resolve().parents[2]
TABLES = [
    *("claims.csv", "filters.csv", "histograms.csv", "labels.csv", "layers.csv", "nulls.csv"),
    *("sizes.csv", "summary.json", "thresholds.csv", "training.csv"),
]
HISTORY = "epoch,train_accuracy,test_accuracy,validation_accuracy,test_accuracy_without_bias\n"
ABOVE = clipped_filters()


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project's outs for two samples of avgg16, and its parameters."""
    monkeypatch.chdir(tmp_path)
    params = load_params(ROOT / "params.yaml").model_copy(update={"arch": "avgg16", "seeds": (0, 3), "threshold": 0.42})
    history, dilution = Path("metrics/history"), Path("metrics/dilution")
    history.mkdir(parents=True)
    dilution.mkdir()
    for seed in params.seeds:
        (history / f"seed{seed}.csv").write_text(f"{HISTORY}0,,0.1,,\n1,0.9,0.{9 - seed},,\n")
        rows = f"{seed},13,none,0,0.8\n{seed},13,random,2,0.7\n{seed},13,label,2,0.{6 - seed}\n"
        (dilution / f"seed{seed}.csv").write_text(f"seed,layer,kind,removed_filters,accuracy\n{rows}")
        # All above 0.42; from 0.5 on only the diagonal elements of labels 0, 1 and 2.
        test = FilterMatrices(
            np.where(ABOVE, np.where(np.diag([1, 1, 1, 0]), 1.0, 0.5), 0.0),
            np.where(ABOVE, 3, 0),
            np.full(4, 5),
            np.array([16, 15, 17, 16, 0]),  # of 20
        )
        # Four clusters of one label.
        train = FilterMatrices(
            np.tile(np.eye(4), (5, 1, 1)), np.zeros((5, 4, 4), dtype=int), np.full(4, 2), np.arange(5)
        )
        accuracies, faded = {"test_accuracy": 0.8, "train_accuracy": 1.0}, np.zeros(5, dtype=bool)
        with Workspace(params).write("matrices", seed=seed) as file:
            for layer in params.chosen_arch.examined_layers:
                names = ["cat", "dog, big", "frog", "ship"]
                write_layer(file, layer, LayerMatrices(names, accuracies, faded, {"test": test, "train": train}))
    return params


def test_the_stage_writes_the_tables(project):
    main(project)
    layer = project.chosen_arch.examined_layers[-1]
    layers, filters, labels, thresholds = (
        pd.read_csv(f"metrics/{name}.csv") for name in ("layers", "filters", "labels", "thresholds")
    )
    assert layers.columns[:5].tolist() == ["layer", "filters", "test_images", "samples", "accuracy_mean"]
    assert layers[["validation_accuracy_mean", "validation_accuracy_std"]].isna().all(axis=None)
    last = layers.iloc[-1]
    assert (last["layer"], last["samples"], last["noise_mean"], last["noise_std"]) == (layer, 2, 1.5, 0)
    assert (last["accuracy_mean"], last["train_accuracy_mean"], last["silent_filters_mean"]) == (0.8, 1.0, 1.0)
    assert filters.columns.tolist() == [
        *("seed", "layer", "filter", "noise", "clusters", "silent", "labels"),
        *("decision_label", "decision_share", "accuracy_loss"),
    ]
    assert filters.query("seed == 3 and layer == @layer")["labels"].tolist()[:2] == ["0 1", "0;2;3"]
    decisions = filters.query("seed == 3 and layer == @layer")[["decision_label", "decision_share"]].to_numpy()
    np.testing.assert_array_equal(decisions, [[0, 0.4], [3, 0.4], [1, 0.333333], [np.nan, np.nan], [0, 0.25]])
    losses = filters.query("seed == 3 and layer == @layer")["accuracy_loss"]
    assert losses.tolist() == [0, 0.05, -0.05, 0, 0.8]  # of 16 correct images of 20
    assert last["one_decision_share_mean"] == 0
    assert labels.columns.tolist() == ["seed", "layer", "label", "class_name", "appearances"]
    assert labels.query("seed == 0 and layer == @layer")["appearances"].tolist() == [3, 2, 2, 2]
    assert labels["class_name"][1] == "dog, big"
    kinds = thresholds.query("layer == @layer").groupby(["split", "walk"], sort=False)
    assert list(kinds.groups) == [("test", "forward"), ("test", "reversed"), ("train", "forward")]
    swept = kinds.get_group(("test", "forward")).set_index("threshold")
    assert swept.index.tolist() == sorted({*SWEPT_THRESHOLDS, 0.42})
    # Filter 2's elements are all 0.5, so 1 once normalised, and stay above every threshold.
    assert swept.loc[0.45, "noise_mean"] == 1.5
    assert swept.loc[0.5, "noise_mean"] == 0.75
    assert swept.loc[0.5, "clusters_mean"] == (2 + 2 + 0 + 3) / 4
    variants = ["train_noise_mean", "train_clusters_mean", "train_cluster_size_mean", "reversed_clusters_mean"]
    assert last[variants].tolist() == [0, 4, 1, (1 + 3 + 0 + 1) / 4]
    summary = json.loads(Path("metrics/summary.json").read_text(), parse_constant=pytest.fail)
    assert summary["accuracy"] == 0.75
    assert summary["last_layer"]["noise"] == 1.5
    for part in (summary, summary["first_layer"], summary["last_layer"]):
        assert "validation_accuracy" not in part


def test_the_stage_compares_each_layer_with_its_nulls(project):
    main(project)
    nulls = pd.read_csv("metrics/nulls.csv")
    assert nulls.columns.tolist() == [
        *("layer", "null", "statistic", "samples", "draws", "measured", "null_mean", "null_std", "z"),
    ]
    names = ["noise", "clusters", "cluster_size"]
    expected = [
        [layer, null, name] for layer in project.chosen_arch.examined_layers for null in NULLS for name in names
    ]
    assert nulls[["layer", "null", "statistic"]].to_numpy().tolist() == expected
    assert (nulls["samples"] == 2).all()
    assert (nulls["draws"] == 100).all()
    assert nulls.query("statistic == 'noise'")["measured"].tolist() == [1.5] * 3 * len(
        project.chosen_arch.examined_layers
    )
    z = (nulls["measured"] - nulls["null_mean"]) / (nulls["null_std"] / 2**0.5)  # of the mean over two samples
    assert (nulls["z"] - z).abs().max() < 0.001


def test_the_stage_writes_a_histogram_of_each_layer(project):
    main(project)
    table = pd.read_csv("metrics/histograms.csv")
    assert table.columns.tolist() == ["layer", "rows", "low", "high", "count", "share"]
    counted = table[(table["layer"] == project.chosen_arch.examined_layers[-1]) & (table["count"] > 0)]
    # Of two samples: zeros in rows of clusters 4 + (2 + 3 + 2) and in others (3 + 4) + 4 + (1 + 3 * 4).
    assert counted.drop(columns="layer").to_numpy().tolist() == [
        ["cluster", 0, 0.02, 22, 1],
        ["other", 0, 0.02, 48, 1],
    ]


def test_the_stage_gives_intervals_that_hold_the_mean(project):
    main(project)
    layers = pd.read_csv("metrics/layers.csv")
    assert (layers["noise_low"] < layers["noise_mean"]).all()
    assert (layers["noise_mean"] < layers["noise_high"]).all()


def test_one_sample_has_no_standard_deviation_and_no_text_for_it(project):
    main(project.model_copy(update={"seeds": (3,)}))
    for name in ("layers", "thresholds"):
        table = pd.read_csv(f"metrics/{name}.csv", keep_default_na=False)
        assert (table.filter(regex="_std$") == "").all(axis=None)
    assert not any("nan" in path.read_text().lower() for path in Path("metrics").glob("*.csv"))


def test_a_layer_of_silent_filters_leaves_its_numbers_empty(project):
    layer = project.chosen_arch.examined_layers[0]
    for seed in project.seeds:
        with edited(f"metrics/filters/seed{seed}.h5") as file:
            for split in ("test", "train"):
                file[f"layer{layer}/{split}/fields"][:] = -1
                file[f"layer{layer}/{split}/decisions"][:] = 0
    main(project)
    row = pd.read_csv("metrics/layers.csv").iloc[0]
    known = ["layer", "filters", "test_images", "samples", "silent_filters_mean", "faded_filters_mean"]
    assert row[known].tolist() == [layer, 5, 20, 2, 5, 0]
    row = row.drop(["depth", "multiply_accumulates", "multiply_accumulates_share"])
    assert [name for name in row.dropna().index if "accuracy" not in name] == known
    nulls = pd.read_csv("metrics/nulls.csv").query("layer == @layer")
    assert nulls[["measured", "null_mean", "null_std", "z"]].isna().all(axis=None)
    histogram = pd.read_csv("metrics/histograms.csv").query("layer == @layer")
    assert (histogram["count"] == 0).all()
    assert histogram["share"].isna().all()
    json.loads(Path("metrics/summary.json").read_text(), parse_constant=pytest.fail)


def test_the_stage_averages_the_accuracies_on_the_validation_set(project):
    for seed in project.seeds:
        path = Path(f"metrics/history/seed{seed}.csv")
        path.write_text(f"{HISTORY}0,,0.1,0.2,\n1,0.9,0.5,0.{8 - seed},\n")
        with edited(f"metrics/filters/seed{seed}.h5") as file:
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
    assert sorted(first) == TABLES


@pytest.mark.parametrize(("folder", "stage"), [("history", "train_backbone"), ("dilution", "dilute_filters")])
def test_the_stage_names_the_samples_file_that_is_missing_or_short(project, folder, stage):
    path = Path(f"metrics/{folder}/seed3.csv")
    header = path.read_text().splitlines()[0]
    states = [("is not whole", ""), ("has no rows", f"{header}\n"), ("is not whole", "epoch,layer\n1,2\n")]
    states.append(("is not whole", f"{header}\n1,none,none,none,none\n"))
    for state, content in states:
        path.write_text(content)
        with pytest.raises(InputError, match=rf"seed3\.csv {state}.*--single-item {stage}@3"):
            main(project)
    path.unlink()
    with pytest.raises(InputError, match=rf"seed3\.csv is missing.*--single-item {stage}@3"):
        main(project)


def test_the_stage_gathers_the_histories_and_the_cluster_sizes(project):
    main(project)
    training = pd.read_csv("metrics/training.csv")
    assert training[["seed", "epoch", "test_accuracy"]].to_numpy().tolist() == [
        [0, 0, 0.1],
        [0, 1, 0.9],
        [3, 0, 0.1],
        [3, 1, 0.6],
    ]
    sizes = pd.read_csv("metrics/sizes.csv")  # 3 clusters of one label, one of two and one of four
    assert sizes.to_numpy().tolist() == [[13, 1, 0.6, 0], [13, 2, 0.2, 0], [13, 3, 0, 0], [13, 4, 0.2, 0]]


def test_the_stage_counts_the_cost_of_the_network_cut_after_each_layer(project):
    main(project)
    row = pd.read_csv("metrics/layers.csv").iloc[-1]
    head, others = 8192 * 4, 8192 * 512 + 512 * 512 + 512 * 4  # four labels
    convolutions = row["multiply_accumulates"] - head
    assert row["multiply_accumulates_share"] == pytest.approx((convolutions + head) / (convolutions + others), rel=1e-5)


def test_the_claims_are_judged_on_these_tables(project):
    main(project)
    claims = pd.read_csv("metrics/claims.csv", keep_default_na=False).set_index("id")
    assert claims.loc["sr.avgg16", ["measured", "verdict"]].tolist() == ["0.75", "not comparable"]
    assert "digits" in claims.loc["sr.avgg16", "reason"]
    counts = json.loads(Path("metrics/summary.json").read_text())["claims"]
    assert {"holds": 0, "does_not_hold": 0, "not_comparable": len(claims)}.items() <= counts.items()


def test_samples_are_resampled_independently(project):  # both have the same matrices
    draws = measure(Workspace(project), project)["draws"]
    first, second = (draws.loc[draws["seed"] == seed, "noise"].to_numpy() for seed in project.seeds)
    assert first[0] == second[0] and (first != second).any()


def test_the_last_layer_is_the_deepest(project):
    assert places_and_costs(Workspace(project), project, 4)["depth"].tolist() == [1.0]


def test_claims_stand_beside_the_networks_control(project, monkeypatch):
    asked = []
    monkeypatch.setattr(cluster_stats, "read_control", lambda *row: asked.append(row))
    main(project)
    assert asked == [("digits", "avgg16")]
