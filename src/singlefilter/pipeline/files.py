"""Files that are whole or not there at all."""

import errno
import hashlib
import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import h5py

from singlefilter.pipeline.errors import InputError, UnusableFile

# The start of each file, before the checksum of the rest; HDF5 leaves this place free, its user block.
SEAL = b"singlefilter 3 sha256 "  # 3: the version of the files' format
USER_BLOCK = 512  # bytes
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
CANNOT_FLUSH = (errno.EINVAL, errno.ENOTSUP)  # what shares and FUSE say that have no fsync
NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST)

_unfinished: set[Path] = set()  # temporary files of this process


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path` to write to; put it in the place of `path` once the block has ended well.

    Args:
        path: The file to be written. Its folder is made; what it held before stays until the new is whole.

    Yields:
        The temporary file's path, on the same file system; each process has its own. It is removed if the block raises,
        and where a process was killed, by the next one that writes `path`.

    Raises:
        InputError: The disk is full, or the file or its folder may not be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with _naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_left_overs(path)
        _unfinished.add(temporary)
        try:
            yield temporary
            _flush_to_disk(temporary)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
            _unfinished.discard(temporary)
        with suppress(OSError):  # the file is in its place, whether or not the system can promise more
            _flush_to_disk(path.parent)


def remove_unfinished() -> None:
    """Remove what this process has begun to write and not finished; it must end then."""
    for temporary in [*_unfinished]:
        temporary.unlink(missing_ok=True)


def require_space(folder: Path, needed: int, remedy: str) -> None:
    """Refuse to begin what the disk cannot hold.

    Args:
        folder: Where files are going to be written; it is made.
        needed: Bytes, beside what is there: old files stay until the new are whole.
        remedy: What to do, beside freeing the disk, to need less.

    Raises:
        InputError: The disk has less free.
    """
    with _naming(folder):
        folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InputError(
            f"{folder} is to hold {_gibibytes(needed)}, and its disk has {_gibibytes(free)} free; "
            f"free the rest, or {remedy}"
        )


@contextmanager
def write_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file for writing that replaces `path` once the block has ended without an error.

    The same content gives the same bytes: h5py stores no times by default. The file begins with a checksum of the
    rest, by which read_hdf5 notices damage; other readers of HDF5 skip it.

    Args:
        path: The file.

    Raises:
        InputError: The disk is full, or the file or its folder may not be written.
    """
    with replacing(path) as temporary:
        with _Disk(temporary, "w+") as disk, h5py.File(disk, "w", userblock_size=USER_BLOCK) as file:
            yield file
        with temporary.open("r+b") as whole:
            digest = _content_digest(whole)
            whole.seek(0)
            whole.write(SEAL + digest.encode())


@contextmanager
def read_hdf5(path: Path) -> Iterator[tuple[h5py.File, str]]:
    """Open an HDF5 file that write_hdf5 wrote.

    Args:
        path: The file.

    Yields:
        The open file, and its checksum: SHA-256 in hexadecimal.

    Raises:
        UnusableFile: The file is missing, of another kind or version, or not as it was written.
    """
    with _open(path) as whole:  # once: another process may replace the path's file at any time
        digest = _checked_digest(whole, path)
        with h5py.File(whole, "r") as file:
            yield file, digest


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise UnusableFile.of(path, error) from error


def _checked_digest(file: BinaryIO, path: Path) -> str:
    seal = file.read(len(SEAL) + 64)
    if len(seal) < len(SEAL) + 64 or not seal.startswith(SEAL):
        raise UnusableFile(path, "is not a file of this project's present format")
    digest = _content_digest(file)
    if seal[len(SEAL) :] != digest.encode():
        raise UnusableFile(path, "is damaged: its content is not what was written")
    return digest


class _Disk(io.FileIO):
    """A file for h5py to write to, which tells at its end, and not before, what the system refused.

    HDF5 writes what it still holds when a file is closed, and again when Python ends; where that fails, on a full disk,
    the process dies of a segmentation fault. So what comes after the first refusal is taken in, and dropped.
    """

    refused: OSError | None = None

    def write(self, content: memoryview) -> int:
        rest = content = memoryview(content).cast("B")
        try:
            while rest and not self.refused:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.refused = error
        return len(content)

    def truncate(self, size: int) -> int:
        try:
            return size if self.refused else super().truncate(size)
        except OSError as error:
            self.refused = error
            return size

    def __exit__(self, *exception: object) -> None:
        super().__exit__(*exception)
        if self.refused:
            raise self.refused


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn the system's refusal to write into one line that names the file."""
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            free = _gibibytes(shutil.disk_usage(path.parent).free)
            remedy = f"it needs more than the {free} that its disk has free; free more"
        elif error.errno == errno.EFBIG:
            remedy = "lift the limit on the size of files (ulimit -f)"
        elif error.errno in NOT_WRITABLE:
            remedy = "let it and its folder be written, or put the project elsewhere"
        else:
            raise
        raise InputError(f"{path} cannot be written: {os.strerror(error.errno)}; {remedy}") from error


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
    except OSError as error:
        if error.errno not in CANNOT_FLUSH:
            raise
    finally:
        os.close(descriptor)
