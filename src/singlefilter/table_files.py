"""Tables as CSV files, read so that one that cannot be used is named."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from singlefilter.errors import unusable


def read_table(path: Path, made_by: str, **options: object) -> pd.DataFrame:
    """Read a table.

    Args:
        path: The CSV file.
        made_by: The stage that makes it, for the error's way out.
        **options: Of pandas.read_csv.

    Raises:
        InputError: The file is missing or no table.
    """
    try:
        return pd.read_csv(path, **options)
    except (OSError, ValueError) as error:
        raise unusable(path, f"is missing or not whole ({error})", made_by) from error


def read_samples(folder: Path, seeds: Sequence[int], numbers: Mapping[str, type], stage: str) -> pd.DataFrame:
    """Read the tables seed0.csv, … of several samples, one after the other.

    Args:
        folder: Where they are.
        seeds: The samples.
        numbers: Columns that must be there, and what they hold: int, or float where a number may be missing.
        stage: That makes them, for the error's way out.

    Returns:
        Their rows, with a first column `seed`.

    Raises:
        InputError: A file is missing, no table, without rows, or lacks the numbers.
    """
    tables = []
    for seed in seeds:
        path, made_by = folder / f"seed{seed}.csv", f"{stage}@{seed}"
        table = read_table(path, made_by)
        try:
            table = table.astype(dict(numbers)).drop(columns="seed", errors="ignore")
        except (KeyError, ValueError) as error:
            raise unusable(path, f"is not whole ({error})", made_by) from error
        if table.empty:
            raise unusable(path, "has no rows", made_by)
        table.insert(0, "seed", seed)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)
