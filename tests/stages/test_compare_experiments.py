"""The list of experiments, in a repository whose stages have been left out: `dvc exp save` keeps what is there."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dvc.repo import Repo
from ruamel.yaml import YAML

from singlefilter.pipeline.errors import InputError
from stages.compare_experiments import HEADINGS, changes, describe, read_catalog, read_experiments
from tests.tiny_project import Place, own_environment

ROOT = Path(__file__).resolve().parents[2]
DVC_YAML = """\
stages:
  numbers:
    cmd: "true"
    params:
      - params.yaml:
      - catalog.yaml:
          - archs.${arch}
    metrics:
      - metrics/summary.json: {cache: false}
"""


@pytest.fixture
def project(tmp_path):
    """A commit with two experiments, and a later commit without."""
    environment = own_environment(tmp_path / "settings")
    names = {"NAME": "Someone", "EMAIL": "someone@example.org"}
    environment |= {f"GIT_{who}_{key}": value for who in ("AUTHOR", "COMMITTER") for key, value in names.items()}
    folder = tmp_path / "project"
    shutil.copytree(ROOT / "stages", folder / "stages", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "src").symlink_to(ROOT / "src")
    for name in ("params.yaml", "catalog.yaml"):
        shutil.copy(ROOT / name, folder)
    (folder / "metrics").mkdir()
    (folder / "dvc.yaml").write_text(DVC_YAML, encoding="utf-8")
    (folder / ".gitignore").write_text("/src\n/stages\n/logs\n", encoding="utf-8")

    def call(*command: str) -> subprocess.CompletedProcess:
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, encoding="utf-8")

    def commit(message: str) -> None:
        for command in (("git", "add", "."), ("git", "commit", "-q", "-m", message)):
            assert call(*command).returncode == 0

    def python(*arguments: str) -> subprocess.CompletedProcess:
        return call(sys.executable, "-m", *arguments)

    call("git", "init", "--quiet", "--initial-branch", "trunk")
    write(folder, {"dataset": "digits", "arch": "vgg16", "seeds": [0], "epochs_scale": 0.05}, 0.99, 0.98, 5.859, 1.06)
    assert python("dvc", "init", "--quiet").returncode == 0
    assert python("dvc", "commit", "--quiet", "--force").returncode == 0
    commit("First")
    write(folder, {"arch": "vgg16_l11to13_350", "seeds": [0, 1, 2, 3]}, 0.9512, 0.9487, 12.345, 1.2)
    saved = python("dvc", "exp", "save", "--force", "--name", "unshorn-jabs")
    assert saved.returncode == 0, saved.stderr
    write(folder, {"dataset": "cifar100", "arch": "mine", "seeds": [7], "epochs_scale": 0.5}, 0.7, None, 3, 2)
    assert python("dvc", "exp", "save", "--force", "--name", "of-mine").returncode == 0
    call("git", "checkout", "--quiet", ".")
    (folder / "notes.txt").write_text("later\n", encoding="utf-8")
    commit("Second")
    return folder, call, python


def write(folder, params, accuracy, head, noise, clusters):
    """Set parameters, with a row `mine` of archs that leaves its epochs out, and the numbers of the run."""
    yaml = YAML()
    values = yaml.load(folder / "params.yaml")
    values.update(params)
    yaml.dump(values, folder / "params.yaml")
    catalog = yaml.load(folder / "catalog.yaml")
    backbone = {"convolutions": [4], "convolutional_rates": {"learning_rate": 0.01}}
    catalog["archs"]["mine"] = {"backbone": backbone, "examined_layers": [1], "heads": {}}
    yaml.dump(catalog, folder / "catalog.yaml")
    last = {"accuracy": head, "noise": noise, "clusters": clusters}
    summary = {"accuracy": accuracy, "last_layer": last}
    (folder / "metrics/summary.json").write_text(json.dumps(summary), encoding="utf-8")


def test_experiments_of_an_earlier_commit_are_listed_within_100_columns(project):
    _, call, python = project
    commit = call("git", "rev-parse", "--short=7", "HEAD~1").stdout.strip()
    ended = python("stages.compare_experiments")
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    assert max(len(line) for line in lines[1:]) <= 100
    assert [line.split() for line in lines[:3]] == [
        ["name", "dataset", "arch", "epochs", "seeds", "accuracy", "head", "noise", "clusters", "state", "changed"],
        ["workspace", "digits", "vgg16", "10", "0", "0.9900", "0.9800", "5.86", "1.06"],
        ["trunk", "digits", "vgg16", "10", "0", "0.9900", "0.9800", "5.86", "1.06"],
    ]
    assert lines[3].split() == [commit, *lines[2].split()[1:]]
    assert sorted(line.split() for line in lines[4:6]) == [
        ["of-mine", "cifar100", "mine", "100", "7", "0.7000", "–", "3.00", "2.00"],
        ["unshorn-jabs", "digits", "vgg16_l11to13_350", "10", "0,1,2,3", "0.9512", "0.9487", "12.35", "1.20"],
    ]
    assert lines[4].startswith("  ") and not lines[3].startswith(" ")
    legend = [line.partition(":")[0] for line in lines[6:] if not line.startswith(" ")]
    assert legend == ["accuracy, head", "noise, clusters", "state", "changed"]


def test_changed_parameters_without_a_column_are_named(project):
    folder, _, python = project
    write(folder, {"threshold": 0.4, "dilution": {"other_layers": [10], "retrain_heads": True}}, 0.99, 0.98, 4, 1)
    # The latter is not of the chosen row.
    rates = {"archs.vgg16.heads.learning_rate": 0.05, "archs.vgg6.heads.learning_rate": 0.07}
    Place(folder, {}).set_params(rates)
    assert python("dvc", "exp", "save", "--force", "--name", "changed").returncode == 0
    ended = python("stages.compare_experiments")
    assert (ended.returncode, ended.stderr) == (0, "")
    rows = {line.split()[0]: " ".join(line.split()[9:]) for line in ended.stdout.splitlines()}
    expected = "dilution.other_layers=…, dilution.retrain_heads=True, heads.learning_rate=0.05, threshold=0.4"
    assert ", ".join(sorted(rows["changed"].split(", "))) == expected
    assert rows["workspace"] == rows["changed"]
    assert rows["trunk"] == rows["of-mine"] == rows["unshorn-jabs"] == ""


def test_what_is_changed_in_a_row_that_the_commit_has_but_not_chosen_is_named(project):
    folder, call, python = project
    place = Place(folder, {})
    row = {"heads.learning_rate": 0.05, "examined_layers": [4, 5], "backbone.output_bias": True}
    place.set_params({f"archs.vgg6.{key}": value for key, value in row.items()})
    for arch, name in (("vgg6", "all-three"), ("vgg16", "of-another-row")):
        place.set_params({"arch": arch})
        assert python("dvc", "exp", "save", "--force", "--name", name).returncode == 0
    assert call("git", "checkout", "--quiet", "catalog.yaml", "params.yaml").returncode == 0
    place.set_params({"arch": "vgg6"})
    assert python("dvc", "exp", "save", "--force", "--name", "as-committed").returncode == 0
    ended = python("stages.compare_experiments")
    assert (ended.returncode, ended.stderr) == (0, "")
    rows = {line.split()[0]: " ".join(line.split()[9:]) for line in ended.stdout.splitlines()}
    expected = "backbone.output_bias=True, examined_layers=…, heads.learning_rate=0.05"
    assert ", ".join(sorted(rows["all-three"].split(", "))) == expected
    assert rows["of-another-row"] == rows["as-committed"] == ""


@pytest.mark.parametrize("content", [None, b"", b"[]", b"archs:\n", b"archs: []\n", b"\xff", b"a: &b 1\n"])
def test_of_a_commit_without_such_a_table_nothing_is_named(content, tmp_path, monkeypatch):
    """In a project that is a folder of a repository, whose root has a table of its own."""
    environment = own_environment(tmp_path / "settings")
    (tmp_path / "project").mkdir()
    (tmp_path / "catalog.yaml").write_text("archs: {vgg6: {heads: {epochs: 1}}}\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path / "project")
    Path("notes.txt").touch()
    if content is not None:
        Path("catalog.yaml").write_bytes(content)
    names = ["-c", "user.name=Someone", "-c", "user.email=someone@example.org"]
    for command in (["init", "--quiet"], ["add", "--all"], [*names, "commit", "--quiet", "--message", "All"]):
        subprocess.run(["git", *command], cwd=tmp_path, env=environment, check=True)
    commit = {"catalog": read_catalog("HEAD")}
    assert [*changes({"arch": "vgg6", "archs.vgg6.heads.epochs": 2.0}, commit)] == []
    Path("catalog.yaml").write_text("archs: {vgg6: {heads: {epochs: 3}}}\n", encoding="utf-8")
    subprocess.run(["git", "add", "--all"], env=environment, check=True)
    subprocess.run(["git", *names, "commit", "--quiet", "--message", "Rows"], env=environment, check=True)
    commit = {"catalog": read_catalog("HEAD")}
    assert [*changes({"arch": "vgg6", "archs.vgg6.heads.epochs": 2.0}, commit)] == ["heads.epochs=2"]
    assert [*changes({"arch": "vgg6", "archs.vgg6.heads.epochs": 3.0}, commit)] == []


def test_an_experiment_is_set_beside_its_own_commit_not_the_last(project):
    folder, call, python = project
    write(folder, {"threshold": 0.5}, 0.99, 0.98, 4, 1)
    assert call("git", "commit", "--quiet", "--all", "--message", "Third").returncode == 0
    ended = python("stages.compare_experiments")
    assert (ended.returncode, ended.stderr) == (0, "")
    rows = {line.split()[0]: line for line in ended.stdout.splitlines()}
    assert not any("threshold" in rows[name] for name in ("workspace", "trunk", "of-mine", "unshorn-jabs"))


def test_a_sweep_that_holds_dvcs_lock_keeps_nothing_from_being_listed(project):
    folder, _, python = project
    with Repo(str(folder)) as repo, repo.lock:
        ended = python("stages.compare_experiments")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "unshorn-jabs" in ended.stdout


@pytest.mark.parametrize(
    "state, shown", [("Running", ["–", "running"]), ("Success", ["0.9900", ""]), (None, ["0.9900", ""])]
)
def test_of_an_experiment_that_runs_the_numbers_of_its_commit_are_not_shown(state, shown):
    found = {"typ": "branch_commit", "rev": "1234567", "Experiment": "unshorn-jabs", "State": state, "accuracy": 0.99}
    row = dict(zip(HEADINGS, describe(found, found), strict=True))
    assert [row["accuracy"], row["state"]] == shown


def test_where_nothing_is_committed_one_line_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command in (["git", "init", "--quiet"], [sys.executable, "-m", "dvc", "init", "--quiet"]):
        subprocess.run(command, check=True)
    with pytest.raises(InputError, match="Empty git repo"):
        read_experiments()


def test_where_there_is_no_dvc_one_line_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="^you are not inside of a DVC repository"):
        read_experiments()
