"""Files that are whole or not there at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from singlefilter.errors import unusable


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path` to write to; put it in the place of `path` once the block has ended well.

    Args:
        path: The file to be written. Its folder is made; what it held before stays until the new is whole.

    Yields:
        The temporary file's path, on the same file system. It is removed if the block raises.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    try:
        yield temporary
        _flush_to_disk(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _flush_to_disk(path.parent)


@contextmanager
def write_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file for writing that takes the place of `path` once the block has ended well.

    The same content gives the same bytes: h5py stores no times unless asked to.
    """
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        yield file


@contextmanager
def read_hdf5(path: Path, made_by: str) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading.

    Args:
        path: The file.
        made_by: The stage that makes it, for the error's way out.

    Raises:
        InputError: The file is missing, short or not HDF5.
    """
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        state = "is not a whole HDF5 file" if Path(path).exists() else "is missing"
        raise unusable(path, state, made_by) from error
    with file:
        yield file


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
