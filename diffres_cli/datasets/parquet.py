"""Tables in Parquet, where its library is installed."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from diffres_cli.errors import DataError
from diffres_cli.imports import required


def read_parquet(path: Path, columns: Collection[str]) -> tuple[list[str], list[dict[str, Any]]]:
    """The names of all columns of a table, and its rows with those of `columns` that it has.

    Raises:
        DataError: it cannot be read, or is not Parquet.
        DependencyError: pyarrow is not installed, or does not load.
    """
    with required(f"{path}: reading Parquet", "diffres[parquet]"):
        from pyarrow import ArrowException, parquet
    try:
        names = list(parquet.read_schema(path).names)
        table = parquet.read_table(path, columns=[name for name in names if name in columns])
    except (OSError, ArrowException) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: cannot be read as Parquet ({reason})") from error
    return names, table.to_pylist()
