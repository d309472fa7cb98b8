"""The stages of the page of all filters, where there is none, and where its tables are of another run."""

import json
import re
from pathlib import Path

import h5py
import pandas as pd
import pytest

from singlefilter.explorer import pack
from singlefilter.pipeline.artifacts import Workspace, path_of
from singlefilter.pipeline.errors import InputError
from stages import explorer, filter_images
from tests.explorer.runs import Run, write_run

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def run(tmp_path, monkeypatch) -> Run:
    monkeypatch.chdir(tmp_path)
    return write_run(("a", "b"), test_images=10)


def test_false_leaves_the_page_and_its_images_out(run, monkeypatch, capsys):
    off = run.params.model_copy(update={"explorer": None})
    for name, place in (("heads", {"seed": 0}), ("features", {"seed": 0, "layer": 1})):
        with Workspace(off).write(name, **place):
            pass
    capsys.readouterr()
    filter_images.main(off, 0)
    explorer.main(off)
    with h5py.File(path_of("images", seed=0)) as file:
        assert list(file) == []
    page = run.page.read_text(encoding="utf-8")
    reason = "The page of all filters is left out: explorer is false in params.yaml."
    assert page == f"<!doctype html><title>No page</title><p>{reason}\n"
    assert capsys.readouterr().out == f"{reason}\n"


def test_matrices_that_no_browser_takes_are_left_out_and_said(run, monkeypatch, capsys):
    elements = 3 * 24 * 2 * 2  # three kinds of two by two, of twelve filters of two layers
    monkeypatch.setattr(pack, "MOST_ELEMENTS", elements)
    explorer.main(run.params)
    assert run.page.stat().st_size > 10_000
    monkeypatch.setattr(pack, "MOST_ELEMENTS", elements - 1)
    capsys.readouterr()
    explorer.main(run.params)
    assert "left out: its matrices would have 0 MB, where a browser takes 0; examine" in capsys.readouterr().out
    assert "left out" in run.page.read_text(encoding="utf-8")


def test_where_the_page_is_is_said_and_its_bytes_are_the_same(run, capsys):
    before = run.page.read_bytes()
    capsys.readouterr()
    explorer.main(run.params)
    assert re.fullmatch(r"every filter, .*: plots/explorer\.html \(0\.\d MB\), .*\n", capsys.readouterr().out)
    assert run.page.read_bytes() == before


def test_the_page_says_what_the_run_is(run):
    about = re.search(r'<script type="application/json" id="about">\s*(.*?)\s*</script>', run.page.read_text("utf-8"))
    found = json.loads(about[1])
    assert found["heading"] == "tiny on tiny, 1 sample, the full epochs"
    assert found["images_per_label"] == [5, 5]
    assert [layer["name"] for layer in found["samples"][0]["layers"]] == ["1", "2"]
    assert found["pictures"] == {"count": 10, "of": 10, "side": 8, "columns": 4}


def test_a_table_of_other_filters_is_refused(run):
    path = Path("metrics/filters.csv")
    table = pd.read_csv(path)
    table[table["filter"] != 5].to_csv(path, index=False)
    before = run.page.read_bytes()
    with pytest.raises(InputError) as refusal:
        explorer.main(run.params)
    assert str(refusal.value) == (
        "metrics/filters.csv is of another run: it has 11 filters of layer 1, sample 0, where 12 are expected. "
        "Make it again, with all that it is made from: dvc repro cluster_stats; if this message comes again, since DVC "
        "was told that the file is right (dvc commit): dvc repro --force --single-item cluster_stats"
    )
    assert run.page.read_bytes() == before
