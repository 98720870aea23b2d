"""Arabic Speech Commands: 40 words, 30 speakers who each say every word ten times, one second each."""

from __future__ import annotations

from pathlib import Path

from diffres_cli.datasets.clip import Archive, Dataset, Source
from diffres_cli.datasets.folders import find_dataset_folder
from diffres_cli.datasets.lists import read_columns, relative
from diffres_cli.datasets.reader import ListedClip, build

_LISTS = {"train": "train.csv", "validation": "val.csv", "test": "test.csv"}


def read(root: Path) -> Dataset:
    """The dataset in a folder with train.csv, val.csv and test.csv (file, class); classes sorted.

    Raises:
        DataError: it is not there, or not what it should be.
    """
    home = find_dataset_folder(root, SOURCE, *_LISTS.values())
    listed = (
        ListedClip(relative(file, place), (word,), split, place)
        for split, name in _LISTS.items()
        for place, (file, word) in read_columns(home / name, "file", "class")
    )
    return build(SOURCE, home, listed)


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
