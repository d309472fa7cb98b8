"""The real chain, in temporary copies of this tree with a tiny data set and a tiny network."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import pandas as pd
import pytest

from singlefilter.pipeline.params_files import load_params
from stages import (
    cluster_stats,
    dilute_filters,
    explorer,
    extract_features,
    figures,
    filter_images,
    filter_matrices,
    run,
    train_backbone,
    train_heads,
)
from tests.hdf5_files import edited
from tests.test_dependencies import PARAMS, ROOT, leaves, params_of
from tests.tiny_project import ARCH, DATASET, Ended, Place, make_place, own_environment

pytestmark = pytest.mark.chain

DILUTION_ON = ["dilute_filters@0", "cluster_stats", "figures", "explorer"]
HEADS_ON = ["train_heads@0", "filter_matrices@0", "filter_images@0", *DILUTION_ON]
ALL = ["check_params", "download", "train_backbone@0", "extract_features@0", *HEADS_ON, "compare_runs", "vega"]
SAMPLE_1 = [stage.replace("@0", "@1") for stage in ALL if "@0" in stage]

# Every parameter with another value: whoever reads one that its stage does not depend on makes another file.
OTHER_RATES = {"learning_rate": 0.02, "momentum": 0.5, "weight_decay": 0.1, "decay": []}
OTHER = {
    "seeds": [0, 5],
    "epochs_scale": 0.2,
    "precision": "float32",
    "threshold": 0.7,
    "validation": {"images": 8, "seed": 1},
    "features": {"pooled": True, "streamed_layers": [2]},
    "dilution": {"other_layers": [2], "retrain_heads": False},
    "figures": {"dpi": 70, "font_size": 12, "colormap": "gray"},
    "explorer": {"images": 3},
    "datasets.tiny.source": "digits",
    "datasets.tiny.image_size": 16,
    "datasets.tiny.flip": True,
    "datasets.tiny.translation": 3,
    "archs.tiny.backbone": {
        "convolutions": [3, "M", 5, 7],
        "fully_connected": [5],
        "activation": "none",
        "output_bias": True,
        "epochs": 50,
        "batch_size": 5,
        "convolutional_rates": OTHER_RATES,
        "fully_connected_rates": OTHER_RATES,
    },
    "archs.tiny.examined_layers": [2],
    "archs.tiny.heads.epochs": 50,
    "archs.tiny.heads.batch_size": 5,
    "archs.tiny.heads.images": "plain",
    "archs.tiny.heads.learning_rate": 0.02,
    "archs.tiny.heads.momentum": 0.5,
    "archs.tiny.heads.weight_decay": 0.1,
    "archs.tiny.heads.decay": [],
}


OTHER_ROWS = {
    "archs.vgg6.backbone.epochs": 100,
    "archs.vgg6.heads.learning_rate": 0.01,
    "archs.vgg6.examined_layers": [5],
    "datasets.digits.image_size": 28,
}
TINY_ROWS = {"datasets": {"tiny": DATASET}, "archs": {"tiny": ARCH}}


def side_by_side(function: Callable[[Any], Any], cases: Iterable[Any]) -> dict[Any, Any]:
    """Each case with the function's result, two at a time: a stage spends most of its time on importing."""
    cases = list(cases)
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(cases, pool.map(function, cases), strict=True))


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return own_environment(tmp_path_factory.mktemp("dvc"))


