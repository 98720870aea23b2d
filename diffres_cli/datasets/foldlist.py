"""A list with a fold, a class number and a class name for each clip -> a Dataset."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from diffres_cli.datasets.build import Listed, build, check_count
from diffres_cli.datasets.clip import Dataset, Source
from diffres_cli.datasets.listing import Listing, relative
from diffres_cli.errors import DataError


class FoldRow(NamedTuple):
    """A row as read: the file below the dataset's folder, its fold ("1"), its class by number and name."""

    line: int
    file: str
    fold: str
    number: str
    label: str


def build_folds(source: Source, table: Path, home: Path, rows: Sequence[FoldRow], *allowed: int) -> Dataset:
    """The dataset of these rows; its classes are in the order of their numbers, its clips in that of folds.

    Args:
        table: where the rows stand. home: the dataset's folder. allowed: as `check_count` takes it.

    Raises:
        DataError: a fold, a class or a file that cannot be.
    """
    numbers = [_number(row, table) for row in rows]
    classes = _classes(rows, numbers, table)
    check_count(source, table, tuple(classes.values()), *allowed)
    indices = {number: index for index, number in enumerate(classes)}
    listed = [_listed(source, row, indices[number], table) for row, number in zip(rows, numbers, strict=True)]
    folds = list(source.splits)
    listed.sort(key=lambda clip: folds.index(clip.split))
    return build(source, home, list(classes.values()), listed, Listing(home).find)


def _number(row: FoldRow, table: Path) -> int:
    try:
        return int(row.number)
    except ValueError:
        raise DataError(
            f"{table}, line {row.line}: expected the number of a class, found {row.number!r}"
        ) from None


def _classes(rows: Sequence[FoldRow], numbers: Sequence[int], table: Path) -> dict[int, str]:
    classes: dict[int, str] = {}
    for row, number in zip(rows, numbers, strict=True):
        known = classes.setdefault(number, row.label)
        if known != row.label:
            raise DataError(f"{table}, line {row.line}: class {number} is {row.label}, before it was {known}")
    return dict(sorted(classes.items()))


def _listed(source: Source, row: FoldRow, label: int, table: Path) -> Listed:
    split = f"fold{row.fold}"
    if split not in source.splits:
        raise DataError(
            f"{table}, line {row.line}: expected a fold from 1 to {len(source.splits)}, found {row.fold!r}"
        )
    return Listed(relative(row.file, table, row.line), (label,), split)
