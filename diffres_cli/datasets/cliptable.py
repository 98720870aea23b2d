"""A user's own table of clips and labels, CSV or Parquet."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from diffres_cli.datasets.folders import stem
from diffres_cli.datasets.lists import check_columns, read_columns, relative
from diffres_cli.datasets.reader import ListedClip
from diffres_cli.errors import DataError
from diffres_cli.imports import required
from diffres_cli.text import to_nfc

TABLES = (".csv", ".parquet")
_SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_SPLIT_NAMES = {alias: split for split, aliases in _SPLITS.items() for alias in aliases}
_FOLD = re.compile(r"(?:fold)?[ _-]?(\d+)")
_REQUIRED, _OPTIONAL = ("path", "labels"), ("start", "end", "split")


def read_table(table: Path) -> list[ListedClip]:
    """The clips of a table with the columns path, labels, and optionally start, end (seconds) and split.

    The lines of a Parquet table are its rows, from 1. A clip without a split gets one by `split_of`.

    Raises:
        DataError: it cannot be read, a column is missing, or a cell is not what it should be.
        DependencyError: a Parquet table without pyarrow.
    """
    is_parquet = table.suffix.lower() == ".parquet"
    rows = _read_parquet(table) if is_parquet else read_columns(table, *_REQUIRED, optional=_OPTIONAL)
    clips = [_clip(place, *(None if cell == "" else cell for cell in cells)) for place, cells in rows]
    if not clips:
        raise DataError(f"{table}: no rows")
    return clips


def split_name(text: str) -> str | None:
    """The split that is meant: train, validation, test, or a numbered fold; None for anything else.

    >>> split_name("Val"), split_name("eval"), split_name("3"), split_name("fold_2"), split_name("rain")
    ('validation', 'test', 'fold3', 'fold2', None)
    """
    name = text.strip().lower()
    fold = _FOLD.fullmatch(name)
    return f"fold{int(fold[1])}" if fold else _SPLIT_NAMES.get(name)


def split_of(name: str) -> str:
    """The split of a clip without an assigned one, by a hash of its name.

    >>> [split_of(f"rain/{n}.wav") for n in range(4)]
    ['train', 'validation', 'train', 'train']
    >>> split_of("rain/1.flac")
    'validation'
    """
    key = to_nfc(stem(name)).encode("utf-8", "surrogateescape")
    tenth = int.from_bytes(hashlib.sha256(key).digest()[:8], "big") % 10
    return {8: "validation", 9: "test"}.get(tenth, "train")


def _read_parquet(path: Path) -> Iterator[tuple[str, list[Any]]]:
    with required(f"{path}: reading Parquet", "diffres[parquet]"):
        from pyarrow import ArrowException, parquet
    try:
        names = list(parquet.read_schema(path).names)
        check_columns(path, names, _REQUIRED, _OPTIONAL)
        table = parquet.read_table(path, columns=[name for name in _REQUIRED + _OPTIONAL if name in names])
    except (OSError, ArrowException) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: cannot be read as Parquet ({reason})") from error
    for line, row in enumerate(table.to_pylist(), 1):
        yield f"{path}, line {line}", [row.get(name) for name in _REQUIRED + _OPTIONAL]


def _clip(place: str, path: Any, labels: Any, start: Any, end: Any, split: Any) -> ListedClip:
    """The clip of a row; None stands for what it leaves open."""
    file = relative(str(path or ""), place)
    first, last = _seconds(place, "start", start), _seconds(place, "end", end)
    if last is not None and last <= (first or 0.0):
        raise DataError(f"{place}: expected an end after the start, found {first or 0:g} to {last:g}")
    name = file
    if first is not None or last is not None:  # as media fragments name excerpts
        name = f"{file}#t={first or 0:g},{'' if last is None else f'{last:g}'}"
    chosen = split_of(file) if split is None else split_name(str(split))
    if chosen is None:
        allowed = "train, validation, test, or fold1, fold2, ..."
        raise DataError(f"{place}: expected the split {allowed}; found {split!r}")
    return ListedClip(name, _labels(labels), chosen, place, first or 0.0, last, file)


def _labels(cell: Any) -> tuple[str, ...]:
    parts = cell if isinstance(cell, list) else [] if cell is None else re.split("[;|]", str(cell))
    return tuple(dict.fromkeys(label for part in parts if (label := str(part).strip())))


def _seconds(place: str, column: str, cell: Any) -> float | None:
    if cell is None:
        return None
    try:
        seconds = float(cell)
    except (TypeError, ValueError):
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise DataError(f"{place}: expected {column} in seconds from 0, found {cell!r}")
    return seconds
