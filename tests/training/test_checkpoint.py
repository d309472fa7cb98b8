"""Checkpoints: which state is found again after damage, a kill or a change of what determines the run."""

import hashlib
import io
import json
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from singlefilter.pipeline.artifacts import Workspace
from singlefilter.pipeline.errors import InputError
from singlefilter.training import checkpoint as checkpoints
from singlefilter.training.checkpoint import Checkpoint, code_digest

DETERMINANTS = {"seed": 0, "rates": {"learning_rate": 0.1}, "images": ("a", "b")}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return Checkpoint(tmp_path / "folder", DETERMINANTS)


def files(tmp_path: Path) -> dict[str, Path]:
    """The files there are, as newest and previous."""
    paths = (tmp_path / "folder").iterdir()
    return {"previous" if path.name.endswith(".previous.pt") else "newest": path for path in paths}


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    flipped = content[:-50] + bytes([content[-50] ^ 1]) + content[-49:]
    path.write_bytes({"cut": content[:-100], "flipped": flipped, "empty": b""}[how])


def test_a_state_comes_back_as_it_was_saved(checkpoint):
    state = {
        "weights": {13: torch.tensor([1.5, -2])},
        "optimiser": {0: {"momentum": torch.zeros(2, 3)}},
        "history": [{"epoch": 0, "loss": None, "accuracy": 0.25}],
        "done": 7,
    }
    checkpoint.save(state)
    found = checkpoint.load()
    assert found["weights"][13].tolist() == [1.5, -2]
    assert found["optimiser"][0]["momentum"].tolist() == [[0, 0, 0], [0, 0, 0]]
    assert found["history"] == state["history"] and found["done"] == 7


def test_nothing_saved_gives_none(checkpoint):
    assert checkpoint.load() is None


def test_the_newest_state_is_loaded_also_by_another_process_of_the_same_run(checkpoint, tmp_path):
    for done in (1, 2, 3):
        checkpoint.save({"done": done})
    assert len(list((tmp_path / "folder").iterdir())) == 2
    assert Checkpoint(tmp_path / "folder", DETERMINANTS).load() == {"done": 3}


@pytest.mark.parametrize("how", ["cut", "flipped", "empty"])
def test_a_damaged_newest_state_gives_the_previous_one_and_says_so(how, checkpoint, tmp_path, capsys):
    checkpoint.save({"done": 1})
    checkpoint.save({"done": 2})
    newest = files(tmp_path)["newest"]
    damage(newest, how)
    assert checkpoint.load() == {"done": 1}
    assert capsys.readouterr().out == f"{newest} is damaged, and removed\n"
    assert files(tmp_path).keys() == {"previous"}


def test_a_folder_in_the_place_of_a_state_is_named(checkpoint, tmp_path):
    checkpoint.save({"done": 1})
    path = files(tmp_path)["newest"]
    path.unlink()
    path.mkdir()
    with pytest.raises(InputError) as raised:
        checkpoint.load()
    assert str(raised.value) == f"{path} cannot be read (Is a directory); remove it, and dvc repro again"


def test_two_damaged_states_give_none(checkpoint, tmp_path):
    checkpoint.save({"done": 1})
    checkpoint.save({"done": 2})
    for path in files(tmp_path).values():
        damage(path, "cut")
    assert checkpoint.load() is None
    assert files(tmp_path) == {}


@pytest.mark.parametrize(
    "changed", [{"seed": 1}, {"rates": {"learning_rate": 0.2}}, {"images": ("b", "a")}, {"new": 1}]
)
def test_a_run_with_other_determinants_finds_nothing(changed, checkpoint, tmp_path):
    checkpoint.save({"done": 1})
    assert Checkpoint(tmp_path / "folder", DETERMINANTS | changed).load() is None


def test_the_order_of_determinants_does_not_matter(checkpoint, tmp_path):
    checkpoint.save({"done": 1})
    assert Checkpoint(tmp_path / "folder", dict(reversed(DETERMINANTS.items()))).load() == {"done": 1}


