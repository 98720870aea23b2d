"""All datasets by name."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from diffres_cli.datasets.clip import Dataset, Source
from diffres_cli.datasets.folders import data_folder, download_hint
from diffres_cli.errors import DataError, UsageError
from diffres_cli.imports import import_object
from diffres_cli.text import nearest

_SOURCES = (  # the module in this package, and the name there
    "audioset:SOURCE",
    "fsd50k:SOURCE",
    "esc50:ESC50",
    "esc50:ESC10",
    "urbansound8k:SOURCE",
    "speechcommands:SOURCE",
    "nsynth:SOURCE",
    "arabic:SOURCE",
    "folder:SOURCE",
)
SOURCES: Mapping[str, Source] = {
    source.name: source for source in (import_object(f"{__package__}.{path}", Source) for path in _SOURCES)
}


def find_source(name: str) -> Source:
    """The facts of a dataset.

    Args:
        name: one of SOURCES, or where Python finds another `Source`: "package.module:NAME". Such a dataset
            has that path as its name, so that a run folder says where it comes from.

    Raises:
        UsageError: there is none; the message has the nearest names.

    >>> find_source("esc-50")
    Traceback (most recent call last):
    diffres_cli.errors.UsageError: no dataset 'esc-50'; nearest: 'esc50', 'esc10'
    >>> find_source("diffres_cli.datasets.esc50:ESC10").title
    'ESC-10, a subset of ESC-50'
    """
    if name in SOURCES:
        return SOURCES[name]
    if ":" in name:
        source = import_object(name, Source)
        return replace(source, name=name, shares=source.folder)
    advice = nearest(name, SOURCES, f"there are {', '.join(SOURCES)}", most=2)
    raise UsageError(f"no dataset {name!r}; {advice}")


def load_dataset(name: str, root: Path | None = None, *, unfinished: bool = False) -> Dataset:
    """The dataset of this name, as found in a folder.

    Args:
        name: as `find_source` takes it.
        root: its folder, for "folder" a table, too; None: where `diffres data download` puts it.
        unfinished: take what is there of a download that was cut off.

    Raises:
        UsageError: the name is unknown.
        DataError: it is not there, or not what it should be, or its download was cut off.
    """
    from diffres_cli.datasets.download.download import is_unfinished

    source = find_source(name)
    if root is None:
        if not source.splits:
            raise DataError(f"the dataset {name!r} is yours: name its folder or table as the data")
        root = data_folder(source.folder)
    if not root.exists():
        official = f"{source.name}: no folder {root}: {download_hint(source)}"
        raise DataError(official if source.splits else f"{root}: no such folder or table")
    if not unfinished and is_unfinished(root):
        raise DataError(f"{root}: its download was cut off: `diffres data download {name}` resumes it")
    # Two million clips are objects that stay: going through them again and again takes a third of the time.
    collects = gc.isenabled()
    gc.disable()
    try:
        return replace(source.read(root), name=source.name)
    finally:
        if collects:
            gc.enable()
