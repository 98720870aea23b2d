"""Anybody's own clips: a folder per label, or a table of paths and labels."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from diffres_cli.audio import printable
from diffres_cli.datasets.build import Listed, build
from diffres_cli.datasets.clip import Dataset, Source
from diffres_cli.datasets.cliptable import TABLES, LabelledRow, read_table, split_name
from diffres_cli.datasets.listing import Listing, folders_in, is_audio, stem, walk
from diffres_cli.errors import DataError
from diffres_cli.text import composed

_NAMED = ("clips.csv", "clips.parquet")  # taken as the table where they lie in the folder


def read(root: Path, multi_label: bool | None = None) -> Dataset:
    """The clips in a folder, or in a CSV or Parquet table.

    A folder with clips.csv or clips.parquet is the table's. In any other, each sub-folder is a label and all
    audio in it and below bears it; names that start with "." or "_" are passed over. Where the
    sub-folders are called train, validation (val, valid, dev) and test (eval), theirs are the labels.

    A table has the columns path (relative to the table, with any audio extension) and labels (one
    cell; several separated by ";" or "|", or a list), and may have start and end (seconds) and split.

    Without splits, each file goes by a hash of its name without extension into train (80 %),
    validation (10 %) or test (10 %): the same on every machine, whatever else is there.
    Classes are all labels, sorted.

    Args:
        root: the folder, or the table.
        multi_label: whether several labels may hold at once; None: whether any clip has several.

    Raises:
        DataError: there is no audio, no label, or the table is not what it should be.
    """
    table = root if root.suffix.lower() in TABLES else _table_in(root)
    if table is None:
        return _read_folders(root, bool(multi_label))
    return _read_table(table, multi_label)


def _table_in(root: Path) -> Path | None:
    return next((root / name for name in _NAMED if (root / name).is_file()), None)


def split_of(name: str) -> str:
    """The split of a clip that nobody assigned one: by a hash of its name.

    >>> [split_of(f"rain/{n}.wav") for n in range(4)]
    ['train', 'validation', 'train', 'train']
    >>> split_of("rain/1.flac")
    'validation'
    """
    key = composed(stem(name)).encode("utf-8", "surrogateescape")
    tenth = int.from_bytes(hashlib.sha256(key).digest()[:8], "big") % 10
    return {8: "validation", 9: "test"}.get(tenth, "train")


def _read_table(table: Path, multi_label: bool | None) -> Dataset:
    rows = read_table(table)
    several = next((row for row in rows if len(row.labels) > 1), None)
    if multi_label is None:
        multi_label = several is not None
    if not multi_label:
        _check_single(table, rows)
    classes = sorted({label for row in rows for label in row.labels})
    if not classes:
        raise DataError(f"{table}: no labels in {len(rows)} rows")
    find = Listing(table.parent).find
    listed = _listed(rows, {label: place for place, label in enumerate(classes)})
    return build(
        SOURCE, table.parent, classes, listed, lambda name: find(_file(name)), multi_label=multi_label
    )


def _check_single(table: Path, rows: Sequence[LabelledRow]) -> None:
    for row in rows:
        if len(row.labels) != 1:
            found = ", ".join(map(repr, row.labels)) or "none"
            raise DataError(f"{table}, line {row.line}: expected one label, found {found}")


def _listed(rows: Sequence[LabelledRow], places: dict[str, int]) -> Iterator[Listed]:
    for row in rows:
        labels = tuple(places[label] for label in row.labels)
        yield Listed(_name(row), labels, row.split or split_of(row.path), row.start or 0.0, row.end)


# An excerpt is named as in a media fragment address.
_EXCERPT = "#t="
_ANY_EXCERPT = re.compile(r"#t=[-+.e\d]*,[-+.e\d]*$")


def _name(row: LabelledRow) -> str:
    if row.start is None and row.end is None:
        return row.path
    return f"{row.path}{_EXCERPT}{row.start or 0:g},{'' if row.end is None else f'{row.end:g}'}"


def _file(name: str) -> str:
    return _ANY_EXCERPT.sub("", name)


def _read_folders(root: Path, multi_label: bool) -> Dataset:
    tops = folders_in(root)
    splits = {top: split_name(top) for top in tops}
    if tops and all(splits.values()):
        found = [clip for top in tops for clip in _labelled(root, top, str(splits[top]))]
    else:
        found = list(_labelled(root, "", ""))
    classes = sorted({label for _, label, _ in found})
    if not found:
        raise DataError(_nothing(root))
    places = {label: place for place, label in enumerate(classes)}
    listed = (Listed(name, (places[label],), split or split_of(name)) for name, label, split in found)
    return build(SOURCE, root, classes, listed, root.joinpath, multi_label=multi_label)


def _labelled(root: Path, below: str, split: str) -> Iterator[tuple[str, str, str]]:
    """(name, label, split) of all audio in the label folders of one folder."""
    for label in folders_in(root / below):
        for folder, files in walk(root / below / label):
            parent = folder.relative_to(root).as_posix()
            yield from ((f"{parent}/{file}", label, split) for file in files if is_audio(file))


def _nothing(root: Path) -> str:
    try:
        names = sorted(path.name for path in root.iterdir())
    except OSError as error:
        return f"{root}: cannot be listed ({error.strerror})"
    found = ", ".join(printable(name) for name in names[:4]) or "nothing"
    return (
        f"expected a sub-folder per label, with audio, or clips.csv with the columns path and labels, "
        f"in {root}; found {found}; for a table of another name, give the table itself"
    )


SOURCE = Source(
    name="folder",
    title="Your own clips",
    citation="",
    licence="",
    home="",
    splits={},
    classes=0,
    multi_label=False,
    seconds=0.0,
    read=read,
    manual="Your folder (a sub-folder per label) or table (path, labels) is the data",
)
