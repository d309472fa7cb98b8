"""The parameters of a copy of the project."""

from pathlib import Path

import yaml

from singlefilter.pipeline.params_files import load_params
from singlefilter.spread import copies
from tests.tiny_project import ROOT


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
    copies.copy_project(Path("copy"), {"seeds": [5]})
    assert yaml.safe_load(Path("copy/params.yaml").read_text(encoding="utf-8"))["arch"] == "on"
    copied = load_params(Path("copy/params.yaml"))
    assert (copied.arch, copied.seeds) == ("on", (5,))
