"""A user's own table of clips and labels, CSV or Parquet."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from diffres_cli.audio import printable
from diffres_cli.datasets.listing import relative
from diffres_cli.datasets.lists import read_rows
from diffres_cli.errors import DataError
from diffres_cli.imports import required

TABLES = (".csv", ".parquet")
_SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_SPLIT_NAMES = {alias: split for split, aliases in _SPLITS.items() for alias in aliases}
_FOLD = re.compile(r"(?:fold)?[ _-]?(\d+)")
_SEPARATOR = re.compile(r"[;|]")
_COLUMNS = ("path", "labels", "start", "end", "split")
_REQUIRED = ("path", "labels")


class LabelledRow(NamedTuple):
    """A row as read; what the table leaves open is None, or "" as the split."""

    line: int
    path: str
    labels: tuple[str, ...]
    start: float | None
    end: float | None
    split: str


def read_table(table: Path) -> list[LabelledRow]:
    """The rows of a table with the columns path, labels, and optionally start, end (seconds) and split.

    Line numbers of a Parquet table count its rows from 1.

    Raises:
        DataError: it cannot be read, a column is missing, or a cell is not what it should be.
        DependencyError: a Parquet table without pyarrow.
    """
    cells = _parquet_cells(table) if table.suffix.lower() == ".parquet" else _csv_cells(table)
    rows = [_row(table, line, values) for line, values in cells]
    if not rows:
        raise DataError(f"{table}: no rows")
    return rows


def split_name(text: str) -> str | None:
    """The split that is meant: train, validation, test, or a numbered fold; None for anything else.

    >>> split_name("Val"), split_name("eval"), split_name("3"), split_name("fold_2"), split_name("rain")
    ('validation', 'test', 'fold3', 'fold2', None)
    """
    name = text.strip().lower()
    fold = _FOLD.fullmatch(name)
    return f"fold{int(fold[1])}" if fold else _SPLIT_NAMES.get(name)


def _csv_cells(table: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    rows = read_rows(table)
    header = [name.strip().lower() for name in next(rows, (1, []))[1]]
    _check_columns(table, header)
    for line, row in rows:
        if len(row) != len(header):
            raise DataError(f"{table}, line {line}: expected {len(header)} cells, found {len(row)}")
        yield line, dict(zip(header, row, strict=True))


def _parquet_cells(table: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    names, rows = _read_parquet(table, _COLUMNS)
    _check_columns(table, names)
    yield from enumerate(rows, 1)


def _read_parquet(path: Path, columns: Collection[str]) -> tuple[list[str], list[dict[str, Any]]]:
    """The names of all columns of a table, and its rows with those of `columns` that it has."""
    with required(f"{path}: reading Parquet", "diffres[parquet]"):
        from pyarrow import ArrowException, parquet
    try:
        names = list(parquet.read_schema(path).names)
        table = parquet.read_table(path, columns=[name for name in names if name in columns])
    except (OSError, ArrowException) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: cannot be read as Parquet ({reason})") from error
    return names, table.to_pylist()


def _check_columns(table: Path, found: Iterable[str]) -> None:
    names = list(found)
    if not set(_REQUIRED) <= set(names):
        listed = ", ".join(printable(name) for name in names) or "an empty file"
        raise DataError(
            f"{table}: expected the columns path and labels (optional: start, end, split); found {listed}"
        )


def _row(table: Path, line: int, cells: Mapping[str, Any]) -> LabelledRow:
    start, end = _seconds(table, line, cells, "start"), _seconds(table, line, cells, "end")
    if end is not None and end <= (start or 0.0):
        raise DataError(
            f"{table}, line {line}: expected an end after the start, found {start or 0:g} to {end:g}"
        )
    path = relative(str(cells["path"] or ""), table, line)
    return LabelledRow(
        line, path, _labels(cells["labels"]), start, end, _split(table, line, cells.get("split"))
    )


def _labels(cell: Any) -> tuple[str, ...]:
    parts = cell if isinstance(cell, list) else _SEPARATOR.split(str(cell)) if cell is not None else []
    return tuple(dict.fromkeys(label for part in parts if (label := str(part).strip())))


def _seconds(table: Path, line: int, cells: Mapping[str, Any], column: str) -> float | None:
    cell = cells.get(column)
    if cell is None or cell == "":
        return None
    try:
        seconds = float(cell)
    except (TypeError, ValueError):
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise DataError(f"{table}, line {line}: expected {column} in seconds from 0, found {cell!r}")
    return seconds


def _split(table: Path, line: int, cell: Any) -> str:
    if cell is None or cell == "":
        return ""
    name = split_name(str(cell))
    if name is None:
        allowed = "train, validation, test, or fold1, fold2, ..."
        raise DataError(f"{table}, line {line}: expected the split {allowed}; found {cell!r}")
    return name
