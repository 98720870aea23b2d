"""AudioSet: two million YouTube excerpts of 10 s with 527 classes; the lists are public, the audio is not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from diffres_cli.datasets.clip import Dataset, Source
from diffres_cli.datasets.folders import stem, walk_folders, wrong_folder_error
from diffres_cli.datasets.lists import read_columns, read_rows
from diffres_cli.datasets.reader import ListedClip, build, numbered_classes
from diffres_cli.errors import DataError

_CLASSES = "class_labels_indices.csv"
_LISTS = {
    "balanced": "balanced_train_segments.csv",
    "unbalanced": "unbalanced_train_segments.csv",
    "test": "eval_segments.csv",
}
# A YouTube id, which may start with a Y of its own, and where the excerpt is: in seconds or milliseconds.
_FILE = re.compile(r"Y?([\w-]{11})(?:_\d+(?:\.\d+)?){0,2}", re.ASCII)


def read(root: Path) -> Dataset:
    """The dataset in a folder with class_labels_indices.csv, segment lists, and audio in any folders below.

    Each file is one excerpt, named ID or YID, with any audio extension; its start and end may
    follow, as in YID_30.000_40.000. A clip's name is its id. Lists that are not there are left out. Train on
    balanced and unbalanced, or on balanced alone.

    Raises:
        DataError: it is not there, or not what it should be.
    """
    lists, audio = _find_lists_and_audio(root)
    present = {split: lists[name] for split, name in _LISTS.items() if name in lists}
    if _CLASSES not in lists or not present:
        raise wrong_folder_error(root, SOURCE, _CLASSES, f"one of {', '.join(_LISTS.values())}")
    path = lists[_CLASSES]
    classes = numbered_classes(path, read_columns(path, "index", "display_name", "mid"))
    return build(SOURCE, root, _listed(present), classes, find=audio.get)


def _find_lists_and_audio(root: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """Name -> list, id -> audio file, of `root` and all folders below; the first of each name counts."""
    wanted = {_CLASSES, *_LISTS.values()}
    lists: dict[str, Path] = {}
    audio: dict[str, Path] = {}
    for folder, files in walk_folders(root):
        for file in files:
            name = stem(file)
            if name != file:
                match = _FILE.fullmatch(name)
                audio.setdefault(match[1] if match else name, folder / file)
            elif file in wanted:
                lists.setdefault(file, folder / file)
    return lists, audio


def _listed(lists: Mapping[str, Path]) -> Iterator[ListedClip]:
    for split, path in lists.items():
        for place, row in read_rows(path, skip_space=True):
            if row[0].startswith("#"):
                continue
            if len(row) != 4:
                raise DataError(f"{place}: expected ID, start, end, labels; found {len(row)} cells")
            yield ListedClip(row[0], tuple(row[3].split(",")), split, place)


_LISTS_URL = "http://storage.googleapis.com/us_audioset/youtube_corpus/v1/csv"

SOURCE = Source(
    name="audioset",
    title="AudioSet",
    citation=(
        "J. F. Gemmeke, D. P. W. Ellis, D. Freedman, A. Jansen, W. Lawrence, R. C. Moore, M. Plakal, "
        "M. Ritter. Audio Set: An ontology and human-labeled dataset for audio events. ICASSP 2017"
    ),
    licence="CC BY 4.0 (labels); the audio belongs to the videos' owners",
    home="https://research.google.com/audioset/",
    splits={"balanced": 22_160, "unbalanced": 2_041_789, "test": 20_371},
    classes=527,
    multi_label=True,
    seconds=10.0,
    read=read,
    manual=(
        f"The audio may not be redistributed. Put {_CLASSES}, {', '.join(_LISTS.values())} "
        f"(from {_LISTS_URL}/) into one folder, and the 10 s excerpts you have into it or any folders below, "
        "each named after its YouTube id, as -0RWZT-miFs.wav or Y-0RWZT-miFs_30.000_40.000.flac (any audio "
        "extension)"
    ),
)
