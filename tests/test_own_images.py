"""Own images, kept and shared by DVC: from one clone through a remote into another."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from tests.tiny_project import Place, make_place, own_environment

pytestmark = pytest.mark.chain

IMAGES = "data/images/tiny"


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A project whose chain has run, with its images added, committed and pushed."""
    folder = tmp_path_factory.mktemp("own_images")
    environment = own_environment(tmp_path_factory.mktemp("dvc")) | {"OMP_NUM_THREADS": "1"}
    place = make_place(folder / "first", environment)
    for command in (["repro"], ["add", IMAGES], ["remote", "add", "-d", "storage", str(folder / "remote")], ["push"]):
        ended = place.dvc(*command)
        assert ended.code == 0, ended.output
    place.commit()
    return place


@pytest.fixture
def second(first: Place, tmp_path: Path) -> Place:
    """A clone that holds what Git has, and nothing of DVC's."""
    folder = tmp_path / "second"
    subprocess.run(["git", "clone", "--quiet", first.folder, folder], check=True)
    return Place(folder, first.environment)


def test_every_image_is_pushed_and_none_is_in_git(first):
    files = [path for path in (first.folder / IMAGES).rglob("*") if path.is_file()]
    objects = first.folder.with_name("remote") / "files/md5"
    digests = {hashlib.md5(path.read_bytes()).hexdigest() for path in files}
    assert len(files) == 3 * (12 + 5) and len(digests) == len(files)
    assert all((objects / digest[:2] / digest[2:]).is_file() for digest in digests)
    tracked = subprocess.run(["git", "ls-files", "data"], cwd=first.folder, capture_output=True, encoding="utf-8")
    notes = [f"data/images/{name}README.md" for name in ("", "cifar10/", "cifar100/", "digits/")]
    assert sorted(tracked.stdout.split()) == sorted(["data/images/.gitignore", f"{IMAGES}.dvc", *notes])


def test_a_clone_without_the_images_is_told_how_to_get_them_and_goes_on_from_what_was_pushed(first, second):
    without = second.dvc("repro")
    assert without.code != 0 and without.ran == ["check_params"]
    word = f"{IMAGES} is not here; where the images are needed, get them: dvc pull {IMAGES}\n"
    assert word in without.output and f"missing data 'source': {IMAGES}" in without.output
    pulled = second.dvc("pull")
    assert pulled.code == 0, pulled.output
    again = second.dvc("repro")
    assert (again.code, again.ran) == (0, []), again.output
    assert second.digests(first.outs()) == first.digests(first.outs())


def test_experiments_there_run_what_depends_on_their_change_in_the_workspace_and_in_copies(second):
    assert second.dvc("pull").code == 0
    here = second.dvc("exp", "run", "-S", "figures.dpi=60")
    assert (here.code, here.ran) == (0, ["check_params", "figures"]), here.output
    assert second.dvc("exp", "run", "--queue", "-S", "validation.images=5", "train_backbone@0").code == 0
    copy = second.dvc("exp", "run", "--run-all")  # in a copy, as --temp has it
    assert (copy.code, copy.ran) == (0, ["check_params", "download", "train_backbone@0"]), copy.output
    # DVC has told the copy where the project is.
    log = (second.folder / "logs/stages.jsonl").read_text(encoding="utf-8")
    assert '{"stage": "train_backbone"' in log


def test_a_folder_elsewhere_is_copied_by_import_url(first, tmp_path):
    """The way out that is given where a folder of images is a link."""
    place = make_place(tmp_path / "project", first.environment)
    images = place.folder / IMAGES
    images.rename(tmp_path / "elsewhere")
    images.symlink_to(tmp_path / "elsewhere")
    refused = place.dvc("repro", "download")
    assert f"{IMAGES} is a link to a folder" in refused.output and refused.code != 0
    images.unlink()
    imported = place.dvc("import-url", str(tmp_path / "elsewhere"), IMAGES)
    assert imported.code == 0, imported.output
    ended = place.dvc("repro", "download")
    assert (ended.code, ended.ran) == (0, ["check_params", "download"]), ended.output
    names = Path("data/dataset.h5"), Path("data/image_names.csv")
    assert place.digests(map(str, names)) == first.digests(map(str, names))
