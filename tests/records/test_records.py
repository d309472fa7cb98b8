"""Runs recorded, read again, refused, and compared with the paper and each other."""

import contextlib
import json
import math
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from singlefilter.claims.claims import CLAIMS
from singlefilter.claims.intervals import Number
from singlefilter.claims.judge import judge, summarise_claims
from singlefilter.filters.store import LayerMatrices, write_layer
from singlefilter.pipeline.artifacts import Workspace, digest_of_determinants
from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.files import replacing
from singlefilter.pipeline.params_files import load_params
from singlefilter.pipeline.yaml_files import load_yaml
from singlefilter.records import what_ran
from singlefilter.records.compare import comparison_table, comparison_text
from singlefilter.records.store import read_control, read_record
from singlefilter.statistics.over_samples import summarise
from stages import compare_runs, record_run, run
from tests.claims.tables import Tables, tables

ROOT = Path(__file__).resolve().parents[2]
RECORDS, CONTROLS = Path("metrics/reference"), Path("metrics/controls")
NAME = "cifar10-vgg16-1"
PARAMS = load_params(ROOT / "params.yaml")
FIGURES = ("layer_statistics", "filters", "success_rates")


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("plots").mkdir()
    for name in (*FIGURES, "training"):
        Path(f"plots/{name}.png").write_bytes(name.encode())


def write(run: Tables, *arguments: str, record: bool = True) -> None:
    """Write a run's tables into the project's folder, and record it with these arguments."""
    files = Workspace(run.write(Path()))
    for seed in run.accuracies:
        with files.write("matrices", seed=seed) as file:
            for layer, means in run.layers.items():
                write_layer(file, layer, LayerMatrices([], {"test_accuracy": means["accuracy"]}, np.zeros(0), {}))
    if record:
        command(*arguments)


