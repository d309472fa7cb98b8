"""What the log tells of the code and the machine."""

import os
import subprocess
from pathlib import Path

import pytest

from singlefilter.pipeline import machine
from tests.tiny_project import own_environment


@pytest.fixture
def repository(tmp_path, monkeypatch) -> Path:
    """A Git repository with a file of code and another one, and one commit."""
    for name, value in own_environment(tmp_path / "settings").items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GIT_DIR", raising=False)
    folder = tmp_path / "project"
    (folder / "src").mkdir(parents=True)
    monkeypatch.chdir(folder)
    for name in ("src/a.py", "params.yaml"):
        Path(name).write_text("one", encoding="utf-8")
    author = ["-c", "user.name=Someone", "-c", "user.email=someone@example.org"]
    for command in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", "Files"]):
        subprocess.run(["git", *command], check=True)
    return folder


def test_the_revision_is_the_commit_and_says_whether_code_was_changed(repository, monkeypatch):
    head = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout
    assert len(machine.revision()) >= 4 and head.startswith(machine.revision())
    Path("params.yaml").write_text("two", encoding="utf-8")
    assert head.startswith(machine.revision())
    Path("src/a.py").write_text("two", encoding="utf-8")
    commit, _, changed = machine.revision().partition(", ")
    assert head.startswith(commit) and changed == "with uncommitted changes to the code"
    monkeypatch.setenv("SINGLEFILTER_REVISION", "abc1234")
    assert machine.revision() == "abc1234"


def test_without_git_there_is_no_revision(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GIT_DIR", raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert machine.revision() == "unknown, not in a Git repository"
    monkeypatch.setenv("PATH", "")
    assert machine.revision() == "unknown, not in a Git repository"


def test_the_hardware_is_told_in_a_line():
    cores, rest = machine.hardware().split(" cores of ")
    processor, memory = rest.rsplit(", ", 1)
    assert int(cores) == machine.usable_cores() <= os.cpu_count() and processor
    gibibytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    assert memory == f"{gibibytes:.0f} GiB"
