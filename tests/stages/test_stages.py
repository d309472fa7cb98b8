"""How a stage is run: what it logs, and how it ends."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.files import replacing
from singlefilter.pipeline.params import Params
from stages import run
from stages.check_params import touch_parameters
from tests.tiny_project import own_environment

ROOT = Path(__file__).resolve().parents[2]
LOG = Path("logs/stages.jsonl")


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """A folder with the parameters alone; the command line is that of `python -m stages.example --seed 3`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["stages/example.py", "--seed", "3"])
    monkeypatch.delenv("GIT_DIR", raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    (tmp_path / "params.yaml").write_text(text.replace("seeds:\n- 0\n", "seeds: [0, 3]\n"), encoding="utf-8")
    shutil.copy(ROOT / "catalog.yaml", tmp_path)


def test_a_stage_that_ends_well_adds_a_line_to_the_log():
    calls = []

    def stage(params: Params, seed: int) -> None:
        calls.append((type(params), seed))

    for _ in range(2):
        run(stage, per_sample=True)
    assert calls == [(Params, 3)] * 2
    lines = [json.loads(line) for line in LOG.read_text(encoding="utf-8").splitlines()]
    assert [(line["stage"], line["seed"]) for line in lines] == [("example", 3)] * 2
    assert all(0 <= line["seconds"] < 60 and " cores of " in line["hardware"] for line in lines)
    assert {line["revision"] for line in lines} == {"unknown, not in a Git repository"}


def test_the_log_adds_what_stopped_processes_took():
    run(lambda params, seed: 1000.0, per_sample=True)
    assert 1000 <= json.loads(LOG.read_text(encoding="utf-8"))["seconds"] < 1060


@pytest.mark.parametrize(
    "folder, is_copy",
    [
        (".dvc/tmp/exps/tmp5", True),
        (".dvc/tmp/exps/standalone/tmp5", True),
        (".dvc/tmp/spread/vgg6-seed0", False),
        ("exps/tmp5", False),
    ],
)
def test_a_mistake_in_an_experiments_copy_says_that_git_has_to_know_new_files(folder, is_copy, tmp_path, monkeypatch):
    copy = tmp_path / folder
    copy.mkdir(parents=True)
    for name in ("params.yaml", "catalog.yaml"):
        shutil.copy(name, copy)
    monkeypatch.chdir(copy)

    def stage(params: Params, seed: int) -> None:
        raise InputError("networks/mine.py is missing")

    with pytest.raises(SystemExit) as ended:
        run(stage, per_sample=True)
    hint = " (in an experiment's copy of the project, which has what Git knows; if a file is missing in it, git add it)"
    assert ended.value.code == f"example: networks/mine.py is missing{hint if is_copy else ''}"


def test_an_experiment_in_a_copy_adds_to_the_projects_log(tmp_path, monkeypatch):
    (tmp_path / "copy").mkdir()
    for name in ("params.yaml", "catalog.yaml"):
        shutil.copy(name, "copy")
    monkeypatch.chdir(tmp_path / "copy")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    run(lambda params, seed: None, per_sample=True)
    assert json.loads((tmp_path / LOG).read_text(encoding="utf-8"))["seed"] == 3
    assert not LOG.exists()


@pytest.mark.parametrize("used", [True, False])
def test_the_log_names_the_gpu_if_the_stage_used_it(used, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: used)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    run(lambda params, seed: None, per_sample=True)
    assert json.loads(LOG.read_text(encoding="utf-8"))["device"] == ("a GPU" if used else "cpu")


def test_a_stage_of_the_chain_says_which_one_it_is(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["stages/train_heads.py", "--seed", "3"])
    run(lambda params, seed: None, per_sample=True)
    monkeypatch.setattr(sys, "argv", ["stages/figures.py"])
    run(lambda params: None)
    monkeypatch.setattr(sys, "argv", ["stages/record_run.py"])
    run(lambda params: None)
    assert capsys.readouterr().out == "stage 5 of 11: train_heads, sample 3 (2 of 2)\nstage 10 of 11: figures\n"


@pytest.mark.parametrize(
    ("error", "ending"),
    [
        (InputError("threshold: is 2"), "example: threshold: is 2"),
        (OSError("no space"), "example: OSError: no space"),
        (MemoryError("of 8 GiB"), "example: too little memory: of 8 GiB"),
        (MemoryError(), "example: too little memory"),
        (
            RuntimeError("not enough memory: you tried to allocate 8 bytes.\nat alloc.cpp:9"),
            "example: too little memory: not enough memory: you tried to allocate 8 bytes.",
        ),
        (RuntimeError("std::bad_alloc"), "example: too little memory: std::bad_alloc"),
        (RuntimeError("could not create a primitive"), "example: too little memory: could not create a primitive"),
    ],
)
def test_a_stage_that_fails_ends_with_one_line_and_logs_nothing(error, ending):
    def stage(params: Params, seed: int) -> None:
        raise error

    with pytest.raises(SystemExit) as raised:
        run(stage, per_sample=True)
    assert raised.value.code == ending
    assert not LOG.exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stage_that_is_stopped_leaves_what_was_there_and_nothing_half_written(number, code):
    """Even within a callback that lets no exception out, as some of h5py's and Matplotlib's do not."""
    table = Path("metrics/table.csv")
    table.parent.mkdir()
    table.write_text("old")

    def stage(params: Params, seed: int) -> None:
        with replacing(table) as temporary:
            temporary.write_text("half")
            with contextlib.suppress(BaseException):
                os.kill(os.getpid(), number)

    process = os.fork()
    if process == 0:
        try:
            run(stage, per_sample=True)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == code
    assert [path.name for path in table.parent.iterdir()] == ["table.csv"] and table.read_text() == "old"
    assert not LOG.exists()


def test_signals_are_as_they_were_after_a_stage():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    run(lambda params, seed: None, per_sample=True)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_signal_that_whoever_started_the_stage_ignores_is_ignored():
    def stage(params: Params, seed: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        run(stage, per_sample=True)
    finally:
        signal.signal(signal.SIGINT, before)
    assert LOG.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stage_that_is_stopped_while_it_is_imported_says_nothing(number, tmp_path):
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages/__init__.py").symlink_to(ROOT / "stages/__init__.py")
    stopped = f"import os\nfrom stages import run\nos.kill(os.getpid(), {number})\n"
    (tmp_path / "stages/example.py").write_text(stopped, encoding="utf-8")
    ended = subprocess.run([sys.executable, "-m", "stages.example"], cwd=tmp_path, capture_output=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (-number, b"", b"")


@pytest.mark.parametrize("folder, script", [(".", "stages/download.py"), ("docs", "../stages/download.py")])
def test_a_stage_that_is_started_by_its_path_says_how_it_is_started(folder, script):
    ended = subprocess.run([sys.executable, script], cwd=ROOT / folder, capture_output=True, encoding="utf-8")
    said = f"a stage is started by its name, in {ROOT}: python -m stages.<name>\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", said)


def test_git_takes_back_a_refused_value_that_was_written_within_the_second_of_the_file(tmp_path):
    environment = own_environment(tmp_path / "settings")

    def git(*arguments: str) -> str:
        # A file's ctime, which only the system sets, would have to be within the same second, too.
        command = ["git", "-c", "core.trustCtime=false", *arguments]
        done = subprocess.run(command, check=True, env=environment, capture_output=True, encoding="utf-8")
        return done.stdout

    for name in ("stages", "src"):
        (tmp_path / name).symlink_to(ROOT / name)
    second, path = 1_500_000_000, tmp_path / "params.yaml"
    before = path.read_text(encoding="utf-8")
    os.utime(path, (second, second))
    git("init", "--quiet")
    git("add", "params.yaml")
    with path.open("r+", encoding="utf-8") as file:
        file.write(before.replace("threshold: 0.3", "threshold: 3.0"))
    os.utime(path, (second, second))
    assert git("diff", "--name-only") == ""
    command = [sys.executable, "-m", "stages.check_params"]
    assert subprocess.run(command, env=environment, capture_output=True).returncode == 1
    assert git("diff", "--name-only") == "params.yaml\n"
    git("checkout", "params.yaml")
    assert path.read_text(encoding="utf-8") == before


def test_files_of_parameters_are_dated_at_least_a_second_later_and_a_missing_one_is_not_made():
    Path("catalog.yaml").unlink()
    before = os.stat("params.yaml").st_mtime
    touch_parameters()
    assert os.stat("params.yaml").st_mtime >= before + 1
    assert not Path("catalog.yaml").exists()


def test_a_log_that_cannot_be_written_does_not_fail_a_stage_that_is_done(capsys):
    Path("logs").write_text("a file in the folder's place")
    run(lambda params, seed: None, per_sample=True)
    warning = capsys.readouterr().err
    assert warning.startswith("logs/stages.jsonl cannot be written ([Errno 17] File exists: 'logs')")
    assert warning.count("\n") == 1


def test_a_seed_that_params_yaml_does_not_have_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["stages/example.py", "--seed", "7"])
    with pytest.raises(SystemExit) as raised:
        run(pytest.fail, per_sample=True)
    assert raised.value.code == "example: --seed: is 7; allowed are the seeds of params.yaml, [0, 3]"


def test_what_is_nobodys_mistake_but_ours_keeps_its_traceback():
    def stage(params: Params, seed: int) -> None:
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        run(stage, per_sample=True)


def test_a_bug_without_a_message_keeps_its_traceback():
    def stage(params: Params, seed: int) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        run(stage, per_sample=True)


@pytest.mark.parametrize("number", [None, "abc", "-1"])
@pytest.mark.parametrize("name", ["RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_PORT"])
def test_a_process_that_torchrun_has_not_really_started_is_refused(name, number, monkeypatch):
    for variable in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_PORT"):
        monkeypatch.setenv(variable, "1")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    if number is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, number)
    with pytest.raises(SystemExit) as raised:
        run(pytest.fail, per_sample=True)
    assert raised.value.code == (
        f"example: {name}: is {number or ''!r}; torchrun sets a number from 0 on; unset TORCHELASTIC_RUN_ID, or let "
        "torchrun start the stage"
    )


def test_a_launcher_with_an_open_quotation_mark_is_refused(monkeypatch):
    monkeypatch.setenv("SINGLEFILTER_LAUNCHER", 'torchrun "--standalone')
    with pytest.raises(SystemExit) as raised:
        run(pytest.fail, per_sample=True, joined=contextlib.nullcontext)
    assert raised.value.code == (
        "example: SINGLEFILTER_LAUNCHER: 'torchrun \"--standalone' is no command (No closing quotation); "
        "leave it unset, or use torchrun --standalone --nproc-per-node 2"
    )


def test_a_reader_that_has_enough_ends_what_is_listed_without_a_word(tmp_path):
    command = [sys.executable, "-m", "stages.list_layers", "--networks"]
    reader, writer = os.pipe()
    os.close(reader)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""}  # what is written late fails late
    ended = subprocess.run(command, cwd=tmp_path, env=environment, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (128 + signal.SIGPIPE, b"")