def command(*arguments: str) -> None:
    """What `python -m stages.record_run` does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["stages/record_run.py", *arguments])
        run(record_run.main, arguments=record_run.ARGUMENTS)


def refusal(*arguments: str) -> str:
    with pytest.raises(SystemExit) as raised:
        command(*arguments)
    return str(raised.value.code)


def log(*entries: dict) -> None:
    path = Path("logs/stages.jsonl")
    path.parent.mkdir()
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries) + '{"stage": "cut sh', encoding="utf-8")


def test_a_record_holds_all_that_a_run_is():
    write(tables())
    seeds = [f"{kind}-seed{seed}.csv" for kind in ("dilution", "history") for seed in (0, 1)]
    files = [
        "catalog.yaml",
        "claims.csv",
        *seeds,
        "histograms.csv",
        "labels.csv",
        "layers.csv",
        "nulls.csv",
        "params.yaml",
        "run.md",
    ]
    files += ["summary.json", "thresholds.csv", *(f"{name}.png" for name in FIGURES)]
    assert sorted(path.name for path in (RECORDS / NAME).iterdir()) == sorted(files)
    for name, origin in [("layers.csv", "layers.csv"), ("history-seed1.csv", "history/seed1.csv")]:
        assert (RECORDS / NAME / name).read_bytes() == Path("metrics", origin).read_bytes()
    assert (RECORDS / NAME / "filters.png").read_bytes() == b"filters"


def test_a_record_is_read_as_it_was():
    made = tables(seeds=(3, 5))
    write(made)
    recorded = read_record(RECORDS / NAME)
    assert recorded.last_epochs.index.tolist() == [3, 5]
    pd.testing.assert_frame_equal(judge(recorded), judge(made.run()), rtol=1e-5)


def test_a_records_params_yaml_is_whole_and_has_the_chosen_rows_alone():
    write(tables("vgg6"))
    params, whole = load_params(RECORDS / "cifar10-vgg6-1" / "params.yaml"), load_params()
    assert (list(params.datasets), list(params.archs)) == (["cifar10"], ["vgg6"])
    assert params.chosen_arch == whole.chosen_arch
    assert params.model_dump(exclude={"datasets", "archs"}) == whole.model_dump(exclude={"datasets", "archs"})


def test_what_the_run_was_made_with_is_told(monkeypatch):
    params = tables().run().params
    stages = ("train_backbone", "train_heads", "cluster_stats", "vega")
    backbone, heads, stats, none = ({"determinants": digest_of_determinants(params, stage)} for stage in stages)
    of_another_run = digest_of_determinants(params.model_copy(update={"precision": "bf16"}), "train_backbone")
    torch = {"torch": "2.12.1", "device": "cpu", "hardware": "2 cores of One, 8 GiB", "revision": "abc1234"}
    later = {"hardware": "4 cores of Other, 16 GiB", "revision": "def5678"}
    log(
        {"stage": "train_backbone", "seed": 0, "seconds": 1.0} | backbone | torch,  # run again later
        {"stage": "train_backbone", "seed": 0, "seconds": 70.0} | backbone | torch,
        {"stage": "train_backbone", "seed": 1, "seconds": 80.5} | backbone | torch,
        {"stage": "train_backbone", "seed": 7, "seconds": 9.0} | backbone | torch,  # no sample of this run
        {"stage": "train_backbone", "seed": 0, "seconds": 9.0} | torch | {"determinants": of_another_run},
        {"stage": "train_heads", "seed": 1, "seconds": 5.0} | heads,  # logged before machines were told
        {"stage": "cluster_stats", "seconds": 4.0} | stats | later,
        {"stage": "cluster_stats", "seconds": 9.0},  # logged before runs were told apart
        {"stage": "record_run", "seconds": 9.0} | none,
        {"stage": "list_layers", "seconds": 9.0} | none,
        {"stage": "spread", "seconds": 9.0} | none,
    )
    write(tables(), "--note", "a first try")
    command_line, revision, hardware, seconds, note = (RECORDS / NAME / "run.md").read_text("utf-8").splitlines()
    assert command_line == f"* command: `cp metrics/reference/{NAME}/*.yaml . && dvc repro`"
    assert revision == "* revision: abc1234 (train_backbone); unknown (train_heads); def5678 (cluster_stats)"
    assert hardware == (
        "* hardware: 2 cores of One, 8 GiB; 4 cores of Other, 16 GiB; a machine that was not logged; "
        "torch 2.12.1 on cpu"
    )
    assert seconds == (
        "* seconds: train_backbone 70 + 80.5, train_heads 5, cluster_stats 4; together 160; "
        "not logged, of some samples at least: extract_features, train_heads, filter_matrices"
    )
    assert note == "* a first try"


@pytest.mark.parametrize("line", [b"5", b"null", b'"train_heads"', b"[1]", b'{"stage": ["vega"]}', b"\xff"])
def test_lines_of_the_log_that_are_no_stages_are_passed_over(line):
    params = tables().run().params
    log({"stage": "cluster_stats", "seconds": 4.0, "determinants": digest_of_determinants(params, "cluster_stats")})
    path = Path("logs/stages.jsonl")
    path.write_bytes(line + b"\n" + path.read_bytes())
    assert [entry["seconds"] for entry in what_ran.logged_stages(params)] == [4.0]


def test_of_stages_of_one_commit_it_is_told_once():
    params = tables().run().params
    stages = [(stage, digest_of_determinants(params, stage)) for stage in ("figures", "cluster_stats")]
    log(*({"stage": stage, "seconds": 4.0, "determinants": found, "revision": "abc1234"} for stage, found in stages))
    write(tables())
    assert "* revision: abc1234\n" in (RECORDS / NAME / "run.md").read_text("utf-8")


def test_where_nothing_was_run_nothing_is_told():
    write(tables())
    lines = (RECORDS / NAME / "run.md").read_text("utf-8").splitlines()
    assert lines[1:] == ["* revision: not logged", "* hardware: not logged", "* seconds: not logged"]


def test_the_figures_can_be_chosen_and_the_record_named():
    write(tables(), "--name", "second", "--figures", "training")
    assert [path.name for path in (RECORDS / f"{NAME}-second").glob("*.png")] == ["training.png"]
    assert refusal("--figures", "curves") == (
        "record_run: --figures: 'curves' is no figure in plots; "
        "choose among filters, layer_statistics, success_rates, training"
    )
    assert "'a/b' cannot be in a folder's name" in refusal("--name", "a/b")


def test_a_picture_outside_of_plots_is_no_figure_and_replaces_nothing():
    write(tables(), record=False)
    RECORDS.mkdir(parents=True)
    for picture in (Path("mine.png"), RECORDS / "mine.png"):
        picture.write_bytes(b"")
    Path("mine.png").write_bytes(b"other")
    assert refusal("--figures", "../mine") == (
        "record_run: --figures: '../mine' is no figure in plots; "
        "choose among filters, layer_statistics, success_rates, training"
    )
    assert (RECORDS / "mine.png").read_bytes() == b""


def test_an_untrained_network_is_recorded_as_the_control_of_its_data_and_network():
    write(tables(), record=False)
    advice = "catalog.yaml:archs.vgg16.backbone.convolutional_rates.learning_rate=0"
    assert refusal("--control").startswith("record_run: --control: archs.vgg16.backbone is trained, and a control is")
    assert refusal("--control").endswith(advice)
    control = tables(epochs_scale=0.1)
    for rates in ("convolutional_rates", "fully_connected_rates"):
        control.values["archs"]["vgg16"]["backbone"][rates]["learning_rate"] = 0.0
    control.layers[13]["noise"] = 18.0
    write(control, "--control")
    assert not RECORDS.exists() and [path.name for path in CONTROLS.iterdir()] == ["cifar10-vgg16"]
    assert not list((CONTROLS / "cifar10-vgg16").glob("*.png"))
    assert read_control("cifar10", "vgg16").by_layer[13]["noise_mean"] == 18
    assert read_control("cifar10", "vgg6") is None


def test_a_record_is_replaced_as_a_whole_or_not_at_all(monkeypatch):
    write(tables())
    (RECORDS / NAME / "left over.txt").touch()
    before = sorted(path.name for path in (RECORDS / NAME).iterdir())
    with monkeypatch.context() as patch:
        patch.setattr(record_run, "run_text", lambda *_: (_ for _ in ()).throw(InputError("stopped")))
        assert refusal() == "record_run: stopped"
    assert sorted(path.name for path in (RECORDS / NAME).iterdir()) == before
    command()
    assert not (RECORDS / NAME / "left over.txt").exists()
    assert [path.name for path in RECORDS.iterdir()] == [NAME]


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"threshold": 0.4}, "threshold"),
        ({"precision": "bf16"}, "precision"),
        ({"seeds": [0, 2]}, "seeds"),
        ({"rate": 0.02}, "archs.vgg16"),
    ],
)
def test_the_record_of_a_run_with_other_parameters_is_not_replaced(changes, key):
    write(tables())
    before = {path.name: path.read_bytes() for path in (RECORDS / NAME).iterdir()}
    rate = changes.pop("rate", None)
    other = tables(**changes)
    if rate:
        other.values["archs"]["vgg16"]["backbone"]["convolutional_rates"]["learning_rate"] = rate
    write(other, record=False)
    assert refusal() == (
        f"record_run: metrics/reference/{NAME} is the record of a run with other parameters ({key}); "
        "remove that folder, or give this one a --name of its own"
    )
    assert {path.name: path.read_bytes() for path in (RECORDS / NAME).iterdir()} == before
    command("--name", "other")
    assert (RECORDS / f"{NAME}-other").is_dir()


def test_a_record_is_replaced_where_only_figures_and_rows_that_it_does_not_use_differ():
    write(tables())
    other = tables()
    other.values["figures"] = {"dpi": 300, "font_size": 8, "colormap": "gray"}
    other.values["archs"]["vgg6"]["backbone"]["epochs"] = 3
    write(other)
    assert load_params(RECORDS / NAME / "params.yaml").figures.dpi == 300


def test_a_record_that_was_set_aside_when_recording_was_killed_comes_back():
    write(tables())
    (RECORDS / NAME).rename(RECORDS / f".{NAME}.old")
    Path("plots/filters.png").unlink()
    assert "'filters' is no figure in plots" in refusal()  # before anything is touched
    Path("plots/filters.png").touch()
    command()
    assert [path.name for path in RECORDS.iterdir()] == [NAME]


def change_params(old: str, new: str) -> None:
    text = Path("params.yaml").read_text(encoding="utf-8")
    assert old in text
    Path("params.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (
            "epochs_scale: 1\n",
            "epochs_scale: 0.5\n",
            "history/seed0.csv is of epochs [200], and params.yaml of [100",
        ),
        (
            "arch: vgg16\n",
            "arch: vgg16_l11to13_120\n",
            "layers.csv is of layers [2, 4, 7, 8, 10, 11, 13], and",
        ),
        (
            "dataset: cifar10\n",
            "dataset: cifar100\n",
            "and the tables say sr.vgg16 not comparable cifar100 instead",
        ),
        (
            "threshold: 0.3\n",
            "threshold: 0.4\n",
            "and the tables say sr.vgg16 not comparable threshold 0.4",
        ),
    ],
)
def test_tables_of_other_parameters_are_refused(old, new, why):
    write(tables(), record=False)
    change_params(old, new)
    assert why in refusal()
    assert not RECORDS.exists() or not list(RECORDS.iterdir())


def test_tables_of_other_samples_are_refused():
    write(tables(seeds=(0, 1, 2)), record=False)
    change_params("- 2\n", "")
    assert "metrics/layers.csv is of samples [3], and params.yaml of [2]." in refusal()


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("precision: float32", "precision: bf16", "made with precision float32, where bf16 is expected"),
        ("seed: 0", "seed: 9", "made with validation.seed 0, where 9 is expected"),
        ("retrain_heads: false", "retrain_heads: true", "dilution/seed0.csv is of retrained heads [False], and params"),
    ],
)
def test_parameters_that_no_claim_shows_are_compared_too(old, new, why):
    write(tables(), record=False)
    change_params(old, new)
    assert why in refusal() and not RECORDS.exists()


def test_tables_that_were_not_made_from_the_matrices_are_refused():
    write(tables(), record=False)
    change_params("precision: float32", "precision: bf16")
    files = Workspace(load_params())
    for seed in (0, 1):
        with files.write("matrices", seed=seed) as file:
            for layer, means in tables().layers.items():
                rate = means["accuracy"] + 0.0001 * seed * (layer == 10)
                write_layer(file, layer, LayerMatrices([], {"test_accuracy": rate}, np.zeros(0), {}))
    assert refusal() == (
        "record_run: metrics/layers.csv has the success rate 0.94 for layer 10, and the matrices have 0.94005. "
        "Make the run's tables again (dvc repro), then record the run"
    )


def test_of_two_verdicts_the_reasons_that_differ_are_told():
    shared = "about vgg16; 1 sample"
    shown, other = (("sr", "not comparable", f"{shared}; {count} held out") for count in ("1500", "500"))
    assert record_run.verdict_text(shown, other) == "sr not comparable 1500 held out"
    assert record_run.verdict_text(other, shown) == "sr not comparable 500 held out"


def test_a_trained_network_is_no_control_although_its_row_is_changed_afterwards():
    write(tables("vgg14"), record=False)  # of no claim
    path = Path("catalog.yaml")
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("learning_rate: 0.028", "learning_rate: 0.0"), encoding="utf-8")
    assert "learning_rate 0.028, where 0.0 is expected" in refusal("--control") and not CONTROLS.exists()


@pytest.mark.parametrize("name", ["nulls.csv", "dilution/seed1.csv", "history/seed0.csv", "summary.json", "claims.csv"])
def test_a_missing_table_is_named_with_the_way_out(name):
    write(tables(), record=False)
    Path("metrics", name).unlink()
    assert refusal().startswith(f"record_run: metrics/{name} is missing. Make the run's tables again (dvc repro)")


@pytest.mark.parametrize("name", ["layers.csv", "claims.csv", "thresholds.csv"])
def test_a_table_that_is_not_whole_is_named(name):
    write(tables(), record=False)
    Path("metrics", name).write_text("id\n" if name == "claims.csv" else "", encoding="utf-8")
    assert f"metrics/{name} is not whole" in refusal()


@pytest.mark.parametrize("name", ["thresholds.csv", "dilution/seed1.csv"])
def test_a_table_without_rows_is_named(name):
    write(tables(), record=False)
    pd.read_csv(f"metrics/{name}").head(0).to_csv(f"metrics/{name}", index=False)
    assert f"metrics/{name} has no rows" in refusal()


def test_a_table_of_claims_that_lacks_the_last_ones_is_refused():
    write(tables(), record=False)
    path = Path("metrics/claims.csv")
    pd.read_csv(path).head(80).to_csv(path, index=False)
    assert "metrics/claims.csv has 80 claims instead of 87. Make the run's tables again" in refusal()


def test_the_controls_of_dilution_are_read_as_they_were_written():
    run = tables()
    write(run)
    expected = judge(run.run()).set_index("id").loc["dilute.label", "beside"]
    assert read_record(RECORDS / NAME).dilution.index.is_unique
    assert judge(read_record(RECORDS / NAME)).set_index("id").loc["dilute.label", "beside"] == expected


@pytest.mark.parametrize(
    ("name", "rows", "why"),
    [
        ("history/seed1.csv", -1, "history/seed1.csv is of epochs [0], and params.yaml of [200]"),
        ("nulls.csv", 2, "nulls.csv is of layers [2], and params.yaml of [2, 4, 7, 8, 10, 11, 13]"),
    ],
)
def test_a_table_that_was_cut_is_named(name, rows, why):
    write(tables(), record=False)
    path = Path("metrics", name)
    pd.read_csv(path).head(rows).to_csv(path, index=False)
    assert why in refusal()


def test_dilution_of_another_layer_is_refused():
    write(tables(), record=False)
    path = Path("metrics/dilution/seed1.csv")
    pd.read_csv(path).assign(layer=10).to_csv(path, index=False)
    assert "is of layers [13, 10], and params.yaml of [13]" in refusal()


def test_the_log_tells_runs_apart():
    write(tables("vgg6"))
    entry = json.loads(Path("logs/stages.jsonl").read_text(encoding="utf-8"))
    assert [entry[key] for key in ("stage", "dataset", "arch", "epochs_scale")] == ["record_run", "cifar10", "vgg6", 1]


def test_a_table_without_a_column_is_named():
    write(tables(), record=False)
    layers = pd.read_csv("metrics/layers.csv").drop(columns="samples")
    layers.to_csv("metrics/layers.csv", index=False)
    assert "metrics/layers.csv has no column 'samples'" in refusal()


# ---- Comparison


def compare() -> None:
    compare_runs.main(PARAMS)


def cells(text: str, start: str) -> list[str]:
    """The cells of the first row of a Markdown table that starts with these."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {start} |"))
    return [cell.strip() for cell in line.removeprefix("| ").removesuffix("|").split(" | ")]


