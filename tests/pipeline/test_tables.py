"""Tables read from CSV files, and what is said of those that cannot be used."""

import numpy as np
import pandas as pd
import pytest

from singlefilter.pipeline.artifacts import Workspace, path_of
from singlefilter.pipeline.errors import InputError, UnusableFile
from singlefilter.pipeline.tables import read_table, write_table

NUMBERS = {"layer": int, "accuracy": float}


def write_sample(seed: int, content: str) -> None:
    path = path_of("dilution", seed=seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def test_samples_follow_each_other_with_their_seeds_first(tmp_path, monkeypatch, make_params):
    monkeypatch.chdir(tmp_path)
    write_sample(0, "layer,accuracy\n2,0.5\n13,\n")
    write_sample(3, "layer,seed,accuracy\n2,9,1\n")  # a seed of its own does not count
    table = Workspace(make_params(seeds=[3, 0])).read_samples("dilution", NUMBERS)
    assert table.columns.tolist() == ["seed", "layer", "accuracy"]
    assert table.fillna(-1).to_numpy().tolist() == [[3, 2, 1], [0, 2, 0.5], [0, 13, -1]]
    assert table["layer"].dtype.kind == "i"


@pytest.mark.parametrize(
    ("content", "state"),
    [
        ("", "is not whole"),
        ("layer,accuracy\n", "has no rows"),
        ("layer\n2\n", "is not whole"),
        ("layer,accuracy\n2,none\n", "is not whole"),
        ("layer,accuracy\n,0.5\n", "is not whole"),
    ],
)
def test_a_sample_that_cannot_be_used_is_named_with_the_stage_that_makes_it(
    content, state, tmp_path, monkeypatch, make_params
):
    monkeypatch.chdir(tmp_path)
    write_sample(1, content)
    with pytest.raises(InputError) as raised:
        Workspace(make_params(seeds=[1])).read_samples("dilution", NUMBERS)
    refusal = str(raised.value)
    assert refusal.startswith(f"metrics/dilution/seed1.csv {state}")
    assert "Make it again, with all that it is made from: dvc repro dilute_filters@1; if this" in refusal


def test_a_missing_table_and_a_folder_in_its_place_are_named(tmp_path):
    with pytest.raises(UnusableFile, match=r"table\.csv is missing$"):
        read_table(tmp_path / "table.csv")
    (tmp_path / "table.csv").mkdir()
    with pytest.raises(UnusableFile, match=r"table\.csv cannot be read \(Is a directory\)$"):
        read_table(tmp_path / "table.csv")


def test_options_reach_the_reader(tmp_path):
    (tmp_path / "labels.csv").write_text("class_name\nnan\n")
    assert read_table(tmp_path / "labels.csv", keep_default_na=False)["class_name"].tolist() == ["nan"]


def test_a_table_is_written_without_its_index_and_with_unix_line_ends(tmp_path):
    table = pd.DataFrame({"name": ["Löwe", "a,b"], "value": [1 / 3, np.nan]}, index=[7, 8])
    write_table(tmp_path / "table.csv", table, "%.3g")
    assert (tmp_path / "table.csv").read_bytes() == 'name,value\nLöwe,0.333\n"a,b",\n'.encode()
    write_table(tmp_path / "table.csv", table)
    assert b"0.3333333333333333\n" in (tmp_path / "table.csv").read_bytes()
