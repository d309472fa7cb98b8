"""Tables as CSV files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from singlefilter.pipeline.errors import UnusableFile
from singlefilter.pipeline.files import replacing


def write_table(path: Path, table: pd.DataFrame, float_format: str | None = None) -> None:
    """Write a table whose bytes do not depend on the machine.

    Args:
        path: The CSV file.
        table: The table; its index is left out.
        float_format: Of pandas.DataFrame.to_csv; by default numbers are written in full.

    Raises:
        InputError: The disk is full, or the file or its folder may not be written.
    """
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, float_format=float_format, lineterminator="\n", encoding="utf-8")


def read_table(path: Path, columns: Mapping[str, type] | None = None, **options: Any) -> pd.DataFrame:
    """Read a table.

    Args:
        path: The CSV file.
        columns: Columns that must be there, and what they hold: int, str, or float where a number may be missing.
        **options: Of pandas.read_csv.

    Raises:
        UnusableFile: The file is missing, no table, without rows, or lacks a column.
    """
    try:
        table = pd.read_csv(path, **options)
        table = table.astype(dict(columns or {}))
    except OSError as error:
        raise UnusableFile.of(path, error) from error
    except (KeyError, ValueError) as error:
        raise UnusableFile(path, f"is not whole ({error})") from error
    if table.empty:
        raise UnusableFile(path, "has no rows")
    return table