@pytest.fixture(scope="session")
def chains(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> tuple[Place, Place, list[Ended]]:
    """Two folders with the whole chain's outs: from `dvc repro`, and from the stages run one by one, without DVC.

    The second has another environment, and each stage gets parameters of which only those are right that it depends on.
    """
    folder = tmp_path_factory.mktemp("chains")
    with_dvc = make_place(folder / "with_dvc", environment | {"PYTHONHASHSEED": "1", "TZ": "UTC", "LC_ALL": "C.UTF-8"})
    (folder / "without_dvc").mkdir()
    (folder / "without_dvc/dvc.py").write_text("raise ImportError('DVC is not installed')\n", encoding="utf-8")
    (folder / "without_dvc/matplotlibrc").write_text("font.size: 30\naxes.facecolor: red\n", encoding="utf-8")
    other_environment = {
        "PYTHONHASHSEED": "2",
        "TZ": "Pacific/Kiritimati",
        "LC_ALL": "C",
        "LANG": "tr_TR.UTF-8",
        "USER": "someone",
        "HOME": str(folder),
        "MATPLOTLIBRC": str(folder / "without_dvc/matplotlibrc"),
    }
    without_dvc = make_place(folder / "without_dvc", environment | other_environment)

    def make(place: Place) -> list[Ended]:
        return [place.dvc("repro")] if place is with_dvc else run_one_by_one(place)

    with ThreadPoolExecutor(2) as pool:
        (repro,), alone = pool.map(make, (with_dvc, without_dvc))
    assert repro.code == 0, repro.output
    assert sorted(repro.ran) == sorted(ALL)
    return with_dvc, without_dvc, alone


def run_one_by_one(place: Place) -> list[Ended]:
    right = {name: (place.folder / name).read_bytes() for name in ("params.yaml", "catalog.yaml")}
    ended = []
    for name, stage in place.stages().items():
        for file, content in right.items():
            (place.folder / file).write_bytes(content)
        place.set_params(all_but(name))
        seed = ["--seed", "0"] if "matrix" in stage else []
        ended.append(place.python(f"stages.{name}", *seed, umask=0o077))
    return ended


def all_but(stage: str) -> dict[str, Any]:
    """Other values for all parameters but those that a stage depends on."""
    if stage == "check_params":  # on all
        return {}
    declared = params_of(stage, "tiny", "tiny")
    return {key: value for key, value in OTHER.items() if not any(f"{key}.".startswith(f"{row}.") for row in declared)}


@pytest.fixture(scope="session")
def finished(chains: tuple[Place, Place, list[Ended]]) -> Place:
    """The folder in which `dvc repro` has run; tests work on copies of it."""
    return chains[0]


def test_the_outs_are_the_same_bytes_in_another_folder_and_environment_without_dvc(chains):
    with_dvc, without_dvc, alone = chains
    assert [ended.code for ended in alone] == [0] * len(ALL), alone
    outs = with_dvc.outs()
    suffixes = {".txt", ".h5", ".csv", ".json", ".md", ".png", ".svg", ".js", ".html"}
    assert {Path(out).suffix for out in outs} == suffixes
    assert without_dvc.digests(outs) == with_dvc.digests(outs)


def test_a_second_repro_runs_nothing_even_where_unchanged_files_were_touched(finished, tmp_path):
    place = finished.copied(tmp_path / "project")
    for file in [*place.folder.glob("data/images/tiny/train/*/*"), place.folder / "stages/train_backbone.py"]:
        os.utime(file, (1, 1))
    second = place.dvc("repro")
    assert (second.code, second.ran) == (0, []), second.output
    assert place.everything() == finished.everything()


# What is changed, what is then asked of dvc repro, and the stages that run beside check_params.
CHANGES: dict[str, tuple[Callable[[Place], None], list[str], list[str]]] = {
    name: (partial(Place.set_params, changes=changes), [], expected)
    for name, changes, expected in [
        ("the heads' learning rate", {"archs.tiny.heads.learning_rate": 0.01}, HEADS_ON),
        ("images of filters", {"explorer.images": 3}, ["filter_images@0", "explorer"]),
        ("one more seed", {"seeds": [0, 1]}, [*SAMPLE_1, "cluster_stats", "figures", "explorer"]),
    ]
} | {
    "a new image": (Place.add_image, ["train_backbone@0"], ["download", "train_backbone@0"]),
    "a module, of another network": (lambda place: (place.folder / "networks/new.py").touch(), [], []),
}


@pytest.fixture(scope="session")
def changed(finished: Place, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Place, Ended, Ended]]:
    """For each change: its own copy, `dvc repro` after the change, and `dvc repro` after going back."""
    folder = tmp_path_factory.mktemp("changed")

    def repro_twice(name: str) -> tuple[Place, Ended, Ended]:
        place = finished.copied(folder / name.replace(" ", "_"))
        change, targets, _ = CHANGES[name]
        change(place)
        there = place.dvc("repro", *targets)
        place.undo(finished)
        return place, there, place.dvc("repro")

    return side_by_side(repro_twice, CHANGES)


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_reruns_what_depends_on_it_and_nothing_else(changed, name):
    _, there, _ = changed[name]
    expected = CHANGES[name][2]
    if name != "a new image":
        expected = ["check_params", *expected]
    assert (there.code, sorted(there.ran)) == (0, sorted(expected)), there.output