def test_the_papers_numbers_stand_beside_a_runs():
    made = tables(seeds=(0, 1))
    made.accuracies = {0: 0.93, 1: 0.95}
    text = comparison_text({NAME: made.run()}, {})
    assert cells(text, "vgg16 | the paper")[2:] == ["4", "", "0.94", "1.5", "1", "2.88", "4.8 from its averages", ""]
    ours = ["1.50 ± 0.00", "1.00 ± 0.00", "2.88 ± 0.00", "4.50 ± 0.00", ""]
    assert cells(text, f"vgg16 | `{NAME}`")[2:] == ["2", "augmented images", "0.9400 ± 0.0141", *ours]
    assert cells(text, "vgg6 | the paper")[2:] == ["5", "", "0.92", "3.14", "1", "2.6", "–", ""]
    assert cells(text, "avgg16 | the paper")[2:] == ["3", "", "0.955", "1.1", "1", "2.5", "–", ""]
    assert cells(text, f"`{NAME}` | 2")[2:] == ["0.6400 ± 0.0040", "–", "20.00 ± 0.00", "20", "0 of 64"]


def test_other_data_have_no_numbers_of_the_papers_beside_them_and_one_sample_no_spread():
    digits = tables(seeds=(0,), dataset="digits", epochs_scale=0.05)
    digits.layers[13] |= {"noise": math.nan, "cluster_size": math.nan}
    text = comparison_text({"digits-vgg16-0.05": digits.run()}, {})
    about = "digits instead of CIFAR-10; shortened run: 0.05 of the epochs; 1 sample"
    assert cells(text, "vgg16 | `digits-vgg16-0.05`")[2:] == [
        "1",
        "augmented images",
        "0.9400",
        "–",
        "1.00",
        "–",
        "4.50",
        about,
    ]
    assert cells(text, "`digits-vgg16-0.05` | 2")[2:] == ["0.6400", "–", "20.00", "–", "0 of 64"]
    assert "nan" not in text.lower()
    table = comparison_table({"digits": digits.run()})
    assert table["paper"].isna().all() and table["std"].isna().all()


