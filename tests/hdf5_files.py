"""HDF5 files written, read, and changed on purpose."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from singlefilter.pipeline.files import read_hdf5, write_hdf5


def write(path: Path, writer: Callable[..., None], *arguments: Any) -> None:
    """Write a file by a store's writer, without what tells its run."""
    with write_hdf5(path) as file:
        writer(file, *arguments)


def read(path: Path, reader: Callable[..., Any], *arguments: Any) -> Any:
    """Read a file by a store's reader."""
    with read_hdf5(path) as (file, _):
        return reader(file, *arguments)


@contextmanager
def edited(path: Path | str) -> Iterator[h5py.File]:
    """Open a file that the project wrote; what it holds afterwards passes for what was written."""
    path = Path(path)
    with h5py.File(path, "r+") as file:
        yield file
    content = path.read_bytes()
    digest = hashlib.sha256(content[512:]).hexdigest().encode()
    path.write_bytes(b"singlefilter 3 sha256 " + digest + content[22 + 64 :])