@pytest.mark.parametrize("name", CHANGES)
def test_going_back_restores_the_earlier_outs_from_the_cache(changed, finished, name):
    place, _, back = changed[name]
    may_run = {"check_params"}  # it takes a second
    if name == "one more seed":  # the folders that the aggregates read still hold the other sample's files
        may_run |= {"cluster_stats", "figures", "explorer"}
    assert back.code == 0 and set(back.ran) <= may_run, back.output
    outs = finished.outs()
    assert place.digests(outs) == finished.digests(outs)


OWN_MODULE = """
from torch import nn


def make_network(labels, image_size):
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * (image_size - 2) ** 2, labels))
"""


def test_an_edit_of_the_chosen_module_runs_its_stages_again(finished, tmp_path):
    place = finished.copied(tmp_path / "project")
    module = place.folder / "networks/mine.py"
    module.write_text(OWN_MODULE, encoding="utf-8")
    backbone = {"module": "networks/mine.py:make_network", "convolutional_rates": {"learning_rate": 0.01}}
    row = {"backbone": backbone, "examined_layers": [1, 2], "heads": {}}
    place.set_params({"archs.mine": row, "arch": "mine"})
    begun = ["check_params", "train_backbone@0"]
    assert place.dvc("repro", "train_backbone@0").ran == begun
    module.write_text(f"{OWN_MODULE}# other\n", encoding="utf-8")
    refused = place.dvc("repro", "--single-item", "--force", "train_backbone@0")
    assert "networks/ is not as check_params found it: networks/mine.py; run dvc repro, by which" in refused.output
    assert place.dvc("repro", "train_backbone@0").ran == begun
    module.write_text(OWN_MODULE, encoding="utf-8")
    assert place.dvc("repro", "train_backbone@0").ran == ["check_params"]


# Of the changes in each line of standard input, as JSON: the keys that DVC finds changed, each with its stage.
ASK_DVC = """
import json, sys
from dvc.dependency import ParamsDependency
from dvc.repo import Repo
from tests.tiny_project import Place
from pathlib import Path
place = Place(Path.cwd(), {})
files = [place.folder / name for name in ("params.yaml", "catalog.yaml")]
before = [file.read_bytes() for file in files]
for line in sys.stdin:
    place.set_params(json.loads(line))
    deps = [(stage.name, dep) for stage in Repo().index.stages for dep in stage.deps]
    changed = [
        (key, stage)
        for stage, dep in deps
        if isinstance(dep, ParamsDependency) or dep.def_path == "catalog.yaml"
        for keys in dep.status().values()
        for key in (keys if isinstance(keys, dict) else [dep.def_path])
    ]
    print(json.dumps(changed))
    for file, content in zip(files, before):
        file.write_bytes(content)
"""


def test_every_parameter_that_changes_makes_a_stage_run_again_and_those_of_other_rows_none(finished, tmp_path):
    place = finished.copied(tmp_path / "project")
    names, others = {"dataset": "digits", "arch": "vgg6"}, leaves_of(OTHER)
    ours = r"(datasets|archs)\.tiny\.|(?!datasets|archs)"
    assert {*names, *others} == {key for key in leaves(PARAMS | TINY_ROWS) if re.match(ours, key)}
    # The rows that dataset and arch name are other keys, so each of these is changed alone.
    asked = [others, *({key: value} for key, value in names.items()), OTHER_ROWS]
    done = subprocess.run(
        [sys.executable, "-c", ASK_DVC],
        cwd=place.folder,
        env={**place.environment, "PYTHONPATH": str(ROOT)},
        input="".join(json.dumps(change) + "\n" for change in asked),
        capture_output=True,
        encoding="utf-8",
    )
    *answers, of_other_rows = map(json.loads, done.stdout.splitlines())
    assert {stage for _, stage in of_other_rows} == {"check_params"}, done.stderr
    changed = {key for answer in answers for key, stage in answer if stage != "check_params"}
    unseen = [key for key in {*names, *others} if not any(f"{key}.".startswith(f"{seen}.") for seen in changed)]
    assert len(answers) == 3 and unseen == []