def test_the_table_has_a_row_a_number():
    table = comparison_table({"a": tables("vgg6").run(), "b": tables("avgg16").run()})
    assert len(table) == (1 + 5 * 5) + (1 + 5)
    whole = table[(table["record"] == "b") & table["layer"].isna()].iloc[0]
    assert whole[["network", "samples", "statistic", "paper", "mean", "std"]].tolist() == [
        *("avgg16", 2, "accuracy", 0.955, 0.955),
        0,
    ]
    noise = table[(table["record"] == "a") & (table["layer"] == 5) & (table["statistic"] == "noise")].iloc[0]
    assert noise[["paper", "mean", "std", "low", "high"]].tolist() == [3.14, 3.14, 0.004, 2.64, 3.64]
    rates = table[(table["record"] == "a") & table["layer"].notna() & (table["statistic"] == "accuracy")]
    half = 12.7062 * rates["std"].astype(float) / 2**0.5  # Student's t of one degree of freedom
    assert (rates["high"] - rates["mean"]).tolist() == pytest.approx(half.tolist(), rel=1e-4, abs=1e-12)
    assert (rates["mean"] - rates["low"]).tolist() == pytest.approx(half.tolist(), rel=1e-4, abs=1e-12)
    assert set(rates["interval_over"]) == {"samples"} and (half > 0).any()


