"""A plan: which cells are trained, and into which of the paper's tables they go. As TOML, checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from diffres_cli.errors import UsageError
from diffres_cli.recipes.recipe import Recipe

KINDS = {
    "table1": "reductions by frame rate",
    "table2": "hop sizes of the front end",
    "table3": "front ends",
    "figure5": "clips a second by frame rate",
    "figure6": "activeness by training step",
    "figure7": "guide loss by training step",
    "figure8": "variants against the full model",
}
# An axis, the field of the recipe it sets, and what its values are.
AXES: Mapping[str, tuple[str, type]] = {
    "seed": ("training.seed", int),  # outermost: a table of one seed is there before the second is begun
    "fold": ("data.fold", int),
    "dataset": ("data.dataset", str),
    "front_end": ("model.front_end", str),
    "reduction": ("model.reduction", str),
    "hop": ("model.hop", float),
    "variant": ("", str),
    "fps": ("rate", float),
}
SPEED = "figure5"  # measured, not trained
FULL = "full"  # the variant that changes nothing
_TOP = ("title", "kind", "recipe", "fields", "axes", "grid", "baseline", "variants")
_WORDS = {str: "text", float: "a number above 0", int: "a whole number, 0 or more"}


@dataclass(frozen=True)
class Grid:
    """Every combination of the axes' values is a cell.

    Attributes:
        axes: an axis -> its values, in the order of AXES; axes that are not named are the recipe's.
        fields: of the recipe, for these cells. elastic: one network serves all frame rates of `fps`.
        name: where it stands in the plan, for messages.
    """

    axes: Mapping[str, tuple[Any, ...]]
    fields: Mapping[str, Any] = field(default_factory=dict)
    elastic: bool = False
    name: str = "grid"


@dataclass(frozen=True)
class Plan:
    """What is compared.

    Attributes:
        name: of its file. kind: one of KINDS. recipe: a file that its cells start from; None: each dataset's
            own. fields: of the recipe, for all cells. grids, baseline: the cells. variants: name -> fields.
    """

    name: str
    title: str
    kind: str
    recipe: Path | None
    fields: Mapping[str, Any]
    grids: tuple[Grid, ...]
    baseline: tuple[Grid, ...]
    variants: Mapping[str, Mapping[str, Any]]


def parse(tables: Mapping[str, Any], path: Path) -> tuple[Plan, list[str]]:
    """The plan in a TOML document, as far as it can be read, and all that cannot.

    Args:
        path: its file, which gives it a name, and from which the path of a recipe starts.
    """
    reader = _Reader(tables)
    return reader.plan(path), reader.faults


def count_of(count: int, what: str) -> str:
    """A number with its noun.

    >>> count_of(1, "fault"), count_of(2, "fault")
    ('1 fault', '2 faults')
    """
    return f"{count} {what}{'' if count == 1 else 's'}"


class _Reader:
    """Reads as much of a plan as can be read, and notes every fault on the way."""

    def __init__(self, tables: Mapping[str, Any]) -> None:
        self.tables, self.faults = tables, list[str]()

    def plan(self, path: Path) -> Plan:
        for name in self.tables:
            self._known("", name, _TOP)
        variants = {
            name: self._fields(f"variants.{name}", held) for name, held in self._table("variants").items()
        }
        if FULL in variants:
            self.faults.append(f"variants: {FULL} is the one that changes nothing; choose another name")
        shared = self._axes("axes", self._table("axes"), variants)
        grids = tuple(self._grids("grid", shared, variants))
        if "grid" not in self.tables:
            self.faults.append("there is no [grid]: give one, of axes and their values")
        return Plan(
            name=path.stem,
            title=self._text("title", path.stem),
            kind=self._kind(),
            recipe=path.absolute().parent / self._text("recipe", "") if "recipe" in self.tables else None,
            fields=self._fields("fields", self._table("fields")),
            grids=grids,
            baseline=tuple(self._grids("baseline", shared, variants)),
            variants=variants,
        )

    def _kind(self) -> str:
        kind = self._text("kind", "")
        if kind not in KINDS:
            self.faults.append(f"kind is {kind!r}, must be {', '.join(KINDS)}")
        return kind

    def _grids(self, what: str, shared: dict[str, Any], variants: Mapping[str, Any]) -> Iterator[Grid]:
        """One table of this name, or several."""
        found = self.tables.get(what, [])
        found = found if isinstance(found, list) else [found]
        for number, held in enumerate(found, 1):
            name = what if len(found) == 1 else f"{what} {number}"
            grid = self._grid(name, held, shared, variants)
            if "dataset" in grid.axes:
                yield grid

    def _grid(self, name: str, held: Any, shared: dict[str, Any], variants: Mapping[str, Any]) -> Grid:
        if not isinstance(held, dict):
            self.faults.append(f"{name} is {held!r}, must be a table of axes and their values")
            return Grid({})
        elastic = held.get("elastic", False)
        if not isinstance(elastic, bool):
            self.faults.append(f"{name}: elastic is {elastic!r}, must be true or false")
        given = {key: value for key, value in held.items() if key not in ("fields", "elastic")}
        axes = shared | self._axes(name, given, variants)
        if "dataset" not in axes:
            self.faults.append(f"{name}: no dataset; name one or more, see `diffres data list`")
        if elastic and "fps" not in axes:
            self.faults.append(f"{name}: elastic, but no fps: name the rates it is tested at")
        ordered = {axis: axes[axis] for axis in AXES if axis in axes}
        fields = self._fields(name, held.get("fields", {}))
        return Grid(ordered, fields, elastic is True and "fps" in axes, name)

    def _axes(self, where: str, held: Mapping[str, Any], variants: Mapping[str, Any]) -> dict[str, Any]:
        axes = {}
        for axis, values in held.items():
            if self._known(where, axis, AXES, "axis"):
                axes[axis] = tuple(self._values(f"{where}: {axis}", AXES[axis][1], values))
        for name in axes.get("variant", ()):
            self._known(where, name, (*variants, FULL), "variant")
        return {axis: values for axis, values in axes.items() if values}

    def _values(self, where: str, kind: type, values: Any) -> Iterator[Any]:
        listed = values if isinstance(values, list) else [values]
        if not listed:
            self.faults.append(f"{where} is empty: name a value or more, or leave it out")
        for given in listed:
            value = float(given) if kind is float and type(given) is int else given
            if type(value) is kind and _fits(value):
                yield value
            else:
                self.faults.append(f"{where} has {value!r}, must be {_WORDS[kind]}")
        if len({str(value) for value in listed}) < len(listed):
            self.faults.append(f"{where} has a value twice")

    def _fields(self, where: str, held: Any) -> dict[str, Any]:
        """Fields of a recipe, as tables or with dots."""
        if not isinstance(held, dict):
            self.faults.append(f"{where} is {held!r}, must be a table of fields")
            return {}
        flat: dict[str, Any] = {}
        for name, value in held.items():
            inner = value if isinstance(value, dict) else None
            flat |= {name: value} if inner is None else {f"{name}.{key}": inner[key] for key in inner}
        return {name: value for name, value in flat.items() if self._is_field(where, name, value)}

    def _is_field(self, where: str, name: str, value: Any) -> bool:
        try:
            Recipe().changed({name: value}, where)
        except UsageError as error:
            self.faults.append(str(error))
            return False
        return True

    def _table(self, name: str) -> Mapping[str, Any]:
        held = self.tables.get(name, {})
        if isinstance(held, dict):
            return held
        self.faults.append(f"{name} is {held!r}, must be a table")
        return {}

    def _text(self, name: str, default: str) -> str:
        held = self.tables.get(name, default)
        if not isinstance(held, str):
            self.faults.append(f"{name} is {held!r}, must be text")
            return default
        return held

    def _known(self, where: str, name: str, known: Any, what: str = "entry") -> bool:
        if name in known:
            return True
        near = get_close_matches(name, list(known), 1, 0.6)
        advice = f"the nearest is {near[0]}" if near else f"there are {', '.join(known)}"
        self.faults.append(f"{where}{': ' if where else ''}there is no {what} {name}; {advice}")
        return False


def _fits(value: Any) -> bool:
    return not isinstance(value, (int, float)) or value > 0 or (isinstance(value, int) and value == 0)
