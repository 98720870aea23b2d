"""ESC-50: 2000 environmental sounds of 5 s in 50 classes and five folds; ESC-10, ten of its classes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from diffres_cli.datasets.clip import Archive, Dataset, Source
from diffres_cli.datasets.folders import find_dataset_folder
from diffres_cli.datasets.lists import read_columns
from diffres_cli.datasets.reader import FoldRow, build_folds

_LIST = "meta/esc50.csv"


def read(root: Path, *, esc10: bool = False) -> Dataset:
    """The dataset in a folder with audio/ and meta/esc50.csv; one that holds ESC-10 only has ten classes.

    Classes are the list's categories in the order of its targets.

    Args:
        esc10: take the rows that are marked as ESC-10 alone.

    Raises:
        DataError: it is not there, or not what it should be.
    """
    source = ESC10 if esc10 else ESC50
    home = find_dataset_folder(root, source, "audio", _LIST)
    columns = read_columns(home / _LIST, "filename", "fold", "target", "category", "esc10")
    rows = (
        FoldRow(place, f"audio/{file}", *rest)
        for place, (file, *rest, marked) in columns
        if marked == "True" or not esc10
    )
    return build_folds(source, home, home / _LIST, rows, [ESC10.classes])


_HOME = "https://github.com/karolpiczak/ESC-50"

ESC50 = Source(
    name="esc50",
    title="ESC-50",
    citation="K. J. Piczak. ESC: Dataset for environmental sound classification. ACM Multimedia 2015",
    licence="CC BY-NC 3.0",
    home=_HOME,
    splits={f"fold{fold}": 400 for fold in range(1, 6)},
    classes=50,
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
    splits={f"fold{fold}": 80 for fold in range(1, 6)},
    classes=10,
    read=partial(read, esc10=True),
    shares=ESC50.name,
)
