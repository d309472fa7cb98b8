"""How a stage is run: what it logs, and how it ends."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from singlefilter.errors import InputError
from singlefilter.params import Params
from stages import run

ROOT = Path(__file__).resolve().parents[1]
LOG = Path("logs/stages.jsonl")


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """A folder with params.yaml alone; the command line is that of `python -m stages.example --seed 3`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["stages/example.py", "--seed", "3"])
    shutil.copy(ROOT / "params.yaml", tmp_path)


def test_a_stage_that_ends_well_adds_a_line_to_the_log():
    calls = []

    def stage(params: Params, seed: int) -> None:
        calls.append((type(params), seed))

    for _ in range(2):
        run(stage, per_sample=True)
    assert calls == [(Params, 3)] * 2
    lines = [json.loads(line) for line in LOG.read_text(encoding="utf-8").splitlines()]
    assert [(line["stage"], line["seed"]) for line in lines] == [("example", 3)] * 2
    assert all(0 <= line["seconds"] < 60 and line["cores"] >= 1 for line in lines)


@pytest.mark.parametrize(
    ("error", "ending"),
    [
        (InputError("threshold: is 2"), "example: threshold: is 2"),
        (OSError("no space"), "example: OSError: no space"),
        (MemoryError("too large"), "example: MemoryError: too large"),
        (KeyboardInterrupt(), 130),
    ],
)
def test_a_stage_that_fails_ends_with_one_line_and_logs_nothing(error, ending):
    def stage(params: Params, seed: int) -> None:
        raise error

    with pytest.raises(SystemExit) as raised:
        run(stage, per_sample=True)
    assert raised.value.code == ending
    assert not LOG.exists()
