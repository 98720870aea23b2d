"""Scores -> ranked labels, of all the model knows or of a list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffres_cli.arrays import Floats
from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.errors import SettingError
from diffres_cli.files import reason
from diffres_cli.tagging.prediction import Label
from diffres_cli.text import NotTextError, nearest, read_text

Indices = NDArray[np.intp]

_SHOWN = 3  # unknown names in one message, and suggestions a name


def rank_labels(
    probabilities: Floats, card: ModelCard, top_k: int, min_confidence: float, allowed: Indices | None = None
) -> tuple[Label, ...]:
    """The classes `top_classes` picks, as labels."""
    return tuple(
        Label(card.classes[i], card.class_ids[i], float(probabilities[i]))
        for i in top_classes(probabilities, top_k, min_confidence, allowed)
    )


def top_classes(
    probabilities: Floats, top_k: int, min_confidence: float, allowed: Indices | None = None
) -> Indices:
    """The `top_k` best classes at or above `min_confidence`, best first; ties in the model's order.

    Args:
        probabilities: [classes], each in [0, 1]. allowed: classes to choose from, ascending; None: all.

    >>> top_classes(np.array([0.2, 0.9, 0.05, 0.2], np.float32), 3, 0.1).tolist()
    [1, 0, 3]
    >>> top_classes(np.array([0.2, 0.9, 0.05, 0.2], np.float32), 3, 0.1, np.array([2, 3])).tolist()
    [3]
    """
    classes = np.arange(len(probabilities)) if allowed is None else allowed
    order = classes[np.argsort(-probabilities[classes], kind="stable")[:top_k]]
    return order[probabilities[order] >= min_confidence]


def pool_scores(so_far: Floats | None, probabilities: Floats) -> Floats:
    """A recording's scores from its windows': the largest, since a sound in one window is in the recording.

    Shape: [classes] and [classes] -> [classes].
    """
    return probabilities if so_far is None else np.maximum(so_far, probabilities)


def select_classes(card: ModelCard, names: Sequence[str]) -> Indices:
    """The classes that a list names, by label or by id, ascending.

    Raises:
        SettingError: an empty list, or a name the model does not know, with those nearest to it.
    """
    if not names:
        raise SettingError("labels", "", "the list is empty; give labels or ids")
    places: dict[str, list[int]] = {}
    for names_of in (card.classes, card.class_ids):
        for index, name in enumerate(names_of):
            places.setdefault(name, []).append(index)
    unknown = [name for name in dict.fromkeys(names) if name not in places]
    if unknown:
        raise SettingError("labels", "", _describe_unknown(unknown, card))
    return np.unique(np.concatenate([places[name] for name in names]))


def check_names(names: object) -> tuple[str, ...]:
    """Label names from any iterable of them.

    Raises:
        SettingError: a single string, which would be read letter by letter, or anything but strings.
    """
    if isinstance(names, (str, bytes)) or not isinstance(names, Iterable):
        raise SettingError("labels", names, "expected a list of names, such as ['Dog', 'Siren']")
    listed = tuple(names)
    for name in listed:
        if not isinstance(name, str):
            raise SettingError("labels", "", f"expected names, found {name!r} among them")
    return listed


def read_names(path: Path) -> tuple[str, ...]:
    """The names in a file, one per line. Blank lines and space around a name are ignored.

    Raises:
        SettingError: the file cannot be read, or is not text.
    """
    try:
        lines = read_text(path).splitlines()
    except OSError as error:
        raise SettingError("labels", path, reason(error)) from error
    except NotTextError as error:
        raise SettingError("labels", path, f"expected text, one label or id a line: {error}") from error
    return tuple(line.strip() for line in lines if line.strip())


def _describe_unknown(names: list[str], card: ModelCard) -> str:
    near = partial(nearest, known=card.classes, otherwise="nothing is spelled like it", most=_SHOWN)
    shown = "; ".join(f"{name!r} ({near(name)})" for name in names[:_SHOWN])
    more = f"; and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{card.name} has no label {shown}{more}"
