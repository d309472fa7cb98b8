"""Jobs whose DVC is a script in their folder: how they are started, queued again and ended."""

import os
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from singlefilter.pipeline.errors import InputError
from singlefilter.spread.jobs import Job, local, slurm

STAND_IN = Path(__file__).with_name("slurm.py")

# Says what it was started with, and then does what a test asks for.
DVC = """
import os, signal, sys
from pathlib import Path
print(sys.argv[1:], os.environ["OMP_NUM_THREADS"], os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
place = Path()
"""
# Says that it has begun, and waits until a test lets it go on, or ends it.
WAITING = "(place / 'begun').open('w').close()\nprint((place / 'go_on').open().read())\n"


@pytest.fixture(autouse=True)
def not_for_ever() -> Iterator[None]:
    """Let a test fail that waits for a job which never comes to its pipe."""

    def too_late(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, too_late)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def wait_until_begun(job: Job) -> None:
    with (job.folder / "begun").open() as pipe:  # opening waits for the other end
        pipe.read()


def let_go_on(job: Job) -> None:
    with (job.folder / "go_on").open("w") as pipe:
        pipe.write("goes on")


@pytest.fixture
def make_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)

    def make(seed: int, does: str = "") -> Job:
        folder = tmp_path / f"job{seed}"
        (folder / ".dvc/tmp").mkdir(parents=True)
        (folder / ".dvc/tmp/rwlock").write_text("of a machine that is no more", encoding="utf-8")
        (folder / "dvc.py").write_text(DVC + does, encoding="utf-8")
        for pipe in ("begun", "go_on"):
            os.mkfifo(folder / pipe)
        return Job(f"job{seed}", seed, tmp_path, folder, tmp_path / f"job{seed}.log", "abc1234")

    return make


def test_a_job_runs_its_sample_with_its_share_of_the_machine(make_job, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {*range(4, 10)}, raising=False)
    made = [make_job(seed, "sys.exit(3 * (place / '.dvc/tmp/rwlock').exists())") for seed in range(3)]
    with local(2, ["0", "GPU-5"]) as submit:
        assert [handle.result() for handle in [submit(job) for job in made]] == [0, 0, 0]
    lines = [job.log.read_text(encoding="utf-8").splitlines() for job in made]
    gpus = {line.split()[-1] for (line,) in lines}
    assert [line.rsplit(maxsplit=1)[0] for (line,) in lines] == [
        f"['repro', 'dilute_filters@{seed}', 'filter_images@{seed}'] 3" for seed in range(3)
    ]
    assert gpus == {"0", "GPU-5"}


