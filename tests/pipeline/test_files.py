import errno
import hashlib
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO

import h5py
import numpy as np
import pytest

from singlefilter.pipeline import files
from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.files import read_hdf5, replacing, require_space, write_hdf5

ROOT = Path(__file__).resolve().parents[2]
KILLED = """
import os, pathlib, signal, sys
from singlefilter.pipeline.files import replacing
with replacing(pathlib.Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_file_appears_whole_at_the_end_in_a_folder_that_is_made(tmp_path):
    path = tmp_path / "metrics" / "deep" / "table.csv"
    with replacing(path) as temporary:
        assert temporary.parent == path.parent
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert names_in(path.parent) == ["table.csv"]


def test_old_content_stays_until_the_new_is_whole(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names_in(tmp_path) == ["table.csv"]


def test_reader_of_the_old_file_keeps_it_whole(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with path.open() as reader:
        with replacing(path) as temporary:
            temporary.write_text("new")
        assert reader.read() == "old"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("old", ["old", None])
def test_block_that_fails_leaves_what_was_there_and_nothing_else(tmp_path, error, old):
    path = tmp_path / "table.csv"
    if old:
        path.write_text(old)
    with pytest.raises(error), replacing(path) as temporary:
        temporary.write_text("half")
        raise error
    assert names_in(tmp_path) == (["table.csv"] if old else [])
    assert not old or path.read_text() == old


def test_what_a_killed_run_left_behind_is_removed_by_the_next(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], env={"PYTHONPATH": str(ROOT / "src")})
    assert killed.returncode == -signal.SIGKILL
    assert len(names_in(tmp_path)) == 2
    assert path.read_text() == "old"
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert names_in(tmp_path) == ["table.csv"]


def test_what_a_killed_run_left_under_the_same_name_is_overwritten(tmp_path):
    path = tmp_path / "table.csv"
    with replacing(path) as temporary:
        left_behind = temporary
        temporary.write_text("new")
    left_behind.write_text("much longer than the new content")
    with replacing(path) as temporary:
        temporary.write_text("newer")
    assert path.read_text() == "newer"
    assert names_in(tmp_path) == ["table.csv"]


def test_two_processes_that_write_the_same_file_at_once_both_leave_it_whole(tmp_path, monkeypatch):
    path = tmp_path / "table.csv"
    with replacing(path) as first:
        first.write_text("the first, which takes longer")
        with monkeypatch.context() as patched:
            patched.setattr(os, "getpid", os.getppid)  # another process that is running
            with replacing(path) as second:
                second.write_text("the second")
        assert path.read_text() == "the second"
    assert path.read_text() == "the first, which takes longer"
    assert names_in(tmp_path) == ["table.csv"]


def write_example(path: Path) -> None:
    with write_hdf5(path) as file:
        file.attrs["name"] = "example"
        group = file.create_group("test")
        group["labels"] = np.arange(1000)
        group.create_dataset("images", data=np.ones((10, 32, 32, 3), np.uint8), chunks=(1, 32, 32, 3))


def test_same_content_gives_the_same_bytes(tmp_path):
    for name in ("one.h5", "two.h5"):
        write_example(tmp_path / name)
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()


def test_no_time_is_stored(tmp_path):
    begin = int(time.time())
    write_example(tmp_path / "file.h5")
    content = (tmp_path / "file.h5").read_bytes()
    for second in range(begin, int(time.time()) + 1):
        assert second.to_bytes(4, "little") not in content


def test_written_file_reads_as_it_was(tmp_path):
    write_example(tmp_path / "file.h5")
    with read_hdf5(tmp_path / "file.h5") as (file, _):
        assert file.mode == "r"
        assert file.attrs["name"] == "example"
        assert file["test/labels"][()].tolist() == list(range(1000))
    assert not file.id.valid


def test_hdf5_block_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.h5"
    write_example(path)
    before = path.read_bytes()
    with pytest.raises(ValueError), write_hdf5(path) as file:
        file["half"] = 1
        raise ValueError
    assert path.read_bytes() == before
    assert names_in(tmp_path) == ["file.h5"]


def refusal_of(path: Path) -> str:
    with pytest.raises(InputError) as raised, read_hdf5(path):
        pass
    return str(raised.value)


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """As with `ulimit -f`, whoever runs the tests."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [0, 600, 5_000, 20_000, 49_000])  # the whole file has 49,784 bytes
def test_hdf5_that_does_not_fit_is_refused_with_its_name_and_the_old_file_stays(tmp_path, size):
    path = tmp_path / "file.h5"
    write_example(path)
    before = path.read_bytes()
    with pytest.raises(InputError) as raised, files_no_larger_than(size):
        write_example(path)
    assert str(raised.value) == (
        f"{path} cannot be written: File too large; lift the limit on the size of files (ulimit -f)"
    )
    assert path.read_bytes() == before
    assert names_in(tmp_path) == ["file.h5"]


def test_a_full_disk_is_named_with_what_it_has_free(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=3 * 2**29))
    with pytest.raises(InputError) as raised, replacing(tmp_path / "table.csv") as temporary:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert str(raised.value) == (
        f"{tmp_path}/table.csv cannot be written: No space left on device; "
        "it needs more than the 1.5 GiB that its disk has free; free more"
    )
    assert names_in(tmp_path) == []


def test_what_may_not_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.csv" / "inner").mkdir(parents=True)
    for path in (tmp_path / "file" / "table.csv", tmp_path / "folder.csv"):
        with pytest.raises(InputError, match=f"^{path} cannot be written: "), replacing(path) as temporary:
            temporary.write_text("new")
    monkeypatch.setattr(os, "replace", lambda *paths: os.rename("no such file", "at all"))
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "table.csv") as temporary:  # not for want of room
        temporary.write_text("new")
    assert sorted(names_in(tmp_path)) == ["file", "folder.csv"]


