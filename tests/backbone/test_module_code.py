"""The list of the files of networks/."""

import hashlib
from pathlib import Path

import pytest

from singlefilter.backbone.module_code import list_code, require_listed_code
from singlefilter.pipeline.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
EMPTY = hashlib.sha256().hexdigest()
SEEN = ("networks/.settings.json", "networks/a b.py", "networks/mine.py", "networks/parts/README.md")
IGNORED = (
    "networks/README.md",
    "networks/mine.py~",
    "networks/.mine.py.swp",
    "networks/w.partial",
    "networks/parts/.DS_Store",
    "networks/parts/__pycache__/mine.pyc",
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in SEEN + IGNORED:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def test_all_files_are_listed_that_dvc_sees():
    Path(".dvcignore").write_text((ROOT / ".dvcignore").read_text(encoding="utf-8"), encoding="utf-8")
    assert list_code() == "".join(f"{EMPTY}  {name}\n" for name in SEEN)


def test_without_dvcs_list_of_what_to_ignore_all_files_are_listed():
    assert list_code().count(EMPTY) == len(SEEN + IGNORED)


def test_a_file_whose_name_is_no_unicode_is_listed():
    Path("networks/caf\udce9.py").touch()
    assert f"{EMPTY}  networks/caf\\udce9.py\n" in list_code()


def test_without_a_list_nothing_is_required():
    require_listed_code()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda: Path("networks/new.py").touch(), "networks/new.py"),
        (lambda: Path("networks/mine.py").unlink(), "networks/mine.py"),
        (lambda: Path("networks/a b.py").write_text("1", encoding="utf-8"), "networks/a b.py"),
    ],
)
def test_what_is_new_gone_or_other_than_listed_is_named(change, named):
    Path("data").mkdir()
    Path("data/module_code.txt").write_text(list_code(), encoding="utf-8")
    require_listed_code()
    change()
    with pytest.raises(InputError) as refusal:
        require_listed_code()
    assert str(refusal.value) == (
        f"networks/ is not as check_params found it: {named}; run dvc repro, by which all that is made of the network "
        "is made anew, or undo the change"
    )
