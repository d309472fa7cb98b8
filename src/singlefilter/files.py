"""Files that are whole or not there at all."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import h5py

from singlefilter.errors import InputError, unusable

# What a file begins with, before the digest of all that comes after: the place that HDF5 leaves free, its user block.
SEAL = b"singlefilter 1 sha256 "  # 1: the version of the files' format
USER_BLOCK = 512  # bytes


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path` to write to; put it in the place of `path` once the block has ended well.

    Args:
        path: The file to be written. Its folder is made; what it held before stays until the new is whole.

    Yields:
        The temporary file's path, on the same file system; each process has its own. It is removed if the block raises,
        and where a process was killed, by the next one that writes `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_left_overs(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield temporary
        _flush_to_disk(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _flush_to_disk(path.parent)


def require_space(folder: Path, needed: int, way_out: str) -> None:
    """Refuse to begin what the disk cannot hold.

    Args:
        folder: Where files are going to be written; it is made.
        needed: Bytes, beside what is there: old files stay until the new are whole.
        way_out: What to do, beside freeing the disk, to need less.

    Raises:
        InputError: The disk has less free.
    """
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InputError(
            f"{folder} is to hold {_gibibytes(needed)}, and its disk has {_gibibytes(free)} free; "
            f"free the rest, or {way_out}"
        )


@contextmanager
def write_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file for writing that takes the place of `path` once the block has ended well.

    The same content gives the same bytes: h5py stores no times unless asked to. The file begins with a digest of the
    rest, by which read_hdf5 notices damage; other readers of HDF5 skip it.
    """
    with replacing(path) as temporary:
        with h5py.File(temporary, "w", userblock_size=USER_BLOCK) as file:
            yield file
        with temporary.open("r+b") as whole:
            digest = _content_digest(whole)
            whole.seek(0)
            whole.write(SEAL + digest.encode())


@contextmanager
def read_hdf5(path: Path, made_by: str) -> Iterator[h5py.File]:
    """Open an HDF5 file that write_hdf5 wrote.

    Args:
        path: The file.
        made_by: The stage that makes it, for the error's way out.

    Raises:
        InputError: The file is missing, of another kind or version, or not as it was written.
    """
    with _open(path, made_by) as whole:  # once: the path may have a new file a moment later
        if _read_seal(whole, path, made_by) != _content_digest(whole):
            raise unusable(path, "is damaged: its content is not what was written", made_by)
        with h5py.File(whole, "r") as file:
            yield file


def read_digest(path: Path, made_by: str) -> str:
    """Give the digest of a file that write_hdf5 wrote, SHA-256 in hex: what tells it from any other.

    Args:
        path: The file.
        made_by: The stage that makes it, for the error's way out.

    Raises:
        InputError: The file is missing, or of another kind or version.
    """
    with _open(path, made_by) as file:
        return _read_seal(file, path, made_by)


def _open(path: Path, made_by: str) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise unusable(path, "is missing", made_by) from error


def _read_seal(file: BinaryIO, path: Path, made_by: str) -> str:
    seal = file.read(len(SEAL) + 64)
    if len(seal) < len(SEAL) + 64 or not seal.startswith(SEAL):
        raise unusable(path, "is not a file of this project's present format", made_by)
    return seal[len(SEAL) :].decode("ascii", errors="replace")


def _gibibytes(count: int) -> str:
    return f"{count / 2**30:.3g} GiB"


def _content_digest(file: BinaryIO) -> str:
    file.seek(USER_BLOCK)
    return hashlib.file_digest(file, "sha256").hexdigest()


def _remove_left_overs(path: Path) -> None:
    """Remove what processes of this machine that are no more had begun to write in the place of `path`."""
    for left_over in path.parent.glob(f".{path.name}.*.partial"):
        process = left_over.name.split(".")[-2]
        if process.isdecimal() and not _is_running(int(process)):
            left_over.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)  # no signal, only the question
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        pass
    return True


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