def test_layers_with_names_stand_beside_those_with_numbers():
    numbered = tables("vgg6").run()
    names = {layer: f"block.{layer}" for layer in (1, 2, 3, 4, 5)}
    arch = numbered.params.chosen_arch.model_copy(update={"examined_layers": tuple(names.values())})
    params = numbered.params.model_copy(update={"arch": "own", "archs": {"own": arch}})
    named = replace(numbered, params=params, layers=numbered.layers.assign(layer=numbered.layers["layer"].map(names)))
    table = comparison_table({"a": numbered, "b": named})
    of_layers = table[table["statistic"] == "noise"]
    assert of_layers["layer"].tolist() == [*names, *names.values()]
    assert of_layers["mean"].tolist()[:5] == of_layers["mean"].tolist()[5:]
    text = comparison_text({"a": numbered, "b": named}, {})
    numbered_cells = cells(text, "`a` | 5")
    assert cells(text, "`b` | block.5")[2:] == [numbered_cells[2], "–", numbered_cells[4], "–", "0 of 512"]


def test_claims_of_each_run_are_counted_and_those_of_several_judged():
    runs = {name: tables(name).run() for name in ("vgg16", "vgg6", "avgg16")}
    control = tables("vgg16")
    control.layers[13]["noise"] = 18.0
    text = comparison_text(runs, {"vgg16": control.run()})
    assert cells(text, "`vgg16` | 49")[1:6] == ["49", "0", "38", "3", "0"]  # the noise of layer 13, trained, reversed
    assert cells(text, "`vgg6` | 11")[1:4] == ["11", "0", "76"]
    reason = "at the bound, must be > 0 (vgg16 over vgg6)"
    *found, chosen = cells(text, "`snr.order`")[3:]
    assert found == ["0 [-0.05082, 0.05082]", "–", "does not hold", reason, "no control"]  # 12.706205 · 0.004
    assert chosen.startswith("vgg6: heads on augmented images for 200 epochs; vgg16: heads on augmented images")
    assert "fewer filters" not in text


