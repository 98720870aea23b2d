"""Scores -> ranked labels, of all the model knows or of a list."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffres_cli.arrays import Floats
from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.errors import UsageError
from diffres_cli.files import reason
from diffres_cli.tagging.prediction import Label
from diffres_cli.text import NotTextError, read_text

Indices = NDArray[np.intp]

_SHOWN = 3  # unknown names in one message, and suggestions a name


def rank(
    probabilities: Floats, card: ModelCard, top_k: int, min_confidence: float, allowed: Indices | None = None
) -> tuple[Label, ...]:
    """The classes `best` picks, as labels."""
    return tuple(
        Label(card.classes[i], card.class_ids[i], float(probabilities[i]))
        for i in best(probabilities, top_k, min_confidence, allowed)
    )


def best(probabilities: Floats, top_k: int, min_confidence: float, allowed: Indices | None = None) -> Indices:
    """The `top_k` best classes at or above `min_confidence`, best first; ties in the model's order.

    Args:
        probabilities: [classes], each in [0, 1]. allowed: classes to choose from, ascending; None: all.

    >>> best(np.array([0.2, 0.9, 0.05, 0.2], np.float32), 3, 0.1).tolist()
    [1, 0, 3]
    >>> best(np.array([0.2, 0.9, 0.05, 0.2], np.float32), 3, 0.1, np.array([2, 3])).tolist()
    [3]
    """
    classes = np.arange(len(probabilities)) if allowed is None else allowed
    order = classes[np.argsort(-probabilities[classes], kind="stable")[:top_k]]
    return order[probabilities[order] >= min_confidence]


def pool(so_far: Floats | None, probabilities: Floats) -> Floats:
    """A recording's scores from its windows': the largest, since a sound heard once was heard.

    Shape: [classes] and [classes] -> [classes].
    """
    return probabilities if so_far is None else np.maximum(so_far, probabilities)


def select(card: ModelCard, names: Sequence[str]) -> Indices:
    """The classes that a list names, by label or by id, ascending.

    Raises:
        UsageError: an empty list, or a name the model does not know, with those nearest to it.
    """
    if not names:
        raise UsageError("--labels: the list is empty; write one label or id a line")
    places: dict[str, list[int]] = {}
    for names_of in (card.classes, card.class_ids):
        for index, name in enumerate(names_of):
            places.setdefault(name, []).append(index)
    unknown = [name for name in dict.fromkeys(names) if name not in places]
    if unknown:
        raise UsageError(_unknown(unknown, card))
    return np.unique(np.concatenate([places[name] for name in names]))


def read_names(path: Path) -> tuple[str, ...]:
    """The names in a file, one a line; blank lines count for nothing, nor does space around a name.

    Raises:
        UsageError: the file cannot be read, or is not text.
    """
    try:
        lines = read_text(path).splitlines()
    except OSError as error:
        raise UsageError(f"--labels {path}: {reason(error)}") from error
    except NotTextError as error:
        raise UsageError(f"--labels {path}: expected text, one label or id a line: {error}") from error
    return tuple(line.strip() for line in lines if line.strip())


def _unknown(names: list[str], card: ModelCard) -> str:
    shown = "; ".join(f"{name!r} ({_nearest(name, card)})" for name in names[:_SHOWN])
    more = f"; and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"--labels: {card.name} has no label {shown}{more}"


def _nearest(name: str, card: ModelCard) -> str:
    """Labels alike but for case first, then those that hold the name, then those spelled nearly so."""
    folded = {label.casefold(): label for label in card.classes}
    wanted = name.casefold()
    near = [key for key in folded if key == wanted] + [key for key in folded if wanted in key]
    near += get_close_matches(wanted, folded, n=_SHOWN, cutoff=0.5)
    found = list(dict.fromkeys(folded[key] for key in near))[:_SHOWN]
    return f"nearest: {', '.join(map(repr, found))}" if found else "nothing is spelled like it"
