"""UrbanSound8K: 8732 excerpts of city noise, up to 4 s long, in 10 classes and ten folds."""

from __future__ import annotations

from pathlib import Path

from diffres_cli.datasets.clip import Dataset, Source
from diffres_cli.datasets.folders import find_dataset_folder
from diffres_cli.datasets.lists import read_columns
from diffres_cli.datasets.reader import FoldRow, build_folds

_LIST = "metadata/UrbanSound8K.csv"


def read(root: Path) -> Dataset:
    """The dataset in a folder with audio/fold1 to audio/fold10 and metadata/UrbanSound8K.csv.

    Classes are in the order of their classID. Excerpts of one recording are in one fold: clips must not be
    shuffled across folds.

    Raises:
        DataError: it is not there, or not what it should be.
    """
    home = find_dataset_folder(root, SOURCE, "audio", _LIST)
    columns = read_columns(home / _LIST, "slice_file_name", "fold", "classID", "class")
    rows = (FoldRow(place, f"audio/fold{fold}/{file}", fold, *rest) for place, (file, fold, *rest) in columns)
    return build_folds(SOURCE, home, home / _LIST, rows)


_CLIPS = (873, 888, 925, 990, 936, 823, 838, 806, 816, 837)  # in the folds 1 to 10

SOURCE = Source(
    name="urbansound8k",
    title="UrbanSound8K",
    citation=(
        "J. Salamon, C. Jacoby, J. P. Bello. A dataset and taxonomy for urban sound research. "
        "ACM Multimedia 2014"
    ),
    licence="CC BY-NC 3.0",
    home="https://urbansounddataset.weebly.com/urbansound8k.html",
    splits={f"fold{fold}": clips for fold, clips in enumerate(_CLIPS, 1)},
    classes=10,
    seconds=4.0,
    read=read,
    manual=(
        "Its makers ask who wants it to fill in the form at "
        "https://urbansounddataset.weebly.com/download-urbansound8k.html; unpack UrbanSound8K.tar.gz: "
        f"audio/fold1 to audio/fold10 and {_LIST} are the dataset"
    ),
)