def test_remove_leaves_nothing_of_this_run_and_all_of_others(checkpoint, tmp_path):
    other = Checkpoint(tmp_path / "folder", {"seed": 1})
    other.save({"done": 5})
    checkpoint.save({"done": 1})
    checkpoint.save({"done": 2})
    checkpoint.remove()
    assert checkpoint.load() is None
    assert len(list((tmp_path / "folder").iterdir())) == 1
    assert other.load() == {"done": 5}


def test_remove_of_a_run_that_saved_nothing_does_nothing(checkpoint):
    checkpoint.remove()


@pytest.mark.parametrize("changed", ["nothing", "device", "torch", "code", "seed"])
def test_a_stage_goes_on_only_from_states_of_its_own_code_sample_and_kind_of_machine(
    changed, make_params, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)

    def of_stage(device: str = "cpu", seed: int = 0) -> Checkpoint:
        return Checkpoint.of_stage(Workspace(make_params()), "train_backbone", torch.device(device), seed=seed)

    of_stage().save({"done": 3})
    if changed == "torch":
        monkeypatch.setattr(torch, "__version__", "1.0")
    if changed == "code":
        monkeypatch.setattr(checkpoints, "code_digest", lambda: "other")
    found = of_stage("cuda" if changed == "device" else "cpu", seed=int(changed == "seed")).load()
    assert found == ({"done": 3} if changed == "nothing" else None)


def test_a_run_in_a_copy_of_the_project_has_its_states_in_the_project(make_params, tmp_path, monkeypatch):
    """DVC removes an experiment's copy, also of one that was stopped."""
    copy = tmp_path / ".dvc/tmp/exps/tmp5"
    copy.mkdir(parents=True)
    for folder, project in ((copy, tmp_path), (tmp_path, None), (tmp_path, tmp_path)):
        monkeypatch.chdir(folder)
        monkeypatch.delenv("DVC_ROOT", raising=False)
        if project:
            monkeypatch.setenv("DVC_ROOT", str(project))
        checkpoint = Checkpoint.of_stage(Workspace(make_params()), "train_backbone", torch.device("cpu"), seed=0)
        if folder == copy:
            checkpoint.save({"done": 3})
        assert checkpoint.load() == {"done": 3}
    assert not [*copy.iterdir()]


def test_states_are_saved_no_more_often_than_is_due(tmp_path, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now)
    monkeypatch.setattr(checkpoints, "SECONDS_BETWEEN", 20)
    checkpoint = Checkpoint(tmp_path, {})
    saved = []
    for now in (1000.0, 1019.5, 1020.0, 1039.5, 1040.0, 1041.0, 1100.0, 1119.0):
        checkpoint.save_if_due({"at": now})
        state = checkpoint.load()
        saved.append(state and state["at"])
    assert saved == [None, None, 1020, 1020, 1040, 1040, 1100, 1100]


def test_a_state_keeps_how_long_the_run_has_gone_on_in_all_its_processes(tmp_path, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now)
    found = []
    for start, saved_after in ((1000.0, [30, 45]), (70.0, [8]), (5000.0, [])):
        now = start
        checkpoint = Checkpoint(tmp_path, {})
        state = checkpoint.load()
        found.append((state and state["done"], checkpoint.seconds_before))
        for seconds in saved_after:
            now = start + seconds
            checkpoint.save({"done": seconds})
    assert found == [(None, 0), (45, 45), (8, 53)]


