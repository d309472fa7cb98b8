"""Tables read from CSV files, and what is said of those that cannot be used."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.tables import read_samples, read_table, sample_files, write_digests

NUMBERS = {"layer": int, "accuracy": float}


def write_sample(folder: Path, number: int, content: str, **made_with: object) -> None:
    table, digests = sample_files(folder, number)
    table.write_text(content)
    write_digests(digests, [table], made_with)


def refusal_of(folder: Path, **made_with: object) -> str:
    with pytest.raises(InputError) as raised:
        read_samples(folder, (1,), NUMBERS, "dilute_filters", lambda seed: made_with)
    return str(raised.value)


def test_samples_follow_each_other_with_their_seeds_first(tmp_path):
    write_sample(tmp_path, 0, "layer,accuracy\n2,0.5\n13,\n")
    write_sample(tmp_path, 3, "layer,seed,accuracy\n2,9,1\n")  # a seed of its own does not count
    table = read_samples(tmp_path, (3, 0), NUMBERS, "dilute_filters")
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
def test_a_sample_that_cannot_be_used_is_named_with_the_stage_that_makes_it(content, state, tmp_path):
    write_sample(tmp_path, 1, content)
    refusal = refusal_of(tmp_path)
    assert refusal.startswith(f"{tmp_path}/seed1.csv {state}")
    assert refusal.endswith("--single-item dilute_filters@1")


def test_options_reach_the_reader(tmp_path):
    path, digests = tmp_path / "labels.csv", tmp_path / "tables.sha256"
    path.write_text("class_name\nnan\n")
    write_digests(digests, [path])
    table = read_table(path, digests, "cluster_stats", keep_default_na=False)
    assert table["class_name"].tolist() == ["nan"]


def test_a_changed_character_is_noticed_wherever_it_is(tmp_path):
    write_sample(tmp_path, 1, "layer,accuracy\n2,0.5\n13,0.25\n")
    path = tmp_path / "seed1.csv"
    content = path.read_bytes()
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert refusal_of(tmp_path) == (
            f"{path} is damaged: its digest is not the one in {tmp_path}/seed1.sha256. "
            "Make it again: dvc repro --force --single-item dilute_filters@1"
        )


def damaged_digests(content: bytes) -> dict[str, bytes]:
    """Ways in which a file of digests may be damaged, and what it then holds."""
    middle = len(content) - 20
    return {
        "empty": b"",
        "cut": content[:-15],
        "no digests": content.splitlines(keepends=True)[0],
        "flipped at the start": b"!" + content[1:],
        "flipped in a digest": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "no text": b"\xff" * 100,
    }


@pytest.mark.parametrize("how", damaged_digests(bytes(100)))
def test_a_damaged_file_of_digests_is_refused(how, tmp_path):
    write_sample(tmp_path, 1, "layer,accuracy\n2,0.5\n", seed=1)
    path = tmp_path / "seed1.sha256"
    path.write_bytes(damaged_digests(path.read_bytes())[how])
    refusal = refusal_of(tmp_path, seed=1)
    assert "seed1.sha256" in refusal and refusal.endswith("--single-item dilute_filters@1")
    assert "\n" not in refusal


@pytest.mark.parametrize("name", ["seed1.csv", "seed1.sha256"])
def test_a_missing_file_and_a_folder_in_its_place_are_named(name, tmp_path):
    write_sample(tmp_path, 1, "layer,accuracy\n2,0.5\n")
    (tmp_path / name).unlink()
    assert refusal_of(tmp_path).startswith(f"{tmp_path}/{name} is missing. Make it again: ")
    (tmp_path / name).mkdir()
    assert refusal_of(tmp_path).startswith(f"{tmp_path}/{name} cannot be read (Is a directory). Make it again: ")


def test_a_table_of_another_run_is_refused(tmp_path):
    write_sample(tmp_path, 1, "layer,accuracy\n2,0.5\n", seed=1, threshold=0.3)
    assert len(read_samples(tmp_path, (1,), NUMBERS, "dilute_filters", lambda seed: {"seed": 1})) == 1
    assert refusal_of(tmp_path, seed=1, threshold=0.4) == (
        f"{tmp_path}/seed1.csv is of another run: made with threshold 0.3, where 0.4 is expected. "
        "Make it again, with all that it is made from: dvc repro dilute_filters@1"
    )
    assert "made with arch unknown, where vgg16 is expected" in refusal_of(tmp_path, arch="vgg16")


def test_the_digests_are_those_of_sha256sum(tmp_path):
    tables = [tmp_path / "b.csv", tmp_path / "a.csv"]
    for table in tables:
        table.write_text(table.name)
    write_digests(tmp_path / "tables.sha256", tables, {"seeds": [0, 1], "arch": "vgg16"})
    expected = [f"{hashlib.sha256(name.encode()).hexdigest()}  {name}" for name in ("b.csv", "a.csv")]
    lines = (tmp_path / "tables.sha256").read_text().splitlines()
    assert lines == ['# {"arch": "vgg16", "seeds": [0, 1]}', *expected]
    if shutil.which("sha256sum"):
        subprocess.run(["sha256sum", "--check", "--strict", "tables.sha256"], cwd=tmp_path, check=True)