def test_of_a_run_that_can_be_judged_stands_what_does_not_hold_and_what_cannot_be():
    made = tables("vgg6")
    made.layers[5]["cluster_size"] = 2.3
    made.layers[4]["silent_filters"] = 60
    text = comparison_text({"six": made.run()}, {})
    *_, remarks, chosen = cells(text, "`six` | 9")
    assert chosen == "heads on augmented images for 200 epochs"
    parts = dict(part.split(": ", 1) for part in remarks.split("; "))
    assert parts["`size.vgg6`"] == "0.1 too low"
    assert parts["`noise.falls.vgg6`"] == "layer 4: 60 of 512 filters are silent or faded"
    assert parts["`bias.removed.vgg6`"] == "trained without output biases"
    assert parts["`validation.vgg6`"] == "0 training images held out, 10000 needed"
    assert len(parts) == 4
    short = tables("vgg6", epochs_scale=0.1)
    assert cells(comparison_text({"short": short.run()}, {}), "`short` | 0")[-2:] == [
        "",
        "heads on augmented images for 20 epochs",
    ]


def test_what_untrained_networks_would_show_stands_beside_claims_of_several_runs():
    runs = {"deep": tables("vgg16").run(), "flat": tables("vgg6").run()}
    untrained = {name: tables(run.params.arch) for name, run in runs.items()}
    untrained["deep"].layers[13]["cluster_size"], untrained["flat"].layers[5]["cluster_size"] = 5.0, 2.0
    controls = {name: made.run() for name, made in untrained.items()}
    shown = cells(comparison_text(runs, controls), "`size.order.vgg6`")
    assert (shown[4], shown[7]) == ("3", "no")  # 3 [2.3, 3.7]: it would hold of them, too
    shown = cells(comparison_text(runs, {"deep": controls["deep"]}), "`size.order.vgg6`")
    assert (shown[4], shown[7]) == ("–", "no control")


