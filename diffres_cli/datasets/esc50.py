"""ESC-50: 2000 environmental sounds of 5 s in 50 classes and five folds; ESC-10, ten of its classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from diffres_cli.datasets.build import Listed, build, check_count
from diffres_cli.datasets.clip import Archive, Dataset, Source
from diffres_cli.datasets.listing import Listing, find_home, relative
from diffres_cli.datasets.tables import read_columns
from diffres_cli.errors import DataError

_LIST = "meta/esc50.csv"
_FOLDS = 5


def read(root: Path) -> Dataset:
    """The dataset in a folder with audio/ and meta/esc50.csv; one that holds ESC-10 only has ten classes.

    Classes are the list's categories in the order of its targets.

    Raises:
        DataError: it is not there, or not what it should be.
    """
    return _read(ESC50, root)


def read_esc10(root: Path) -> Dataset:
    """The rows of ESC-50 that are marked as ESC-10.

    Raises:
        DataError: it is not there, or not what it should be.
    """
    return _read(ESC10, root)


class _Row(NamedTuple):
    line: int
    file: str
    fold: str
    target: int
    category: str


def _read(source: Source, root: Path) -> Dataset:
    home = find_home(root, source, "audio", _LIST)
    path = home / _LIST
    rows = _rows(path, only_esc10=source is ESC10)
    targets = _targets(path, rows)
    check_count(source, path, tuple(targets.values()), ESC10.classes)
    places = {target: place for place, target in enumerate(targets)}
    listed = sorted((_listed(row, places[row.target], path) for row in rows), key=lambda clip: clip.split)
    return build(source, home, list(targets.values()), listed, Listing(home).find)


def _rows(path: Path, *, only_esc10: bool) -> list[_Row]:
    columns = read_columns(path, "filename", "fold", "target", "category", "esc10")
    return [
        _Row(line, file, fold, _number(target, path, line), category)
        for line, (file, fold, target, category, esc10) in columns
        if esc10 == "True" or not only_esc10
    ]


def _number(text: str, path: Path, line: int) -> int:
    try:
        return int(text)
    except ValueError:
        raise DataError(f"{path}, line {line}: expected a number as target, found {text!r}") from None


def _targets(path: Path, rows: Sequence[_Row]) -> dict[int, str]:
    """Target -> category, in the order of targets."""
    targets: dict[int, str] = {}
    for row in rows:
        if targets.setdefault(row.target, row.category) != row.category:
            known = targets[row.target]
            raise DataError(
                f"{path}, line {row.line}: target {row.target} is {row.category}, before it was {known}"
            )
    return dict(sorted(targets.items()))


def _listed(row: _Row, label: int, path: Path) -> Listed:
    if row.fold not in map(str, range(1, _FOLDS + 1)):
        raise DataError(f"{path}, line {row.line}: expected a fold from 1 to {_FOLDS}, found {row.fold!r}")
    return Listed(relative(f"audio/{row.file}", path, row.line), (label,), f"fold{row.fold}")


_HOME = "https://github.com/karolpiczak/ESC-50"

ESC50 = Source(
    name="esc50",
    title="ESC-50",
    citation="K. J. Piczak. ESC: Dataset for environmental sound classification. ACM Multimedia 2015",
    licence="CC BY-NC 3.0",
    home=_HOME,
    splits={f"fold{fold}": 400 for fold in range(1, _FOLDS + 1)},
    classes=50,
    multi_label=False,
    seconds=5.0,
    read=read,
    # The last commit of the release. GitHub publishes no checksum; this is what several projects found in it.
    archives=(
        Archive(
            url=f"{_HOME}/archive/33c8ce9eb2cf0b1c2f8bcf322eb349b6be34dbb6.zip",
            name="ESC-50-master.zip",
            size=645_832_161,
            checksum="sha256:661183a6f53ef04f12c9bd618fed0ddc1713280d6c94a5a5431e844ba6f6a21f",
        ),
    ),
)

ESC10 = replace(
    ESC50,
    name="esc10",
    title="ESC-10, a subset of ESC-50",
    licence="CC BY 3.0",
    splits={f"fold{fold}": 80 for fold in range(1, _FOLDS + 1)},
    classes=10,
    read=read_esc10,
    shares=ESC50.name,
)
