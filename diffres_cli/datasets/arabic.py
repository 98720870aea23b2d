"""Arabic Speech Commands: 40 words, 30 speakers who each say every word ten times, one second each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from diffres_cli.datasets.build import Listed, build, check_count
from diffres_cli.datasets.clip import Archive, Dataset, Source
from diffres_cli.datasets.listing import Listing, find_home, relative
from diffres_cli.datasets.lists import Labels, read_columns

_LISTS = {"train": "train.csv", "validation": "val.csv", "test": "test.csv"}


def read(root: Path) -> Dataset:
    """The dataset in a folder with train.csv, val.csv and test.csv (file, class); classes sorted.

    Raises:
        DataError: it is not there, or not what it should be.
    """
    home = find_home(root, SOURCE, *_LISTS.values())
    lists = {split: list(read_columns(home / name, "file", "class")) for split, name in _LISTS.items()}
    words = sorted({word for rows in lists.values() for _, (_, word) in rows})
    check_count(SOURCE, home, words)
    labels = Labels(words, home)
    return build(SOURCE, home, words, _listed(home, lists, labels), Listing(home).find)


def _listed(home: Path, lists: dict[str, list[tuple[int, list[str]]]], labels: Labels) -> Iterator[Listed]:
    for split, rows in lists.items():
        path = home / _LISTS[split]
        for line, (file, word) in rows:
            yield Listed(relative(file, path, line), (labels.index(word, path, line),), split)


SOURCE = Source(
    name="arabic-speechcommands",
    title="Arabic Speech Commands",
    citation=(
        "A. Ghandoura, F. Hjabo, O. Al Dakkak. Building and benchmarking an Arabic Speech Commands dataset "
        "for small-footprint keyword spotting. Engineering Applications of Artificial Intelligence 102, 2021"
    ),
    licence="CC BY 4.0",
    home="https://zenodo.org/records/4662481",
    splits={"train": 7200, "validation": 2400, "test": 2400},
    classes=40,
    multi_label=False,
    seconds=1.0,
    read=read,
    # The repository behind the Zenodo record, packed by GitHub on request: it has neither a fixed size nor a
    # checksum, and none was found for the record's own archive.
    archives=(
        Archive(
            url="https://github.com/abdulkaderghandoura/arabic-speech-commands-dataset/archive/master.zip",
            name="arabic-speech-commands-dataset-master.zip",
            size=0,
            checksum="",
        ),
    ),
)