def leaves_of(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values that are no mappings, by their dotted keys."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= leaves_of(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


# A change of params.yaml, and what the refusal says: key, value, what is allowed.
REFUSED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "unknown data set": ({"dataset": "digit"}, ["dataset: 'digit'", "did you mean digits?", "cifar10, cifar100, tiny"]),
    "unknown architecture": ({"arch": "vgg61"}, ["arch: 'vgg61'", "did you mean vgg6?", "vgg16, vgg6, avgg16"]),
    "wrong types and numbers out of range": (
        {
            "epochs_scale": "fast",
            "figures.dpi": "150",
            "archs.vgg6.backbone.output_bias": 3,
            "seeds": ["a"],
            "threshold": 1.5,
            "archs.tiny.heads.learning_rate": -0.1,
            "precision": "bf8",
        },
        [
            'epochs_scale: is "fast"; must be a valid number',
            'figures.dpi: is "150"; must be a valid integer',
            "archs.vgg6.backbone.output_bias: is 3; must be true or false",
            'seeds.0: is "a"; must be a valid integer',
            "threshold: is 1.5; must be above 0 and below 1",
            "archs.tiny.heads.learning_rate: is -0.1; must be greater than or equal to 0",
            "precision: is \"bf8\"; must be 'bf16' or 'float32'",
        ],
    ),
    "no seeds": ({"seeds": []}, ["seeds: is []", "at least 1"]),
    "a seed twice": ({"seeds": [0, 0]}, ["seeds: [0, 0] repeats a seed"]),
    "a layer that is not there": (
        {"archs.tiny.examined_layers": [1, 3]},
        ["archs.tiny.examined_layers: the network has no layer 3; allowed are 1 to 2"],
    ),
    "pools that do not fit": (
        {"archs.tiny.backbone.convolutions": [4, "A4", 6, "A4"]},
        ["archs.tiny.backbone.convolutions: the pool A4 at place 4 needs 4 pixels per side, and 2 are left"],
    ),
}

# What DVC itself refuses while it reads dvc.yaml, before a stage can say more. It does not always name the key.
REFUSED_BY_DVC: dict[str, tuple[dict[str, Any], list[str]]] = {
    "seeds no list": ({"seeds": 0}, ["'Value' object is not iterable"]),
    "seeds nested": ({"seeds": [[0]]}, ["stages.train_backbone@seed0.cmd", "Cannot interpolate data of type 'list'"]),
}


@pytest.fixture(scope="session")
def refused(finished: Place, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Ended, set[str]]]:
    """For each refusal: `dvc repro`, and the files that differ from before."""
    folder = tmp_path_factory.mktemp("refused")

    def repro(name: str) -> tuple[Ended, set[str]]:
        place = finished.copied(folder / name.replace(" ", "_"))
        place.set_params((REFUSED | REFUSED_BY_DVC)[name][0])
        ended = place.dvc("repro")
        return ended, {file for file, _ in place.everything().items() ^ finished.everything().items()}

    return side_by_side(repro, REFUSED | REFUSED_BY_DVC)


@pytest.mark.parametrize("name", REFUSED | REFUSED_BY_DVC)
def test_bad_input_is_refused_and_all_outs_stay_as_they_are(refused, name):
    ended, different = refused[name]
    for part in (REFUSED | REFUSED_BY_DVC)[name][1]:
        assert part in ended.output
    assert ended.code != 0
    assert "Traceback" not in ended.output
    assert ended.ran == (["check_params"] if name in REFUSED else [])
    assert different <= {"params.yaml", "catalog.yaml"}


def test_what_dvc_refuses_without_naming_it_check_params_names(finished, tmp_path):
    place = finished.copied(tmp_path / "project")
    place.set_params({"seeds": 0})
    ended = place.python("stages.check_params")
    assert ended == Ended(1, "check_params: params.yaml: seeds: is 0; must be a list in square brackets\n")


