"""Threads that share the cores with other jobs: set for the chain's stages, where nobody has shared out the cores."""

import os
import subprocess
import sys

import pytest

from singlefilter.pipeline.cores import SHARING, share_cores
from singlefilter.pipeline.launcher import LAUNCHER

STAGE = ["python", "-m", "stages.train_heads", "--seed", "0"]


@pytest.fixture(autouse=True)
def environment(monkeypatch) -> None:
    for name in (*SHARING, "OMP_NUM_THREADS", LAUNCHER):
        monkeypatch.setenv(name, "")  # restored afterwards, whatever is set in between
        monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "platform", "linux")


def settings() -> dict[str, str]:
    return {name: os.environ[name] for name in SHARING if name in os.environ}


def test_threads_of_a_stage_stay_on_cores_of_their_own_and_sleep():
    share_cores(STAGE)
    assert settings() == {"OMP_PROC_BIND": "true", "OMP_PLACES": "cores", "GOMP_SPINCOUNT": "1000"}
    assert "OMP_NUM_THREADS" not in os.environ  # results depend on it


@pytest.mark.parametrize("variable", ["OMP_NUM_THREADS", LAUNCHER])
def test_not_where_the_cores_are_shared_out(variable, monkeypatch):
    monkeypatch.setenv(variable, "1")
    share_cores(STAGE)
    assert settings() == {}


@pytest.mark.parametrize("command", [["python", "-m", "stages.spread"], ["python", "train_heads.py"], ["pytest"]])
def test_nor_in_what_starts_other_processes(command):
    share_cores(command)
    assert settings() == {}


def test_nor_on_other_systems(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    share_cores(STAGE)
    assert settings() == {}


def test_what_is_set_stays(monkeypatch):
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    share_cores(STAGE)
    assert settings()["GOMP_SPINCOUNT"] == "7"


def test_stages_are_told_before_pytorch_is_imported():
    code = "import sys; sys.orig_argv = %r; import stages, os; print('torch' in sys.modules, os.environ['OMP_PLACES'])"
    done = subprocess.run([sys.executable, "-c", code % STAGE], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.split() == ["False", "cores"]