def save_killed_at(target: Path, checkpoint: Checkpoint, state: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    """Save a state in a process that ends where a file is to be renamed to `target`."""
    replace = os.replace

    def replace_or_die(source: Path, destination: Path) -> None:
        if Path(destination) == target:
            raise KeyboardInterrupt
        replace(source, destination)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", replace_or_die)
        with pytest.raises(KeyboardInterrupt):
            checkpoint.save(state)


@pytest.mark.parametrize("target", ["newest", "previous"])
def test_a_kill_at_either_rename_leaves_the_state_before(target, checkpoint, tmp_path, monkeypatch):
    checkpoint.save({"done": 1})
    checkpoint.save({"done": 2})
    killed_at = files(tmp_path)[target]
    save_killed_at(killed_at, checkpoint, {"done": 3}, monkeypatch)
    assert checkpoint.load() == {"done": 2}
    checkpoint.save({"done": 4})
    assert checkpoint.load() == {"done": 4}


def test_a_damaged_newest_state_never_takes_the_place_of_the_whole_one(checkpoint, tmp_path, monkeypatch):
    checkpoint.save({"done": 1})
    checkpoint.save({"done": 2})
    newest = files(tmp_path)["newest"]
    damage(newest, "cut")
    assert checkpoint.load() == {"done": 1}
    save_killed_at(newest, checkpoint, {"done": 3}, monkeypatch)  # of the two renames the second
    assert checkpoint.load() == {"done": 1}
    checkpoint.save({"done": 4})
    damage(newest, "flipped")
    assert checkpoint.load() == {"done": 1}


def sealed(content: bytes) -> bytes:
    """What stands in the file of the run with DETERMINANTS if its state is this content."""
    run = hashlib.sha256(json.dumps(DETERMINANTS, sort_keys=True).encode()).digest()
    return hashlib.sha256(run + content).digest() + content


def test_a_state_of_another_run_is_damaged_under_this_ones_name(checkpoint, tmp_path, capsys):
    checkpoint.save({"done": 1})
    newest = files(tmp_path)["newest"]
    other = Checkpoint(tmp_path / "other", DETERMINANTS | {"seed": 1})
    other.save({"done": 5})
    (path,) = (tmp_path / "other").iterdir()
    path.replace(newest)
    assert checkpoint.load() is None
    assert capsys.readouterr().out == f"{newest} is damaged, and removed\n"


def test_what_cannot_be_unpickled_gives_the_previous_state_although_its_digest_is_right(checkpoint, tmp_path):
    checkpoint.save({"done": 1})
    checkpoint.save({"done": 2})
    content = b"no state of ours"
    files(tmp_path)["newest"].write_bytes(sealed(content))
    assert checkpoint.load() == {"done": 1}
    assert files(tmp_path).keys() == {"previous"}


class Planted:
    """Pickles to a call that makes a folder."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_pickled_code_is_not_executed_even_under_a_right_digest(checkpoint, tmp_path):
    checkpoint.save({"done": 1})
    planted = io.BytesIO()
    torch.save({"done": Planted(tmp_path / "planted")}, planted)
    content = planted.getvalue()
    files(tmp_path)["newest"].write_bytes(sealed(content))
    assert checkpoint.load() is None
    assert not (tmp_path / "planted").exists()
    torch.load(io.BytesIO(content), weights_only=False)
    assert (tmp_path / "planted").exists()  # executed, it does act


def test_code_digest_covers_what_is_loaded_of_the_package_and_nothing_else(monkeypatch, tmp_path):
    def load(name: str, source: str) -> None:
        path = tmp_path / f"{name}.py"
        path.write_text(source, encoding="utf-8")
        module = ModuleType(name)
        module.__file__ = str(path)
        monkeypatch.setitem(sys.modules, name, module)

    for name in [name for name in sys.modules if name.split(".")[0] in ("singlefilter", "networks")]:
        monkeypatch.delitem(sys.modules, name)
    load("singlefilter.second", "y = 2\n")
    load("singlefilter", "x = 1\n")
    load("singlefilters", "another package")
    assert code_digest() == hashlib.sha256(b"x = 1\n\0y = 2\n").hexdigest()
    load("singlefilter.second", "y = 3\n")
    assert code_digest() == hashlib.sha256(b"x = 1\n\0y = 3\n").hexdigest()