@pytest.mark.parametrize(
    ("stage", "missing", "made_by"),
    [
        (train_backbone, "data/dataset.h5", "download"),
        (extract_features, "data/dataset.h5", "download"),
        (train_heads, "data/dataset.h5", "download"),
        (filter_matrices, "models/heads/seed0.h5", "train_heads@0"),
        (dilute_filters, "models/heads/seed0.h5", "train_heads@0"),
        (cluster_stats, "metrics/history/seed0.csv", "train_backbone@0"),
        (filter_images, "models/heads/seed0.h5", "train_heads@0"),
        (figures, "metrics/claims.csv", "cluster_stats"),
        (explorer, "metrics/filters/seed0.h5", "filter_matrices@0"),
    ],
)
def test_a_stage_without_its_input_says_what_to_do(stage, missing, made_by, tmp_path, environment, monkeypatch):
    make_place(tmp_path, environment)
    name = stage.__name__.removeprefix("stages.")
    per_sample = name not in ("cluster_stats", "figures", "explorer")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [f"stages/{name}.py", *(["--seed", "0"] if per_sample else [])])
    with pytest.raises(SystemExit) as refusal:
        run(stage.main, per_sample)
    message = str(refusal.value)
    assert message.startswith(f"{name}: {missing} is missing")
    assert (
        f". Make it again, with all that it is made from: dvc repro {made_by}; if this message comes again, " in message
    )
    assert "\n" not in message


def test_the_training_so_far_is_in_the_log_and_at_the_end_all_of_it(finished):
    live, history = (finished.folder / f"{folder}/seed0.csv" for folder in ("logs/training", "metrics/history"))
    assert live.read_bytes() == history.read_bytes()


def test_dilution_begins_with_exactly_the_heads_success_rate(finished):
    table = pd.read_csv(finished.folder / "metrics/dilution/seed0.csv")
    with h5py.File(finished.folder / "models/heads/seed0.h5") as file:
        heads = {layer: file[f"layer{layer}"].attrs["test_accuracy"] for layer in (1, 2)}
    whole = table[table["kind"].isin(["none", "random"]) & (table["removed_filters"] == 0)]
    assert whole["layer"].tolist() == [1, 1, 2, 2]
    assert whole["accuracy"].tolist() == [heads[1], heads[1], heads[2], heads[2]]


