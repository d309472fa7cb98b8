"""A copy of the project in which a part of its chain can run while the project itself is worked on."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from singlefilter.pipeline.artifacts import IMAGES
from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.params_files import load_params
from singlefilter.pipeline.yaml_files import load_yaml

DVC = [sys.executable, "-m", "dvc"]
# Links where the disk has them: what is in the cache is there once. Git is of the project's folder, not of the copy's.
# The cache is a link's: in this file a path might mean something else.
CONFIG = "[core]\nno_scm = true\n[cache]\ndir = cache\ntype = reflink,hardlink,symlink,copy\n"


@contextmanager
def only_one(lock: Path) -> Iterator[None]:
    """Hold a lock for the time of the block; if the process is killed, the lock ends with it.

    Args:
        lock: A file outside of the copies, which are removed.

    Raises:
        InputError: Another process holds it.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"{lock} is held: another spread runs in this project; wait until it has ended, or use another clone"
            ) from error
        yield


def copy_project(folder: Path, changes: Mapping[str, Any], tracked_alone: bool) -> None:
    """Copy what Git tracks or would track, and the data set's images, to a folder that shares DVC's cache.

    Args:
        folder: On the project's disk; what it held is removed.
        changes: Values of params.yaml that the copy has instead of the project's.
        tracked_alone: Whether it has only what Git tracks already, as DVC's experiments have: of other files, DVC would
            find other dependencies there.

    Raises:
        InputError: The project is not under Git and DVC, or the copy's parameters are not allowed.
    """
    cache = Path(_said_by(*DVC, "cache", "dir").removesuffix("\n")).absolute()
    untracked = [] if tracked_alone else ["--others", "--exclude-standard"]
    listed = _said_by("git", "ls-files", "-z", "--cached", *untracked).split("\0")
    images = IMAGES / load_params().dataset
    shutil.rmtree(folder, ignore_errors=True)
    for path in {*map(Path, listed), *images.rglob("*")}:
        if path.is_file():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, folder / path)
    (folder / ".dvc/config.local").write_text(CONFIG, encoding="utf-8")
    cache.mkdir(parents=True, exist_ok=True)
    (folder / ".dvc/cache").symlink_to(cache)
    params = folder / "params.yaml"
    values = load_yaml(params.read_text(encoding="utf-8"))
    params.write_text(yaml.safe_dump(values | dict(changes)), encoding="utf-8")
    load_params(params)


def require_known_images(dataset: str) -> None:
    """Refuse a sweep whose experiments, which run in copies of what Git and DVC know, would lack the images."""
    folder = IMAGES / dataset
    if not _said_by("git", "ls-files", str(folder), f"{folder}.dvc"):
        raise InputError(f"{folder} is not known to DVC, and experiments would not have it; dvc add {folder} first")


def require_known_module(arch: str, module: str | None) -> None:
    """Refuse a sweep whose experiments would lack the file that a row's network comes from."""
    path = (module or "").partition(":")[0]
    if path and not _said_by("git", "ls-files", path):
        raise InputError(f"archs.{arch}: {path} is not known to Git, and experiments would not have it; git add {path}")


def _said_by(*command: str) -> str:
    ended = subprocess.run(command, capture_output=True)
    if ended.returncode:
        said = os.fsdecode(ended.stderr).strip()
        raise InputError(f"a copy is made of what Git and DVC know, and they say: {said}")
    return os.fsdecode(ended.stdout)  # names of files need not be UTF-8
