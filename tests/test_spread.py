"""Samples as jobs in copies of the project: the same bytes as one after the other, and only what is left runs here."""

import re
import shlex
import signal
import sys

import pytest
from ruamel.yaml import YAML

from tests.test_ranks import KILLED_RANK
from tests.tiny_project import ARCH, Ended, Place, make_place, own_environment

pytestmark = pytest.mark.chain

SAMPLE = ["train_backbone", "extract_features", "train_heads", "filter_matrices", "dilute_filters", "filter_images"]
HERE = sorted(["check_params", "download", "cluster_stats"])
LAST = ("compare_runs", "figures", "explorer", "vega")  # which only read what cluster_stats does, and are left out here
SPREAD = ("stages.spread", "--at-once", "2")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A committed project with two samples, of which nothing has run."""
    environment = own_environment(tmp_path_factory.mktemp("dvc")) | {"OMP_NUM_THREADS": "1"}
    place = make_place(tmp_path_factory.mktemp("spread") / "project", environment)
    place.set_params({"seeds": [0, 1], "precision": "float32"})
    chain = YAML().load(place.folder / "dvc.yaml")
    for stage in LAST:
        del chain["stages"][stage]
    YAML().dump(chain, place.folder / "dvc.yaml")
    place.commit()
    return place


@pytest.fixture(scope="module")
def one_by_one(project: Place) -> Place:
    """The same project after dvc repro."""
    place = project.copied(project.folder.with_name("one_by_one"))
    ended = place.dvc("repro")
    assert ended.code == 0, ended.output
    return place


def log_of(place: Place, job: str) -> Ended:
    return Ended(0, (place.folder / f"logs/spread/{job}.log").read_text(encoding="utf-8"))


def test_two_samples_at_once_give_the_bytes_of_one_after_the_other(project, one_by_one, tmp_path):
    """Sample 0 goes on from a checkpoint of the project itself; its folder's name means much in DVC's settings."""
    place = project.copied(tmp_path / "C#1, %(c)s")
    script = tmp_path / "killed_rank.py"
    script.write_text(KILLED_RANK, encoding="utf-8")
    settings = {"PYTHONPATH": str(place.folder), "KILLED_IN": "3", "KILLED_RANK": "0"}
    assert place.python("stages.download").code == 0
    launcher = shlex.join([sys.executable, str(script)])
    killed = place.python("stages.train_backbone", "--seed", "0", SINGLEFILTER_LAUNCHER=launcher, **settings)
    assert killed.code == -signal.SIGKILL
    ended = place.python(*SPREAD)
    assert ended.code == 0, ended.output
    assert sorted(ended.ran) == HERE
    outs = one_by_one.outs()
    assert place.digests(outs) == one_by_one.digests(outs)
    for seed, first_epoch in ((0, "2"), (1, "0")):
        log = log_of(place, f"tiny-seed{seed}")
        # The last two stages of a sample need nothing of each other: DVC runs either first.
        assert sorted(log.ran) == sorted(["check_params", *(f"{stage}@{seed}" for stage in SAMPLE)])
        assert re.search(rf"tiny on tiny, sample {seed}: epoch (\d)/3", log.output)[1] == first_epoch
    assert not [*(place.folder / ".dvc/tmp/spread").iterdir()]
    again = place.dvc("repro")
    assert (again.code, again.ran) == (0, [])


def test_a_sweep_is_an_experiment_for_each_network(project, tmp_path):
    place = project.copied(tmp_path / "sweep")
    sweep = [*SPREAD, "--arch", "vgg6", "--seeds", "3"]
    place.set_params({f"archs.vgg6.{key}": value for key, value in ARCH.items()})
    place.git("rm", "-r", "--quiet", "--cached", "data/images/tiny")
    refused = place.python(*sweep)
    assert refused.code == 1
    assert refused.output == (
        "spread: data/images/tiny is not known to DVC, and experiments would not have it; dvc add data/images/tiny "
        "first\n"
    )
    assert place.dvc("add", "data/images/tiny").code == 0
    place.commit()
    swept = place.python(*sweep)
    assert swept.code == 0, swept.output
    assert sorted(swept.ran) == sorted([*HERE, "check_params"])  # once here, for the images, and once in a copy
    listed = place.python("stages.compare_experiments").output
    assert len(re.findall(r"tiny +vgg6 +3 +3 +[01]\.\d", listed)) == 1, listed
    assert "arch: tiny" in (place.folder / "params.yaml").read_text(encoding="utf-8")


def test_a_sample_that_another_machine_has_pushed_is_pulled_and_not_trained(project, one_by_one, tmp_path):
    """As docs/many_machines.md has it for machines without a common disk."""
    here, there = project.copied(tmp_path / "here"), one_by_one.copied(tmp_path / "there")
    for place in (here, there):
        assert place.dvc("remote", "add", "-d", "storage", str(tmp_path / "remote")).code == 0
    assert there.dvc("push", "--run-cache").code == 0
    ended = here.dvc("repro", "--pull")
    assert ended.code == 0, ended.output
    assert set(ended.ran) <= {*HERE} - {"download"}
    outs = there.outs()
    assert here.digests(outs) == there.digests(outs)