def follow(place: Place, refusal: Ended, advice: str) -> Ended:
    """Do what an error advises; it must be there in these words."""
    assert refusal.code != 0 and advice in refusal.output, refusal.output
    followed = place.dvc(*advice.split()[1:])
    assert followed.code == 0, followed.output
    return followed


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-9] ^= 255
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "refused_by", "advice", "heals"),
    [
        (
            lambda folder: damage(folder / "models/heads/seed0.h5"),
            ["dilute_filters", "--seed", "0"],
            "dvc repro train_heads@0",
            "models/heads/seed0.h5",
        ),
        (
            lambda folder: (folder / "metrics/history/seed0.csv").unlink(),
            ["cluster_stats"],
            "dvc repro train_backbone@0",
            "metrics/history/seed0.csv",
        ),
        (
            lambda folder: (folder / "metrics/filters.csv").write_text(
                (folder / "metrics/filters.csv").read_text(encoding="utf-8").replace("\n0,2,", "\n0,3,"), "utf-8"
            ),
            ["figures"],
            "dvc repro cluster_stats",
            "metrics/filters.csv",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_made_again_as_advised(finished, tmp_path, spoil, refused_by, advice, heals):
    copy = finished.copied(tmp_path / "project")
    place = replace(copy, environment=finished.environment)  # with as many threads, since bytes are compared
    spoil(place.folder)
    stage, *seed = refused_by
    follow(place, place.python(f"stages.{stage}", *seed), advice)
    assert place.digests([heals]) == finished.digests([heals])
    assert place.python(f"stages.{stage}", *seed).code == 0


def test_a_data_set_that_was_deleted_for_a_source_that_is_refused_comes_back_as_advised(finished, tmp_path):
    place = finished.copied(tmp_path / "project")
    (place.folder / "data/images/tiny/train/green/new.png").write_text("no image")
    follow(place, place.dvc("repro"), "dvc checkout download")
    outs = ["data/dataset.h5", "data/image_names.csv"]
    assert place.digests(outs) == finished.digests(outs)


def test_a_key_that_is_missing_is_written_as_advised(finished, tmp_path):
    place = finished.copied(tmp_path / "project")
    path = place.folder / "params.yaml"
    path.write_text(re.sub("(?m)^threshold: .*\n", "", path.read_text(encoding="utf-8")), encoding="utf-8")
    refused = place.python("stages.check_params")
    assert "dvc exp run -S 'params.yaml:+threshold=…'" in refused.output
    place.commit()
    written = place.dvc("exp", "run", "-S", "params.yaml:+threshold=0.3")
    assert (written.code, written.ran) == (0, []), written.output  # it is what it was
    assert load_params(path).threshold == 0.3


def test_images_held_out_are_held_out_though_the_run_cache_knows_the_stage(finished, tmp_path):
    """DVC's run-cache leaves some keys out of what it compares (treeverse/dvc #10296)."""
    place = finished.copied(tmp_path / "project")
    for count in (8, 6):
        place.set_params({"validation.images": count})
        assert place.dvc("repro", "download").code == 0
        with h5py.File(place.folder / "data/dataset.h5") as file:
            assert len(file["validation/labels"]) == count


def test_the_fields_of_other_heads_are_refused(finished, tmp_path):
    place = finished.copied(tmp_path / "project")
    heads = place.folder / "models/heads/seed0.h5"
    with edited(heads) as file:
        file["layer2/weights"][0, 0, 0] += 1
    ended = place.python("stages.dilute_filters", "--seed", "0")
    assert ended.code == 1
    assert re.fullmatch(
        r"stage 7 of 11: dilute_filters, sample 0 \(1 of 1\)\n"
        r"dilute_filters: metrics/filters/seed0\.h5 is of another run: "
        r"made with models/heads/seed0\.h5 \w{64}, where \w{64} is expected\. "
        r"Make it again, with all that it is made from: dvc repro filter_matrices@0; if this message comes again, "
        r"since DVC was told that the file is right \(dvc commit\): "
        r"dvc repro --force --single-item filter_matrices@0\n",
        ended.output,
    )
    assert place.dvc("commit", "--force", "train_heads@0", "filter_matrices@0").code == 0
    assert follow(place, ended, "dvc repro filter_matrices@0").ran == []
    follow(place, ended, "dvc repro --force --single-item filter_matrices@0")
    assert place.python("stages.dilute_filters", "--seed", "0").code == 0


def test_a_table_that_was_changed_by_hand_is_made_anew(finished, tmp_path):
    place = finished.copied(tmp_path / "project")
    for table in ("metrics/layers.csv", "metrics/dilution/seed0.csv"):
        path = place.folder / table
        path.write_text(path.read_text(encoding="utf-8").replace("0.", "1."), encoding="utf-8")
    ended = place.dvc("repro")
    assert ended.code == 0, ended.output
    assert place.digests(finished.outs()) == finished.digests(finished.outs())


def test_a_refused_command_is_one_line_on_the_terminal(tmp_path, environment):
    ended = make_place(tmp_path, environment).python("stages.train_heads", "--seed", "0")
    assert ended.code == 1
    assert re.fullmatch(
        r"stage 5 of 11: train_heads, sample 0 \(1 of 1\)\ntrain_heads: data/dataset\.h5 is missing\. .+ download\n",
        ended.output,
    )


def test_an_experiment_runs_and_metrics_diff_shows_its_change(finished, tmp_path):
    place = finished.copied(tmp_path / "project")
    place.commit()
    there = place.dvc("exp", "run", "-S", "threshold=0.5")
    assert (there.code, sorted(there.ran)) == (0, sorted(["check_params", *DILUTION_ON])), there.output
    assert load_params(place.folder / "params.yaml").threshold == 0.5

    before, after = (
        json.loads((where.folder / "metrics/summary.json").read_text(encoding="utf-8")) for where in (finished, place)
    )
    assert before.keys() == after.keys() and before != after
    difference = json.loads(place.dvc("metrics", "diff", "--json").output)["metrics/summary.json"]
    assert sorted(difference) == sorted(changed_values(before, after))

    back = place.dvc("exp", "run", "-S", "threshold=0.3")
    assert (back.code, back.ran) == (0, ["check_params"]), back.output
    assert place.digests(finished.outs()) == finished.digests(finished.outs())


def changed_values(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = "") -> list[str]:
    """The dotted keys of the values that differ."""
    changed = []
    for key in before:
        if isinstance(before[key], dict):
            changed += changed_values(before[key], after[key], f"{prefix}{key}.")
        elif before[key] != after[key]:
            changed.append(f"{prefix}{key}")
    return changed
