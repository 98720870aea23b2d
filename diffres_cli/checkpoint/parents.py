"""parents.csv, a table beside a model -> the classes above each class, as Animal is above Dog above Bark.

    mid,parent
    /m/05tny_,/m/0bt9lr

Each row is an id and one directly above it; an id may have several. Ids that are no classes of the model
link those that are. A model without the table has no classes above others.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.checkpoint.find import PARENTS_NAME, SUMS_NAME, ModelFile
from diffres_cli.errors import ModelError
from diffres_cli.text import UNSAFE, encoding_of, escaped, first_few, shortened

HEADER = ("mid", "parent")
_MOST_ROWS, _LONGEST_ID, _MOST_ANCESTORS = 100_000, 1000, 100
Ancestors = Sequence[tuple[int, ...]]


def find_ancestors(model: ModelFile, card: ModelCard) -> Ancestors:
    """For each class of a model the indices of those above it, nearest first.

    Raises:
        ModelError: parents.csv is no such table, goes round in a circle, or names no class of the model.
    """
    if not model.parents:
        return [()] * len(card.classes)
    indices = {mid: index for index, mid in enumerate(card.class_ids)}
    try:
        above = _ancestors(_read_parents(model.parents))
        ids = [above.get(mid, ()) for mid in card.class_ids]
        found = [tuple(indices[mid] for mid in each if mid in indices) for each in ids]
        if not any(found):
            raise ValueError(f"no class of {card.name} is above another in it")
    except CycleError as error:
        raise _damaged(model, f"it goes round in a circle: {first_few(map(repr, error.args[1]))}") from error
    except (ValueError, csv.Error) as error:  # what is no UTF-8 is a ValueError
        raise _damaged(model, escaped(str(error))) from error
    return found


def _damaged(model: ModelFile, problem: str) -> ModelError:
    path = model.path.with_name(PARENTS_NAME)
    return ModelError(f"{path}: {problem}: correct it, or remove it and its line in {SUMS_NAME}")


def _read_parents(data: bytes) -> dict[str, list[str]]:
    """The ids directly above each."""
    parents: dict[str, list[str]] = {}
    for mid, parent in _read_rows(data):
        parents.setdefault(mid, []).append(parent)
    return parents


def _read_rows(data: bytes) -> Iterator[tuple[str, str]]:
    rows = csv.reader(data.decode(encoding_of(data[:2])).splitlines())
    for number, row in enumerate(filter(None, rows)):
        if number == 0 and tuple(row) != HEADER:
            raise ValueError(f"it begins with {shortened(row)}, expected the header {','.join(HEADER)}")
        if number > _MOST_ROWS:
            raise ValueError(f"it has more than {_MOST_ROWS:,} rows")
        if len(row) != len(HEADER) or not all(map(_is_id, row)):
            raise ValueError(f"line {rows.line_num} is {shortened(row)}, expected an id and one above it")
        if number > 0:
            yield row[0], row[1]


def _is_id(text: str) -> bool:
    return 0 < len(text) <= _LONGEST_ID and not UNSAFE.search(text)


def _ancestors(parents: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """All ids above each: its parents, then theirs.

    Raises:
        CycleError: an id is above itself. ValueError: there are far too many.
    """
    found: dict[str, tuple[str, ...]] = {}
    for mid in TopologicalSorter(parents).static_order():  # what is above comes first
        direct = parents.get(mid, ())
        above = dict.fromkeys([*direct, *(each for parent in direct for each in found[parent])])
        if len(above) > _MOST_ANCESTORS:
            raise ValueError(f"{mid!r} has {len(above)} above it, at most {_MOST_ANCESTORS} are read")
        found[mid] = tuple(above)
    return found
