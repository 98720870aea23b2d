"""Anybody's own clips: a folder per label, or a table of paths and labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from diffres_cli.datasets.clip import Dataset, Source
from diffres_cli.datasets.cliptable import TABLES, read_table, split_name, split_of
from diffres_cli.datasets.folders import contents_of, folders_in, is_audio, walk_folders
from diffres_cli.datasets.reader import ListedClip, build
from diffres_cli.errors import DataError

_NAMED = ("clips.csv", "clips.parquet")  # taken as the table where they lie in the folder


def read(root: Path) -> Dataset:
    """The clips in a folder, or in a CSV or Parquet table.

    A folder with clips.csv or clips.parquet is the table's. In any other, each sub-folder is a label and all
    audio in it and below has that label; names that start with "." or "_" are passed over. Where the
    sub-folders are called train, validation (val, valid, dev) and test (eval), theirs are the labels.

    A table has the columns path (relative to the table, with any audio extension) and labels (one
    cell; several separated by ";" or "|", or a list), and may have start and end (seconds) and split.

    Without splits, a hash of its name without extension puts each file into train (80 %),
    validation (10 %) or test (10 %): the same on every machine, whatever else is there.
    Classes are all labels, sorted. Several may hold at once where a clip of a table has several.

    Raises:
        DataError: there is no audio, no label, or the table is not what it should be.
    """
    in_folder = (root / name for name in _NAMED if (root / name).is_file())
    table = root if root.suffix.lower() in TABLES else next(in_folder, None)
    return _read_folders(root) if table is None else _read_table(table)


def _read_table(table: Path) -> Dataset:
    rows = read_table(table)
    multi_label = any(len(row.labels) > 1 for row in rows)
    unlabelled = next((row for row in rows if not row.labels), None)
    if unlabelled and not multi_label:
        raise DataError(f"{unlabelled.place}: expected one label, found none")
    return build(replace(SOURCE, multi_label=multi_label), table.parent, rows)


def _read_folders(root: Path) -> Dataset:
    tops = folders_in(root)
    splits = {top: split_name(top) for top in tops}
    if tops and all(splits.values()):
        clips = [clip for top in tops for clip in _labelled(root, top, splits[top])]
    else:
        clips = list(_labelled(root, "", None))
    if not clips:
        raise DataError(
            f"expected a sub-folder per label, with audio, or clips.csv with the columns path and labels, in "
            f"{root}; found {contents_of(root)}; for a table of another name, give the table itself"
        )
    return build(SOURCE, root, clips)


def _labelled(root: Path, below: str, split: str | None) -> Iterator[ListedClip]:
    """All audio in the label folders of one folder."""
    for label in folders_in(root / below):
        for folder, files in walk_folders(root / below / label):
            parent = folder.relative_to(root).as_posix()
            names = [f"{parent}/{file}" for file in files if is_audio(file)]
            yield from (ListedClip(name, (label,), split or split_of(name)) for name in names)


SOURCE = Source(
    name="folder",
    title="Your own clips",
    splits={},
    classes=0,
    seconds=0.0,
    read=read,
    manual="Your folder (a sub-folder per label) or table (path, labels) is the data",
)
