"""A plan: which cells are trained, and into which of the paper's tables they go. A TOML file, checked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from diffres_cli.errors import UsageError
from diffres_cli.files import read_toml
from diffres_cli.recipes.recipe import Recipe
from diffres_cli.text import nearest

T = TypeVar("T")

PLAN_KINDS = {
    "table1": "reductions by frame rate",
    "table2": "hop sizes of the front end",
    "table3": "front ends",
    "figure5": "clips per second by frame rate",
    "figure6": "activeness by training step",
    "figure7": "guide loss by training step",
    "figure8": "variants against the full model",
}
# An axis, the field of the recipe it sets, and what its values are.
AXES: Mapping[str, tuple[str, type]] = {
    "seed": ("training.seed", int),  # outermost: the table of one seed is complete before the second begins
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
_ENTRIES = ("title", "kind", "recipe", "fields", "axes", "grid", "baseline", "variants")
_TYPES = {dict: "a table", str: "text", bool: "true or false"}
_TYPES |= {float: "a number above 0", int: "a whole number, 0 or more"}
_IN_RANGE: Mapping[type, Callable[[Any], bool]] = {
    str: lambda value: True,
    float: lambda value: value > 0,
    int: lambda value: value >= 0,
}


@dataclass(frozen=True)
class Grid:
    """Every combination of the axes' values is a cell.

    Attributes:
        name: where it stands in the plan, for messages.
        axes: an axis -> its values, in the order of AXES; axes that are not named are the recipe's.
        fields: of the recipe, for these cells.
        elastic: one network serves all frame rates of `fps`.
        baseline: the other cells are compared with these.
    """

    name: str
    axes: Mapping[str, tuple[Any, ...]]
    fields: Mapping[str, Any] = field(default_factory=dict)
    elastic: bool = False
    baseline: bool = False


@dataclass(frozen=True)
class Plan:
    """What is compared.

    Attributes:
        name: of its file. kind: one of PLAN_KINDS. recipe: a file that its cells start from; None: each
            dataset's own. fields: of the recipe, for all cells. variants: name -> fields.
    """

    name: str
    title: str
    kind: str
    recipe: Path | None
    fields: Mapping[str, Any]
    grids: tuple[Grid, ...]
    variants: Mapping[str, Mapping[str, Any]]


def shipped_plans() -> dict[str, Path]:
    """The plans that come with the program, by name."""
    return {path.stem: path for path in sorted((Path(__file__).parent / "plans").glob("*.toml"))}


def read_plan(name: str) -> tuple[Plan, list[str]]:
    """The plan of this name, or in this file, and its faults: see `parse_plan`.

    Raises:
        UsageError: no such plan or file, or not TOML.
    """
    path = shipped_plans().get(name) or Path(name)
    if not os.path.lexists(path):
        advice = nearest(name, shipped_plans(), "`diffres compare --plans` lists them", most=2)
        raise UsageError(f"{name}: no such file, and no plan of that name; {advice}")
    return parse_plan(read_toml(path), path)


def parse_plan(tables: Mapping[str, Any], path: Path) -> tuple[Plan, list[str]]:
    """The plan in a TOML document, as far as it can be read, and all its faults.

    Args:
        path: its file, which gives it a name, and to which the path of a recipe is relative.
    """
    parser = _Parser(tables)
    return parser.plan(path), parser.faults


class _Parser:
    """Reads as much of a plan as can be read, and collects every fault on the way."""

    def __init__(self, tables: Mapping[str, Any]) -> None:
        self.tables, self.faults = tables, list[str]()
        for name in tables:
            self.is_known("", "entry", name, _ENTRIES)
        variants = self.checked("variants", tables.get("variants", {}), dict)
        self.variants = {name: self.fields(f"variants.{name}", held) for name, held in variants.items()}
        if FULL in variants:
            self.faults.append(f"variants: {FULL} is the one that changes nothing; choose another name")
        self.shared_axes = self.axes("axes", self.checked("axes", tables.get("axes", {}), dict))

    def plan(self, path: Path) -> Plan:
        kind = self.tables.get("kind", "")
        if kind not in [*PLAN_KINDS]:
            self.faults.append(f"kind is {kind!r}, must be {', '.join(PLAN_KINDS)}")
        if "grid" not in self.tables:
            self.faults.append("there is no [grid]: give one, of axes and their values")
        recipe = self.checked("recipe", self.tables.get("recipe", ""), str)
        return Plan(
            name=path.stem,
            title=self.checked("title", self.tables.get("title", path.stem), str),
            kind=kind,
            recipe=path.absolute().parent / recipe if recipe else None,
            fields=self.fields("fields", self.tables.get("fields", {})),
            grids=(*self.grids("grid"), *self.grids("baseline")),
            variants=self.variants,
        )

    def grids(self, table: str) -> Iterator[Grid]:
        """One table of this name, or several."""
        found = self.tables.get(table, [])
        found = found if isinstance(found, list) else [found]
        for number, held in enumerate(found, 1):
            name = table if len(found) == 1 else f"{table} {number}"
            grid = self.grid(name, self.checked(name, held, dict), table == "baseline")
            if "dataset" in grid.axes:
                yield grid

    def grid(self, name: str, held: Mapping[str, Any], baseline: bool) -> Grid:
        given = {key: value for key, value in held.items() if key not in ("fields", "elastic")}
        axes = self.shared_axes | self.axes(name, given)
        elastic = self.checked(f"{name}: elastic", held.get("elastic", False), bool)
        if "dataset" not in axes:
            self.faults.append(f"{name}: no dataset; name one or more, see `diffres data list`")
        if elastic and "fps" not in axes:
            self.faults.append(f"{name}: elastic, but no fps: name the rates it is tested at")
        ordered = {axis: axes[axis] for axis in AXES if axis in axes}
        fields = self.fields(name, held.get("fields", {}))
        return Grid(name, ordered, fields, elastic and "fps" in axes, baseline)

    def axes(self, where: str, held: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
        known = {axis: held[axis] for axis in held if self.is_known(where, "axis", axis, AXES)}
        axes = {axis: tuple(self.values(f"{where}: {axis}", axis, known[axis])) for axis in known}
        for name in axes.get("variant", ()):
            self.is_known(where, "variant", name, (*self.variants, FULL))
        return {axis: values for axis, values in axes.items() if values}

    def values(self, where: str, axis: str, given: Any) -> Iterator[Any]:
        _, kind = AXES[axis]
        listed = given if isinstance(given, list) else [given]
        if not listed:
            self.faults.append(f"{where} is empty: name a value or more, or leave it out")
        for each in listed:
            value = float(each) if kind is float and type(each) is int else each
            if type(value) is kind and _IN_RANGE[kind](value):
                yield value
            else:
                self.faults.append(f"{where} has {value!r}, must be {_TYPES[kind]}")
        if len({str(value) for value in listed}) < len(listed):
            self.faults.append(f"{where} has a value twice")

    def fields(self, where: str, held: Any) -> dict[str, Any]:
        """Fields of a recipe, as tables or with dots."""
        flat: dict[str, Any] = {}
        for name, value in self.checked(where, held, dict).items():
            flat |= (
                {f"{name}.{key}": value[key] for key in value} if isinstance(value, dict) else {name: value}
            )
        for name in list(flat):
            try:
                Recipe().changed({name: flat[name]}, where)
            except UsageError as error:
                self.faults.append(str(error))
                del flat[name]
        return flat

    def is_known(self, where: str, what: str, name: str, known: Iterable[str]) -> bool:
        if name in known:
            return True
        advice = nearest(name, known, f"there are {', '.join(known)}")
        self.faults.append(f"{where}{': ' if where else ''}there is no {what} {name}; {advice}")
        return False

    def checked(self, name: str, value: Any, kind: type[T]) -> T:
        """The value, or an empty one of its kind."""
        if isinstance(value, kind):
            return value
        self.faults.append(f"{name} is {value!r}, must be {_TYPES[kind]}")
        return kind()