def test_diluted_networks_stand_beside_their_parents():
    fewer = tables("vgg14_l13_350")
    fewer.accuracies = {0: 0.93, 1: 0.93}
    text = comparison_text({"whole": tables("vgg14").run(), "fewer": fewer.run(), "alone": tables("vgg6").run()}, {})
    assert cells(text, "vgg14_l13_350 | 1") == [
        *("vgg14_l13_350", "1", "0.9300 ± 0.0000", "vgg14", "0.9400 ± 0.0000"),
        *("0.01 [0.01, 0.01]", "0", "does not hold", "0.005 too high"),
    ]
    assert cells(text, "`dilute.trained.350.layer13`")[5:7] == ["does not hold", "0.005 too high"]
    short = [tables(arch, epochs_scale=0.1).run() for arch in ("vgg14", "vgg14_l13_350")]
    text = comparison_text(dict(zip(("whole", "fewer"), short, strict=True)), {})
    assert cells(text, "vgg14_l13_350 | 0.1")[-2:] == ["not comparable", "shortened run: 0.1 of the epochs"]


def test_records_are_compared_and_older_ones_left_out(capsys):
    write(tables())
    write(tables("vgg6"))
    older = RECORDS / "older"
    older.mkdir()
    (RECORDS / ".half.partial").mkdir()
    capsys.readouterr()
    compare()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{older} is left out: it has no params.yaml")
    assert lines[1] == "compared: cifar10-vgg16-1, cifar10-vgg6-1; see metrics/comparison.md"
    table = pd.read_csv("metrics/comparison.csv")
    assert table["record"].unique().tolist() == ["cifar10-vgg16-1", "cifar10-vgg6-1"]
    first = Path("metrics/comparison.md").read_bytes(), Path("metrics/comparison.csv").read_bytes()
    compare()
    assert first == (Path("metrics/comparison.md").read_bytes(), Path("metrics/comparison.csv").read_bytes())


