"""What becomes of the jobs of spread, where each is a function of the test's."""

import shutil
import subprocess
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE

import pytest

from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.params import Params
from singlefilter.spread import jobs
from singlefilter.spread.jobs import Job
from stages import spread


class Ended:
    """A job's handle, with the job's exit status."""

    def __init__(self, status: int | BaseException):
        self.status = status

    def result(self) -> int:
        if isinstance(self.status, BaseException):
            raise self.status
        return self.status


@pytest.fixture
def run_spread(make_params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Run spread with jobs that end with the given statuses; give the commands of DVC that it runs itself."""
    monkeypatch.chdir(tmp_path)
    commands: list[str] = []
    kinds_of_copies: list[bool] = []
    monkeypatch.setattr(spread, "dvc", lambda *arguments: commands.append(" ".join(arguments)))
    monkeypatch.setattr(spread, "require_known_images", lambda dataset: None)

    def copy_project(folder: Path, changes: object, tracked_alone: bool) -> None:
        kinds_of_copies.append(tracked_alone)
        folder.mkdir(parents=True)
        (tmp_path / "logs/spread").mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(spread, "copy_project", copy_project)

    def run(*statuses: int | BaseException, arch: list[str] | None = None, seeds: list[int] | None = None) -> list[str]:
        left = list(statuses)

        def submit(job: Job) -> Ended:
            job.log.write_text(f"a line\nthe last line of {job.name}\n", encoding="utf-8")
            return Ended(left.pop(0))

        @contextmanager
        def local(at_once: int, gpus: list[str]) -> Iterator[Callable[[Job], Ended]]:
            yield submit

        monkeypatch.setattr(spread, "local", local)
        params: Params = make_params(seeds=[4, 7])
        params = params.model_copy(update={"archs": params.archs | {"small": params.chosen_arch}})
        spread.main(params, "local", 2, arch, seeds, [])
        assert not left
        return commands

    run.commands, run.tracked_alone = commands, kinds_of_copies
    return run


def test_the_rest_of_the_chain_runs_after_the_samples(run_spread):
    assert run_spread(0, 0) == ["repro download", "repro"]
    assert run_spread.tracked_alone == [False, False]  # dvc repro has what is not tracked, too
    assert not [*spread.COPIES.iterdir()]


def test_a_sweep_ends_in_an_experiment_for_each_network(run_spread):
    assert run_spread(0, 0, 0, 0, arch=["small", "tiny"], seeds=[0, 1]) == [
        "repro download",
        "exp run --temp -S arch=small -S seeds=[0, 1]",
        "exp run --temp -S arch=tiny -S seeds=[0, 1]",
    ]
    run_spread.commands.clear()
    assert run_spread(0, seeds=[9])[1:] == ["exp run --temp -S arch=tiny -S seeds=[9]"]
    assert run_spread.tracked_alone == [True] * 5  # as in DVC's experiments


def test_a_failed_sample_is_named_with_its_log_and_the_others_end(run_spread, capsys):
    with pytest.raises(InputError, match="^1 of 2 failed; the others are kept; the same command runs the rest$"):
        run_spread(1, 0)
    assert run_spread.commands == ["repro download"]
    failed = "tiny-seed4: failed (1); logs/spread/tiny-seed4.log ends with:\na line\nthe last line of tiny-seed4\n"
    assert failed in capsys.readouterr().out
    assert not [*spread.COPIES.iterdir()]


def test_a_job_that_the_cluster_has_ended_has_failed(run_spread, capsys):
    with pytest.raises(InputError, match="2 of 2 failed"):
        run_spread(RuntimeError("has not produced any output (state: TIMEOUT)"), 1)
    assert "tiny-seed4: failed (has not produced any output (state: TIMEOUT))" in capsys.readouterr().out


def test_what_cannot_run_is_refused_before_anything_is_copied(run_spread, make_params):
    with pytest.raises(
        InputError,
        match=r"^--arch: 'tinny' is no row of archs in catalog.yaml; did you mean tiny\? allowed are tiny, small$",
    ):
        run_spread(arch=["tiny", "tinny"])
    with pytest.raises(InputError, match="^--seeds: 1,2,1 repeats a seed; each sample needs its own$"):
        run_spread(seeds=[1, 2, 1])
    with pytest.raises(InputError, match="^--time=3 --exclusive: is for sbatch; leave it out, or add --cluster slurm"):
        spread.main(make_params(), "local", 2, [], [], ["--time=3", "--exclusive"])
    with pytest.raises(InputError, match="^-p: give sbatch's options as --name=value or --name, such as"):
        spread.main(make_params(), "slurm", 2, [], [], ["--time=3", "-p", "gpu"])
    with pytest.raises(InputError, match="^--time: is ''; give the minutes"):
        spread.main(make_params(), "slurm", 2, [], [], ["--exclusive"])
    assert not run_spread.commands and not spread.COPIES.exists()


def test_ctrl_c_says_how_to_go_on(run_spread):
    with pytest.raises(InputError, match="stopped, and its jobs are ended; the same command goes on"):
        run_spread(KeyboardInterrupt(), 0)


@pytest.mark.parametrize(
    ("named", "expected"), [("1,3", ["1", "3"]), ("GPU-5", ["GPU-5"]), ("", [])], ids=["two", "one", "none"]
)
def test_jobs_share_the_gpus_that_are_visible(named, expected, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert spread.visible_gpus() == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0-4", [0, 1, 2, 3, 4]), ("0,2,7", [0, 2, 7]), ("3", [3]), ("0-1,5", [0, 1, 5])],
)
def test_seeds_are_ranges_and_lists(text, expected):
    assert spread.read_seeds(text) == expected


@pytest.mark.parametrize("text", ["", "a", "0-", "1--2", "0,,1", "4-1", "-1", "1-2-3"])
def test_what_are_no_seeds_is_refused(text):
    with pytest.raises(ArgumentTypeError, match="allowed are numbers and ranges, such as 0-4 or 0,2,5"):
        spread.read_seeds(text)


@pytest.mark.parametrize("text", ["0-99999999999", "0-1000", "4294967296", f"0-{10**30}", "0-999,1000"])
def test_more_samples_or_larger_seeds_than_can_run_are_refused(text):
    assert len(spread.read_seeds("4294966296-4294967295")) == 1000
    with pytest.raises(ArgumentTypeError, match="allowed are at most 1,000 seeds, each below 4,294,967,296"):
        spread.read_seeds(text)


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5"])
def test_no_jobs_at_once_are_refused(text):
    assert spread.read_count("2") == 2
    with pytest.raises(ArgumentTypeError, match="allowed are whole numbers from 1 on"):
        spread.read_count(text)


def test_a_command_of_dvc_that_fails_ends_spread(monkeypatch):
    monkeypatch.setattr(spread, "DVC", [sys.executable, "-c", "import sys; sys.exit(len(sys.argv) - 1)"])
    spread.dvc()
    with pytest.raises(InputError, match="^dvc repro download failed, as it says above$"):
        spread.dvc("repro", "download")


def test_a_network_twice_is_refused(run_spread):
    with pytest.raises(InputError, match="^--arch: tiny,tiny repeats a row; each is run once"):
        run_spread(arch=["tiny", "tiny"])


def test_no_copy_stays_if_one_cannot_be_made(run_spread, monkeypatch):
    def copy(folder: Path, changes: dict[str, object], tracked_alone: bool) -> None:
        folder.mkdir(parents=True)
        if folder.name == "tiny-seed7":
            raise InputError("no room")

    monkeypatch.setattr(spread, "copy_project", copy)
    with pytest.raises(InputError, match="no room"):
        run_spread()
    assert not [*spread.COPIES.iterdir()]


def test_a_job_that_ends_before_it_has_begun_has_no_log(run_spread, capsys):
    job = Job("tiny-seed4", 4, Path.cwd(), Path("copy").absolute(), Path("none.log").absolute(), "abc1234")
    assert not jobs.succeeds(job, Ended(RuntimeError("cancelled")))
    assert capsys.readouterr().out == (
        "tiny-seed4: failed (cancelled); none.log ends with:\nnothing: it did not begin\n"
    )


HOLDER = """
import fcntl, sys
from pathlib import Path
Path(".dvc/tmp").mkdir(parents=True, exist_ok=True)
lock = open(".dvc/tmp/spread.lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
print("holds it", flush=True)
sys.stdin.read()
"""


def test_a_second_spread_is_refused_while_one_runs_and_touches_nothing(run_spread):
    copied, log = spread.COPIES / "tiny-seed4/params.yaml", spread.LOGS / "tiny-seed4.log"
    for file in (copied, log):
        file.parent.mkdir(parents=True)
        file.write_text("of the first", encoding="utf-8")
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdin=PIPE, stdout=PIPE) as holder:
        try:
            assert holder.stdout.readline() == b"holds it\n"
            with pytest.raises(InputError) as raised:
                run_spread()
            assert str(raised.value) == (
                ".dvc/tmp/spread.lock is held: another spread runs in this project; wait until it has ended, or use "
                "another clone"
            )
            assert [file.read_text(encoding="utf-8") for file in (copied, log)] == ["of the first"] * 2
        finally:
            holder.kill()
    shutil.rmtree(spread.COPIES)
    run_spread(0, 0)  # the lock has ended with its process
