"""Scores -> ranked labels, of all the model knows or of a list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffres_cli.arrays import Floats
from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.checkpoint.parents import Ancestors
from diffres_cli.errors import SettingError
from diffres_cli.files import reason
from diffres_cli.tagging.prediction import Label
from diffres_cli.text import NotTextError, nearest, read_text

Indices = NDArray[np.intp]
RANKINGS = ("specific", "scores")

SPECIFIC_SHARE = 0.5
"""A label stands before those above it, such as Dog before Animal, of whose score it has this share.

Chosen on labelled clips by scripts/evaluate_first_label.py; docs/first-label.md has the figures."""
_SHOWN = 3  # unknown names in one message, and suggestions a name


@dataclass(frozen=True)
class Ranker:
    """Scores -> the labels that are reported, and in which order.

    Attributes:
        ancestors: see `find_ancestors`. ranking: "specific" or "scores"; the others: see `top_classes`.
    """

    card: ModelCard
    ancestors: Ancestors
    top_k: int = 5
    min_confidence: float = 0.1
    allowed: Indices | None = None
    ranking: str = "specific"

    def top_classes(self, probabilities: Floats) -> Indices:
        """See the function of this name."""
        above = self.ancestors if self.ranking == "specific" else None
        return top_classes(probabilities, self.top_k, self.min_confidence, self.allowed, above)

    def top_labels(self, probabilities: Floats) -> tuple[Label, ...]:
        """The same classes as labels."""
        return tuple(self._label(i, float(probabilities[i])) for i in self.top_classes(probabilities))

    def _label(self, index: int, score: float) -> Label:
        parents = tuple(self.card.classes[i] for i in self.ancestors[index])
        return Label(self.card.classes[index], self.card.class_ids[index], score, parents)


def top_classes(
    probabilities: Floats,
    top_k: int,
    min_confidence: float,
    allowed: Indices | None = None,
    ancestors: Ancestors | None = None,
) -> Indices:
    """The `top_k` best classes at or above `min_confidence`, best first; ties in the model's order.

    Args:
        probabilities: [classes], each in [0, 1]. allowed: classes to choose from, ascending; None: all.
        ancestors: of each class, to put specific ones first; None: by scores alone.

    >>> top_classes(np.array([0.2, 0.9, 0.05, 0.2], np.float32), 3, 0.1).tolist()
    [1, 0, 3]
    >>> top_classes(np.array([0.2, 0.9, 0.05, 0.2], np.float32), 3, 0.1, np.array([2, 3])).tolist()
    [3]
    """
    classes = np.arange(len(probabilities)) if allowed is None else allowed
    order = classes[np.argsort(-probabilities[classes], kind="stable")]
    order = order[probabilities[order] >= min_confidence]
    if ancestors is not None:
        order = put_specific_first(order, probabilities, ancestors)
    return order[:top_k]


def put_specific_first(
    order: Indices, probabilities: Floats, ancestors: Ancestors, share: float = SPECIFIC_SHARE
) -> Indices:
    """Classes by score -> each moved before the first of its ancestors of whose score it has `share`.

    Shape: [n] -> [n].

    >>> animal_dog_rain = np.array([0.9, 0.5, 0.8], np.float32)
    >>> put_specific_first(np.array([0, 2, 1]), animal_dog_rain, [(), (0,), ()]).tolist()
    [1, 0, 2]
    """
    placed: list[int] = []
    for each in order.tolist():
        above = ancestors[each]
        reached = (i for i in placed if i in above and probabilities[each] >= share * probabilities[i])
        first = next(reached, None) if above else None
        placed.insert(len(placed) if first is None else placed.index(first), each)
    return np.array(placed, np.intp)


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
