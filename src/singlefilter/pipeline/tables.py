"""Tables as CSV files, with digests beside them, so that one that cannot be used is named.

A CSV file has no place for a digest. So whoever writes tables then writes one more file, in the format of sha256sum:
`sha256sum -c`, in its folder, checks them too. Its first line, a comment, says what the tables were made with.
"""

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from singlefilter.pipeline.errors import unreadable, unusable
from singlefilter.pipeline.files import NOTHING, replacing
from singlefilter.pipeline.provenance import require_same


def write_digests(path: Path, tables: Iterable[Path], made_with: Mapping[str, Any] = NOTHING) -> None:
    """Write the digests of files of one folder, once they are written themselves.

    Args:
        path: The file for them, in that folder.
        tables: The files.
        made_with: What tells their run from others, by name.
    """
    lines = [f"{hashlib.sha256(table.read_bytes()).hexdigest()}  {table.name}" for table in tables]
    with replacing(path) as temporary:
        about = f"# {json.dumps(dict(made_with), sort_keys=True)}"
        temporary.write_text("\n".join([about, *lines]) + "\n", encoding="utf-8")


def read_checked(path: Path, digests: Path, made_by: str, made_with: Mapping[str, Any] = NOTHING) -> bytes:
    """Read a file of which write_digests wrote the digest.

    Args:
        path: The file.
        digests: What write_digests wrote.
        made_by: The stage that makes both, for the error's way out.
        made_with: What it must have been made with.

    Raises:
        InputError: One of them is missing, the file is not as it was written, or is of another run.
    """
    content, (found, by_name) = _read(path, made_by), _read_digests(digests, made_by)
    if by_name.get(path.name) != hashlib.sha256(content).hexdigest():
        raise unusable(path, f"is damaged: its digest is not the one in {digests}", made_by)
    require_same(found, made_with, path, made_by)
    return content


def read_table(
    path: Path, digests: Path, made_by: str, made_with: Mapping[str, Any] = NOTHING, **options: Any
) -> pd.DataFrame:
    """Read a table.

    Args:
        path: The CSV file.
        digests: What write_digests wrote of it.
        made_by: The stage that makes them, for the error's way out.
        made_with: What it must have been made with.
        **options: Of pandas.read_csv.

    Raises:
        InputError: A file is missing, no table, not as it was written, or of another run.
    """
    content = read_checked(path, digests, made_by, made_with)
    try:
        return pd.read_csv(io.BytesIO(content), **options)
    except ValueError as error:
        raise unusable(path, f"is not whole ({error})", made_by) from error


def sample_files(folder: Path, seed: int) -> tuple[Path, Path]:
    """Name a sample's table, and the file with its digest."""
    return folder / f"seed{seed}.csv", folder / f"seed{seed}.sha256"


def read_samples(
    folder: Path,
    seeds: Sequence[int],
    numbers: Mapping[str, type],
    stage: str,
    made_with: Callable[[int], Mapping[str, Any]] = lambda seed: NOTHING,
) -> pd.DataFrame:
    """Read the tables seed0.csv, … of several samples, one after the other.

    Args:
        folder: Where they are.
        seeds: The samples.
        numbers: Columns that must be there, and what they hold: int, or float where a number may be missing.
        stage: That makes them, for the error's way out.
        made_with: What each sample's must have been made with.

    Returns:
        Their rows, with a first column `seed`.

    Raises:
        InputError: A file is missing, no table, not as it was written, of another run, without rows, or lacks the
            numbers.
    """
    tables = []
    for seed in seeds:
        path, digests = sample_files(folder, seed)
        made_by = f"{stage}@{seed}"
        table = read_table(path, digests, made_by, made_with(seed))
        try:
            table = table.astype(dict(numbers)).drop(columns="seed", errors="ignore")
        except (KeyError, ValueError) as error:
            raise unusable(path, f"is not whole ({error})", made_by) from error
        if table.empty:
            raise unusable(path, "has no rows", made_by)
        table.insert(0, "seed", seed)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _read_digests(path: Path, made_by: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Give what tables were made with, and the digest of each by its name, as write_digests wrote them."""
    try:
        about, *lines = _read(path, made_by).decode().splitlines()
        by_name = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
        return dict(json.loads(about.removeprefix("# "))), by_name
    except (ValueError, TypeError) as error:
        raise unusable(path, f"is not whole ({error})", made_by) from error


def _read(path: Path, made_by: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error, made_by) from error