def test_missing_file_and_a_folder_in_its_place_are_refused(tmp_path):
    path = tmp_path / "layer13.h5"
    path.mkdir()
    assert refusal_of(path) == f"{path} cannot be read (Is a directory)"
    path.rmdir()
    assert refusal_of(path) == f"{path} is missing"
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    "content", [b"", b"layer,noise\n13,1.5\n", b"\x89HDF\r\n\x1a\n", b"singlefilter 1 sha256 " + b"0" * 700]
)
def test_file_of_another_kind_or_version_is_refused(tmp_path, content):
    path = tmp_path / "layer13.h5"
    path.write_bytes(content)
    assert refusal_of(path) == f"{path} is not a file of this project's present format"


@pytest.mark.parametrize("missing_bytes", [1, 100, 5_000])
def test_truncated_file_is_refused(tmp_path, missing_bytes):
    path = tmp_path / "layer13.h5"
    write_example(path)
    path.write_bytes(path.read_bytes()[:-missing_bytes])
    assert refusal_of(path) == f"{path} is damaged: its content is not what was written"


def test_a_flipped_bit_is_noticed_wherever_it_is(tmp_path):
    path = tmp_path / "layer13.h5"
    write_example(path)
    content = path.read_bytes()
    free = range(86, 512)  # between the digest and what it is of: HDF5 reads nothing there
    places = np.random.default_rng(0).integers(len(content), size=200)
    for place in [0, 22, 85, 512, len(content) - 1, *(place for place in places if place not in free)]:
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        assert refusal_of(path).startswith(f"{path} is ")


def test_the_digest_is_of_all_that_hdf5_reads(tmp_path):
    path = tmp_path / "file.h5"
    write_example(path)
    content = path.read_bytes()
    assert content[:86] == b"singlefilter 3 sha256 " + hashlib.sha256(content[512:]).hexdigest().encode()
    assert content[512:520] == b"\x89HDF\r\n\x1a\n"
    with read_hdf5(path) as (_, digest):
        assert digest == content[22:86].decode()
    for place in (30, len(content) - 1):  # of the digest, and of what it is of
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert "file.h5 is damaged" in refusal_of(path)
    path.write_bytes(content)
    with h5py.File(path) as plain:  # as anyone else reads it
        assert plain.attrs["name"] == "example"


def test_error_of_the_reader_is_its_own(tmp_path):
    write_example(tmp_path / "file.h5")
    with pytest.raises(OSError, match="mine"), read_hdf5(tmp_path / "file.h5"):
        raise OSError("mine")


def test_a_reader_whose_file_is_replaced_meanwhile_reads_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "file.h5"
    write_example(path)

    def digest_while_another_writes(file: BinaryIO) -> str:
        with write_hdf5(path) as other:
            other.attrs["name"] = "another"
        return content_digest(file)

    content_digest = files._content_digest
    with monkeypatch.context() as patched:
        calls = iter([digest_while_another_writes])
        patched.setattr(files, "_content_digest", lambda file: next(calls, content_digest)(file))
        with read_hdf5(path) as (file, _):
            assert file.attrs["name"] == "example"
            assert file["test/labels"][()].tolist() == list(range(1000))
    with read_hdf5(path) as (file, _):
        assert file.attrs["name"] == "another"


def test_reading_does_not_change_the_file(tmp_path):
    path = tmp_path / "file.h5"
    write_example(path)
    before = path.read_bytes()
    path.chmod(0o444)
    with read_hdf5(path) as (file, _), pytest.raises((OSError, ValueError, KeyError)):
        file["more"] = 1
    assert path.read_bytes() == before
    assert h5py.is_hdf5(path)


def test_what_the_disk_cannot_hold_is_refused_with_both_sizes(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=3 * 2**29))
    require_space(tmp_path / "deep" / "features", 3 * 2**29, "examine fewer layers")
    with pytest.raises(InputError) as raised:
        require_space(tmp_path / "deep" / "features", 5 * 2**30, "examine fewer layers")
    assert str(raised.value) == (
        f"{tmp_path}/deep/features is to hold 5 GiB, and its disk has 1.5 GiB free; "
        "free the rest, or examine fewer layers"
    )


def fsync_that_fails(monkeypatch: pytest.MonkeyPatch, code: int, of_folder: bool) -> None:
    """Let the system refuse to flush folders, or files."""
    fsync = os.fsync

    def refuse(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode) == of_folder:
            raise OSError(code, os.strerror(code))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse)


@pytest.mark.parametrize(
    ("code", "of_folder"), [(errno.EINVAL, False), (errno.ENOTSUP, False), (errno.EINVAL, True), (errno.EIO, True)]
)
def test_where_the_system_cannot_flush_a_file_is_written_all_the_same(code, of_folder, tmp_path, monkeypatch):
    fsync_that_fails(monkeypatch, code, of_folder)
    path = tmp_path / "table.csv"
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert (path.read_text(), names_in(tmp_path)) == ("new", ["table.csv"])


def test_a_file_whose_content_may_be_lost_does_not_take_the_place_of_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "table.csv"
    path.write_text("old")
    fsync_that_fails(monkeypatch, errno.EIO, of_folder=False)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)), replacing(path) as temporary:
        temporary.write_text("new")
    assert (path.read_text(), names_in(tmp_path)) == ("old", ["table.csv"])