def test_a_comparison_without_records_has_the_papers_numbers():
    compare()
    text = Path("metrics/comparison.md").read_text(encoding="utf-8")
    assert cells(text, "avgg16 | the paper")[4] == "0.955"
    assert pd.read_csv("metrics/comparison.csv").empty


def test_a_record_that_is_not_whole_is_refused():
    write(tables())
    with replacing(RECORDS / NAME / "layers.csv") as path:
        path.write_text("layer\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"cifar10-vgg16-1/layers\.csv"):
        compare()


# ---- What the project holds


def test_recorded_claims_and_summaries_are_what_the_code_makes_of_the_tables():
    for folder in sorted([*(ROOT / RECORDS).glob("*/"), *(ROOT / CONTROLS).glob("*/")]):
        if not (folder / "params.yaml").exists():
            continue
        run = read_record(folder)
        with contextlib.chdir(ROOT):
            judged = judge(run, read_control(run.params.dataset, run.params.arch))
        written = pd.read_csv(folder / "claims.csv", keep_default_na=False, dtype=str)
        as_written = pd.read_csv(StringIO(judged.to_csv(index=False)), keep_default_na=False, dtype=str)
        numbers = ["measured", "low", "high", "control", "null"]
        for table in (written, as_written):
            table[numbers] = table[numbers].replace("", "nan").astype(float)
        pd.testing.assert_frame_equal(written, as_written, rtol=1e-4, atol=1e-5, obj=str(folder))
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        assert summary.pop("claims") == summarise_claims(judged), folder
        for key, expected in summarise(run.layers, run.last_epochs).items():
            assert summary.pop(key) == pytest.approx(expected, rel=1e-4), (folder, key)
        assert not summary, folder


def test_every_record_has_all_parameters_so_that_its_command_runs():
    """DVC stops at a stage of which a parameter is missing, even where the library would have a default."""
    expected = load_yaml((ROOT / "params.yaml").read_text("utf-8")).keys()
    for file in [*(ROOT / RECORDS).glob("*/params.yaml"), *(ROOT / CONTROLS).glob("*/params.yaml")]:
        assert load_yaml(file.read_text("utf-8")).keys() == expected, file


def test_the_controls_are_untrained():
    for folder in sorted((ROOT / CONTROLS).glob("*/")):
        params = read_record(folder).params
        assert (folder.name, params.chosen_arch.backbone.is_trained) == (f"{params.dataset}-{params.arch}", False)


def test_what_holds_by_construction_holds_in_every_record_and_of_every_control():
    rules = {claim.id: claim.rule for claim in CLAIMS}
    for file in [*(ROOT / RECORDS).glob("*/claims.csv"), *(ROOT / CONTROLS).glob("*/claims.csv")]:
        table = pd.read_csv(file)
        table = table[table["construction"].notna() & table["measured"].notna()]
        for name, value in zip(table["id"], table["measured"], strict=True):
            assert rules[name].allows(Number(value)), (file, name)
        assert "False" not in {*table["control_holds"].astype(str)}, file


def test_the_readme_holds_the_tables_of_networks_and_layers():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = readme.split("<!-- comparison -->\n")[1].split("<!-- /comparison -->")[0].strip().splitlines()
    comparison = (ROOT / "metrics/comparison.md").read_text(encoding="utf-8").splitlines()
    assert len(shown) > 9
    assert set(shown) <= set(comparison)  # which may have further records of the reader's own


def test_recorded_controls_stand_beside_recorded_runs():
    control = tables()
    control.values["archs"]["vgg16"]["backbone"]["epochs"] = 0
    control.layers[13]["noise"] = 18.0
    write(control, "--control")
    write(tables())
    compare()
    counts = cells(Path("metrics/comparison.md").read_text(encoding="utf-8"), f"`{NAME}` | 49")
    assert int(counts[4]) > 0 and int(counts[5]) < 49  # beyond their controls, and without one
