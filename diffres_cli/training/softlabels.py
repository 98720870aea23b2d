"""Tables of probabilities to train against: a teacher's opinion instead of labels.

Two forms. A folder holds, for each source of audio, `NAME.npz` next to `NAME.ogg` (or any other audio):
`window` int [n, 3] (first sample, samples, padded length, at 16 kHz) and `sqrt_probability_255` uint8
[n, classes], round(255 sqrt(p)); it is a dataset of its own, and its sources are its splits. A file,
`TABLE.npz`, holds `name` [n], clips of some other dataset by name, and `sqrt_probability_255` or
`probability` [n, classes].
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffres_cli.audio import MEDIA_EXTENSIONS
from diffres_cli.checkpoint.find import LABELS_NAME, shipped_models
from diffres_cli.datasets import Clip, Dataset
from diffres_cli.datasets.lists import read_columns
from diffres_cli.errors import DataError
from diffres_cli.files import reason

SAMPLE_RATE = 16_000
NAME = "soft-labels"


@dataclass(frozen=True)
class SoftLabels:
    """Probabilities of clips by name, as round(255 sqrt(p)).

    Attributes:
        rows: clip name -> row of `table`, uint8 [n, classes]. path: where they were read.
    """

    rows: dict[str, int]
    table: NDArray[np.uint8]
    path: str

    @property
    def sha256(self) -> str:
        """Of the table, in the order of its names."""
        digest = hashlib.sha256("\n".join(self.rows).encode("utf-8", "surrogateescape"))
        digest.update(self.table.tobytes())
        return digest.hexdigest()

    def rows_of(self, clips: Sequence[Clip]) -> NDArray[np.uint8]:
        """The rows of some clips, [len(clips), classes].

        Raises:
            DataError: some are not in it.
        """
        missing = [clip.name for clip in clips if clip.name not in self.rows]
        if missing:
            raise DataError(f"{self.path}: {len(missing)} clips are not in it, such as {missing[0]}")
        return self.table[[self.rows[clip.name] for clip in clips]]


def read_folder(folder: Path) -> tuple[Dataset, SoftLabels]:
    """A folder of sources as a dataset, and its probabilities.

    Raises:
        DataError: no such folder, a table without audio, or not of this form.
    """
    tables = sorted(folder.glob("*.npz"))
    if not tables:
        raise DataError(f"{folder}: no NAME.npz of probabilities in it; see diffres_cli.training.softlabels")
    read = {path.stem: _arrays(path, "window", "sqrt_probability_255") for path in tables}
    _check_tables(folder, read)
    clips = [clip for name, arrays in read.items() for clip in _clips(folder, name, arrays["window"])]
    table = np.concatenate([arrays["sqrt_probability_255"] for arrays in read.values()])
    classes, ids = _classes(folder, table.shape[1])
    dataset = Dataset(
        name=NAME,
        root=folder,
        classes=classes,
        class_ids=ids,
        multi_label=True,
        seconds=10.0,
        licence="other",
        citation=f"probabilities of a teacher, for audio of {len(tables)} sources: {', '.join(read)}",
        clips=tuple(clips),
    )
    rows = {clip.name: row for row, clip in enumerate(clips)}
    return dataset, SoftLabels(rows, table, str(folder))


def read_table(path: Path, dataset: Dataset) -> SoftLabels:
    """Probabilities for the clips of a dataset.

    Raises:
        DataError: not of this form, or of other classes.
    """
    arrays = _arrays(path, "name")
    roots = arrays.get("sqrt_probability_255")
    if roots is None:
        probability = _arrays(path, "probability")["probability"]
        if not ((probability >= 0) & (probability <= 1)).all():  # NaN is neither
            raise DataError(f"{path}: probability holds values that are not 0 to 1")
        roots = np.round(255 * np.sqrt(probability))
    if roots.shape != (len(arrays["name"]), len(dataset.classes)):
        raise DataError(
            f"{path}: probabilities of shape {roots.shape} for {len(arrays['name'])} names; "
            f"{dataset.name} has {len(dataset.classes)} classes"
        )
    rows = {str(name): row for row, name in enumerate(arrays["name"])}
    return SoftLabels(rows, roots.astype(np.uint8), str(path))


def _check_tables(folder: Path, read: dict[str, dict[str, NDArray[Any]]]) -> None:
    columns = {name: arrays["sqrt_probability_255"].shape[1:] for name, arrays in read.items()}
    first = next(iter(columns))
    for name, arrays in read.items():
        windows, table = arrays["window"], arrays["sqrt_probability_255"]
        if windows.shape != (len(table), 3):
            raise DataError(
                f"{folder}: {name}.npz has windows of shape {windows.shape} for {len(table)} rows of "
                "probabilities; expected 3 numbers for each row"
            )
        if len(columns[name]) != 1 or columns[name] != columns[first]:
            raise DataError(f"{folder}: {name}.npz has {columns[name]} classes, {first}.npz {columns[first]}")


def _clips(folder: Path, name: str, windows: NDArray[Any]) -> list[Clip]:
    audio = next((p for p in sorted(folder.glob(f"{name}.*")) if p.suffix.lower() in MEDIA_EXTENSIONS), None)
    if audio is None:
        raise DataError(f"{folder}: {name}.npz, but no audio of that name")
    return [
        Clip(f"{audio.name}#{row}", audio, (), name, first / SAMPLE_RATE, (first + samples) / SAMPLE_RATE)
        for row, (first, samples, _) in enumerate(windows.tolist())
    ]


def _classes(folder: Path, count: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names and ids, from labels.csv in the folder, or AudioSet's where there are 527."""
    path = folder / LABELS_NAME
    if not path.exists():
        path = next(iter(shipped_models().values())) / LABELS_NAME
    labels = [row for _, row in read_columns(path, "mid", "display_name")]
    if len(labels) != count:
        raise DataError(
            f"{folder}: {count} classes in the tables, {len(labels)} in {path}: put {LABELS_NAME} "
            "(index,mid,display_name) next to them"
        )
    return tuple(name for _, name in labels), tuple(mid for mid, _ in labels)


def _arrays(path: Path, *names: str) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = dict(archive)
    except OSError as error:
        raise DataError(f"{path}: {reason(error)}") from error
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path}: not a table of probabilities: expected an .npz file of plain arrays"
        ) from error
    missing = [name for name in names if name not in arrays]
    if missing:
        raise DataError(f"{path}: holds {', '.join(arrays)}; expected {', '.join(names)}")
    return arrays
