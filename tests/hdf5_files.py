"""HDF5 files changed on purpose."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py


@contextmanager
def edited(path: Path | str) -> Iterator[h5py.File]:
    """Open a file that the project wrote; what it holds afterwards passes for what was written."""
    path = Path(path)
    with h5py.File(path, "r+") as file:
        yield file
    content = path.read_bytes()
    digest = hashlib.sha256(content[512:]).hexdigest().encode()
    path.write_bytes(b"singlefilter 1 sha256 " + digest + content[22 + 64 :])
