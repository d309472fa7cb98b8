"""Tables read from CSV files, and what is said of those that cannot be used."""

import pytest

from singlefilter.errors import InputError
from singlefilter.table_files import read_samples, read_table


def test_samples_follow_each_other_with_their_seeds_first(tmp_path):
    (tmp_path / "seed0.csv").write_text("layer,accuracy\n2,0.5\n13,\n")
    (tmp_path / "seed3.csv").write_text("layer,seed,accuracy\n2,9,1\n")  # a seed of its own does not count
    table = read_samples(tmp_path, (3, 0), {"layer": int, "accuracy": float}, "dilute_filters")
    assert table.columns.tolist() == ["seed", "layer", "accuracy"]
    assert table.fillna(-1).to_numpy().tolist() == [[3, 2, 1], [0, 2, 0.5], [0, 13, -1]]
    assert table["layer"].dtype.kind == "i"


@pytest.mark.parametrize(
    ("content", "state"),
    [
        (None, "is missing or not whole"),
        ("", "is missing or not whole"),
        ("layer,accuracy\n", "has no rows"),
        ("layer\n2\n", "is not whole"),
        ("layer,accuracy\n2,none\n", "is not whole"),
        ("layer,accuracy\n,0.5\n", "is not whole"),
    ],
)
def test_a_sample_that_cannot_be_used_is_named_with_the_stage_that_makes_it(content, state, tmp_path):
    if content is not None:
        (tmp_path / "seed1.csv").write_text(content)
    with pytest.raises(InputError, match=rf"seed1\.csv {state}.*--single-item dilute_filters@1$"):
        read_samples(tmp_path, (1,), {"layer": int, "accuracy": float}, "dilute_filters")


def test_options_reach_the_reader(tmp_path):
    (tmp_path / "labels.csv").write_text("class_name\nnan\n")
    table = read_table(tmp_path / "labels.csv", "cluster_stats", keep_default_na=False)
    assert table["class_name"].tolist() == ["nan"]