def test_what_the_user_has_set_counts_and_a_failure_is_told(make_job, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    job = make_job(0, "sys.exit(7)")
    with local(1, []) as submit:
        assert submit(job).result() == 7
    assert job.log.read_text(encoding="utf-8").split("] ")[1] == "5 \n"


def test_as_many_run_at_once_as_are_allowed(make_job):
    """The first two have both begun before either may end; the third begins after one of them has ended."""
    first, second = (make_job(seed, WAITING) for seed in (0, 1))
    third = make_job(2, "sys.exit(any('goes on' in path.read_text() for path in place.glob('../job[01].log')))")
    with local(2, []) as submit:
        handles = [submit(job) for job in (first, second, third)]
        for act in (wait_until_begun, let_go_on):
            for job in (first, second):
                act(job)
        assert [handle.result() for handle in handles] == [0, 0, 1]


def test_a_job_that_is_ended_before_it_has_a_process_ends_as_soon_as_it_has_one(make_job):
    job = make_job(0, WAITING)
    job.end()
    assert job() == -signal.SIGTERM


def test_jobs_that_run_are_ended_with_their_stages_and_the_others_never_start(make_job):
    stage = f"place = __import__('pathlib').Path()\n{WAITING}"
    running = make_job(0, f"import subprocess\nsubprocess.run([sys.executable, '-c', {stage!r}])\n")
    waiting = make_job(1)
    with pytest.raises(KeyboardInterrupt), local(1, []) as submit:
        handles = [submit(job) for job in (running, waiting)]
        wait_until_begun(running)
        raise KeyboardInterrupt
    assert handles[0].result() == -signal.SIGTERM and handles[1].cancelled()
    with pytest.raises(OSError):  # no process has the other end
        os.open(running.folder / "go_on", os.O_WRONLY | os.O_NONBLOCK)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand-ins for SLURM's commands on the path."""
    folder = tmp_path / "slurm"
    (folder / "jobs").mkdir(parents=True)
    for name in ("sbatch", "srun", "sacct", "scancel", "scontrol"):
        command = folder / name
        stand_in = shlex.join([sys.executable, str(STAND_IN), name])
        command.write_text(f'#!/bin/sh\nexec {stand_in} "$@"\n', encoding="utf-8")
        command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_STAND_IN", str(folder / "jobs"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    return folder


def test_slurm_runs_a_job_with_the_options_that_are_given(make_job, cluster, tmp_path):
    job = make_job(4, "sys.exit(9)")
    with slurm(tmp_path / "logs", ["--gres=gpu:1", "--time=240", "--exclusive"]) as submit:
        assert submit(job).result() == 9
    script = (cluster / "jobs/1/script").read_text(encoding="utf-8")
    assert all(f"#SBATCH --{option}\n" in script for option in ("gres=gpu:1", "time=240", "exclusive"))
    assert job.log.read_text(encoding="utf-8") == "['repro', 'dilute_filters@4', 'filter_images@4'] 1 None\n"


def test_a_job_that_sbatch_refuses_is_a_line_with_its_words(make_job, cluster, tmp_path):
    (cluster / "sbatch").write_text(
        "#!/bin/sh\necho 'invalid partition specified: typo' >&2\nexit 1\n", encoding="utf-8"
    )
    with (
        pytest.raises(InputError, match="(?s)^sbatch refuses job4: .*invalid partition specified: typo"),
        slurm(tmp_path / "logs", ["--time=1", "--partition=typo"]) as submit,
    ):
        submit(make_job(4))


def test_a_job_says_where_the_project_is(make_job, tmp_path):
    job = make_job(0, "print(os.environ['DVC_ROOT'])")
    with local(1, []) as submit:
        assert submit(job).result() == 0
    assert job.log.read_text(encoding="utf-8").splitlines()[-1] == str(tmp_path)


@pytest.mark.parametrize("timeout", [True, False])
def test_a_job_whose_time_is_up_or_that_gives_way_is_queued_again(make_job, cluster, tmp_path, timeout):
    """SLURM's signals reach all processes of a job; without submitit's answer this one would have failed."""
    job = make_job(0, WAITING)
    with slurm(tmp_path / "logs", ["--time=1"]) as submit:
        handle = submit(job)
        wait_until_begun(job)
        handle._interrupt(timeout=timeout)
        wait_until_begun(job)
        let_go_on(job)
        assert handle.result() == 0
    lines = job.log.read_text(encoding="utf-8").splitlines()
    assert [line.split()[0] for line in lines] == ["['repro',", "['repro',", "goes"]


def test_jobs_of_slurm_are_cancelled_when_the_block_raises(make_job, cluster, tmp_path):
    job = make_job(0, WAITING)
    with pytest.raises(KeyboardInterrupt), slurm(tmp_path / "logs", ["--time=1"]) as submit:
        submit(job)
        wait_until_begun(job)
        raise KeyboardInterrupt
    assert (cluster / "jobs/1/state").read_text(encoding="utf-8") == "CANCELLED"


@pytest.mark.parametrize(
    ("options", "said"),
    [([], "--time: is ''; give the minutes"), (["--time=4:00:00"], "--time: is '4:00:00'; give the minutes")],
)
def test_a_job_of_unknown_length_is_refused(options, said, tmp_path, cluster):
    with pytest.raises(InputError, match=said), slurm(tmp_path, options):
        pass


def test_a_machine_without_slurm_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="there is no srun on this machine"), slurm(tmp_path, ["--time=1"]):
        pass
