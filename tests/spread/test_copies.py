"""The parameters of a copy of the project."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.params_files import load_params
from singlefilter.spread import copies
from tests.tiny_project import ROOT, own_environment


def test_a_row_whose_name_is_a_boolean_to_older_readers_of_yaml_stays_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    params, catalog = ((ROOT / name).read_text(encoding="utf-8") for name in ("params.yaml", "catalog.yaml"))
    Path("params.yaml").write_text(params.replace("arch: vgg16", "arch: on"), encoding="utf-8")
    Path("catalog.yaml").write_text(catalog.replace("\n  vgg16:", "\n  on:"), encoding="utf-8")
    assert load_params(Path("params.yaml")).arch == "on"
    Path(".dvc").mkdir()
    Path(".dvc/config").touch()
    listed = {"git": "params.yaml\0catalog.yaml\0.dvc/config\0"}
    monkeypatch.setattr(copies, "_said_by", lambda program, *_: listed.get(program, "cache\n"))
    copies.copy_project(Path("copy"), {"seeds": [5]}, tracked_alone=False)
    assert yaml.safe_load(Path("copy/params.yaml").read_text(encoding="utf-8"))["arch"] == "on"
    copied = load_params(Path("copy/params.yaml"))
    assert (copied.arch, copied.seeds) == ("on", (5,))


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project under Git and DVC in a folder whose name means much to a reader of settings."""
    for name, value in own_environment(tmp_path / "settings").items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "C#1, 'a' \"b\" %(c)s $d [red]"
    (folder / ".dvc").mkdir(parents=True)
    for name in ("params.yaml", "catalog.yaml", ".dvc/config", ".dvc/.gitignore"):
        shutil.copy(ROOT / name, folder / name)
    monkeypatch.chdir(folder)
    subprocess.run(["git", "init", "--quiet"], check=True)
    return folder


def test_the_copys_dvc_has_the_projects_cache_whatever_is_in_its_path(project):
    copied = Path(".dvc/tmp/spread/copy")
    copies.copy_project(copied, {}, tracked_alone=False)
    (project / ".dvc/cache/mark").touch()
    said = subprocess.run([*copies.DVC, "cache", "dir"], cwd=copied, check=True, capture_output=True, encoding="utf-8")
    cache = copied / said.stdout.removesuffix("\n")
    assert (cache / "mark").is_file()
    shutil.rmtree(copied)
    assert (project / ".dvc/cache/mark").is_file()  # what is removed of the cache is a link


def test_the_file_of_a_network_that_a_sweep_would_lack_is_named(project):
    Path("networks").mkdir()
    Path("networks/mine.py").touch()
    copies.require_known_module("vgg6", None)
    with pytest.raises(InputError) as raised:
        copies.require_known_module("mine", "networks/mine.py:make_network")
    assert str(raised.value) == (
        "archs.mine: networks/mine.py is not known to Git, and experiments would not have it; git add networks/mine.py"
    )
    subprocess.run(["git", "add", "networks/mine.py"], check=True)
    copies.require_known_module("mine", "networks/mine.py:make_network")


@pytest.mark.parametrize("tracked_alone", [True, False])
def test_a_copy_has_the_images_of_its_data_set_and_if_wanted_what_git_would_track(tracked_alone, project):
    for name in ("networks/tracked.py", "networks/new.py", "data/images/digits/a.png", "data/images/other/b.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    Path(".gitignore").write_text("/data/images\n", encoding="utf-8")
    subprocess.run(["git", "add", "networks/tracked.py", "params.yaml", "catalog.yaml", ".dvc"], check=True)
    copies.copy_project(Path(".dvc/tmp/spread/copy"), {}, tracked_alone)
    copied = Path(".dvc/tmp/spread/copy")
    found = {
        path.relative_to(copied).as_posix() for part in ("networks", "data") for path in (copied / part).rglob("*.*")
    }
    expected = {"networks/tracked.py", "data/images/digits/a.png"}
    assert found == (expected if tracked_alone else expected | {"networks/new.py"})


def test_files_whose_names_are_no_utf_8_are_copied(project):
    for name in (b"caf\xe9.txt", b"caf\xc3\xa9.txt"):
        Path(os.fsdecode(name)).write_bytes(name)
    copies.copy_project(Path(".dvc/tmp/spread/copy"), {}, tracked_alone=False)
    copied = Path(".dvc/tmp/spread/copy").glob("caf*.txt")
    assert sorted(map(Path.read_bytes, copied)) == [b"caf\xc3\xa9.txt", b"caf\xe9.txt"]
