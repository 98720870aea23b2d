"""A model's labels against a dataset's: the same, mapped by a file, or refused with the difference."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from diffres_cli.arrays import Floats
from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.datasets.clip import Dataset
from diffres_cli.datasets.lists import read_columns
from diffres_cli.errors import UsageError
from diffres_cli.text import first_few, nearest

HEADER = ("label", "model_label")


@dataclass(frozen=True)
class LabelMap:
    """Which of a model's scores are each dataset class's: `columns` holds their indices, class by class."""

    columns: tuple[tuple[int, ...], ...]

    def apply(self, probabilities: Floats) -> Floats:
        """The dataset's scores: of several model labels the largest.

        Shape: [N, model classes] -> [N, dataset classes].

        >>> LabelMap(((2,), (0, 1))).apply(np.array([[0.1, 0.7, 0.2]], np.float32)).round(1).tolist()
        [[0.20000000298023224, 0.699999988079071]]
        """
        return np.stack([probabilities[:, list(places)].max(1) for places in self.columns], 1)


def match_labels(card: ModelCard, dataset: Dataset) -> LabelMap:
    """The map where the model's labels are the dataset's, in any order, by name or by id.

    Raises:
        UsageError: they are not; the message says which are missing and which are extra.
    """
    for known, wanted in ((card.classes, dataset.classes), (card.class_ids, dataset.class_ids)):
        places = {name: place for place, name in enumerate(known)}
        if len(known) == len(wanted) and places.keys() == set(wanted):
            return LabelMap(tuple((places[name],) for name in wanted))
    raise UsageError(_difference(card, dataset))


def read_map(path: Path, card: ModelCard, dataset: Dataset) -> LabelMap:
    """The map in a CSV file with the columns label and model_label: a row for each pair.

    A dataset's label may have several rows. Model labels may be given by id.

    Raises:
        DataError: it cannot be read. UsageError: a label is unknown, or one of the dataset's has no row.
    """
    classes = {name: place for place, name in enumerate(dataset.classes)}
    scores = {name: place for place, name in [*enumerate(card.class_ids), *enumerate(card.classes)]}
    columns: list[list[int]] = [[] for _ in classes]
    for line, cells in read_columns(path, *HEADER):
        label, model_label = (cell.strip() for cell in cells)
        if label not in classes:
            raise UsageError(f"{line}: {dataset.name} has no label {_suggest(label, classes)}")
        if model_label not in scores:
            raise UsageError(f"{line}: {card.name} has no label {_suggest(model_label, card.classes)}")
        columns[classes[label]].append(scores[model_label])
    bare = [name for name, places in zip(dataset.classes, columns, strict=True) if not places]
    if bare:
        raise UsageError(f"{path}: no row for {first_few(map(repr, bare))} of {dataset.name}")
    return LabelMap(tuple(map(tuple, columns)))


def _difference(card: ModelCard, dataset: Dataset) -> str:
    missing = [name for name in dataset.classes if name not in card.classes]
    extra = [name for name in card.classes if name not in dataset.classes]
    parts = []
    if missing:
        named = [_suggest(name, extra) for name in missing[:3]] + missing[3:]  # to suggest takes its time
        parts.append(f"{len(missing)} of its {len(dataset.classes)} classes missing: {first_few(named)}")
    if extra:
        parts.append(f"{len(extra)} extra: {first_few(map(repr, extra))}")
    return (
        f"{card.name} does not fit {dataset.name}: {'; '.join(parts) or 'a label comes twice'}; "
        f"give a label map (CSV: {','.join(HEADER)}) that maps its labels to classes"
    )


def _suggest(name: str, known: Iterable[str]) -> str:
    near = nearest(name, known)
    return f"{name!r} ({near})" if near else repr(name)
