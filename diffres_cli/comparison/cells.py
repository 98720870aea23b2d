"""A plan -> its cells: each a recipe, the frame rates it is tested at, and where it stands in the table."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import product
from pathlib import Path
from typing import Any

from diffres_cli.checkpoint.parts import FRONT_ENDS
from diffres_cli.comparison.plan import AXES, FULL, Grid, Plan
from diffres_cli.datasets.reader import USUAL_SECONDS
from diffres_cli.errors import UsageError
from diffres_cli.recipes.files import completed, rate_fields, read_recipe, recipe_for
from diffres_cli.recipes.recipe import Recipe

_PLACE = "data.root"  # where the data lies decides nothing


@dataclass(frozen=True)
class Cell:
    """One network to be trained and tested.

    Attributes:
        recipe: all that decides its outcome; its data.root is empty. rates: tested at, fps.
        variant: its name in the plan. baseline: whether it is what the others are held against.
    """

    recipe: Recipe
    rates: tuple[float, ...]
    variant: str = FULL
    baseline: bool = False

    @cached_property
    def key(self) -> str:
        """A checksum of the recipe. Fields at their defaults do not count, so that a new one changes none."""
        usual = Recipe().flat()
        held = {name: value for name, value in self.recipe.flat().items() if value != usual[name]}
        return hashlib.sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def folder(self) -> str:
        """The name of its folder: cells of two plans that have the same recipe share it."""
        return f"{re.sub('[ :]', '-', self.name)}-{self.key}"

    @property
    def label(self) -> str:
        """The name with its variant, and whether it is the baseline."""
        marks = [self.variant] * (self.variant != FULL) + ["baseline"] * self.baseline
        return f"{self.name} ({', '.join(marks)})" if marks else self.name

    @property
    def name(self) -> str:
        """Words for what it is.

        >>> Cell(Recipe().changed({"data.dataset": "esc10", "data.fold": 2}, ""), (25.0,)).name
        'esc10 paper diffres 25-100fps fold2 seed0'
        """
        data, model, rate = self.recipe.data, self.recipe.model, self.recipe.rate
        fixed = rate.minimum == rate.maximum
        parts = [
            data.dataset,
            model.front_end,
            model.reduction,
            f"{model.hop:g}ms" if model.hop else "",
            f"{rate.minimum:g}fps" if fixed else f"{rate.minimum:g}-{rate.maximum:g}fps",
            f"fold{data.fold}" if data.fold else "",
            f"seed{self.recipe.training.seed}",
        ]
        return " ".join(part for part in parts if part)


def cells_of(plan: Plan, fields: Mapping[str, Any] | None = None) -> list[Cell]:
    """All cells of a plan, in its order; none twice.

    Args:
        fields: of the recipe, for every cell, whatever the plan says.

    Raises:
        UsageError: a recipe cannot be read or has no such field, or a field that an axis decides.
    """
    fields = fields or {}
    Recipe().changed(fields, "--set")
    _refuse_axes(plan, fields)
    found: dict[tuple[str, str, bool], Cell] = {}
    for grid in plan.grids:
        _add(found, plan, grid, fields, False)
    for grid in plan.baseline:
        _add(found, plan, grid, fields, True)
    return list(found.values())


def _add(found: dict[Any, Cell], plan: Plan, grid: Grid, fields: Mapping[str, Any], baseline: bool) -> None:
    for combination in _combinations(grid):
        cell = _cell(plan, grid, combination, fields, baseline)
        place = (cell.key, cell.variant, baseline)
        held = found.get(place)
        rates = tuple(sorted({*cell.rates, *(held.rates if held else ())}))
        found[place] = Cell(cell.recipe, rates, cell.variant, baseline)


def _combinations(grid: Grid) -> Iterator[dict[str, Any]]:
    axes = {name: values for name, values in grid.axes.items() if not (name == "fps" and grid.elastic)}
    for values in product(*axes.values()):
        yield dict(zip(axes, values, strict=True))


def _cell(
    plan: Plan, grid: Grid, values: Mapping[str, Any], fields: Mapping[str, Any], baseline: bool
) -> Cell:
    variant = values.get("variant", FULL)
    chosen = {AXES[axis][0]: value for axis, value in values.items() if axis not in ("fps", "variant")}
    recipe = _start(plan.recipe, values["dataset"])
    for each, origin in (
        (_rates(grid, values), grid.name),
        (plan.fields, "fields"),
        (grid.fields, grid.name),
        (plan.variants.get(variant, {}), f"variants.{variant}"),
        (chosen, grid.name),
        (fields, "--set"),
        ({_PLACE: ""}, ""),
    ):
        recipe = recipe.changed(each, origin)
    recipe = completed(recipe)
    if not recipe.data.seconds:
        recipe = recipe.changed({"data.seconds": USUAL_SECONDS}, "")
    rates = grid.axes.get("fps", ()) if grid.elastic or "fps" not in values else (values["fps"],)
    return Cell(_usual(recipe), tuple(sorted(rates or recipe.rate.validation)), variant, baseline)


def _rates(grid: Grid, values: Mapping[str, Any]) -> dict[str, Any]:
    """Before all other fields: rate.minimum and rate.maximum may widen what an elastic network learns."""
    if "fps" in values:
        return rate_fields(values["fps"], values["fps"])
    if grid.elastic:
        rates = sorted(grid.axes["fps"])
        return rate_fields(rates[0], rates[-1])
    return {}


@cache
def _start(path: Path | None, dataset: str) -> Recipe:
    return read_recipe(path) if path else recipe_for(dataset)


def _usual(recipe: Recipe) -> Recipe:
    """What a front end has anyway, said as if nobody had: the same network is the same cell."""
    model = recipe.model
    if model.front_end not in FRONT_ENDS:
        return recipe
    own = FRONT_ENDS[model.front_end].config
    hop = 0.0 if model.mel.hop == own.hop else model.hop
    return recipe.changed({"model.hop": hop, "model.bins": model.bins * (model.bins != own.mel_bins)}, "")


def _refuse_axes(plan: Plan, fields: Mapping[str, Any]) -> None:
    """Raises UsageError for a field given from outside that the plan spans an axis over."""
    spanned = {
        AXES[axis][0]: axis
        for grid in (*plan.grids, *plan.baseline)
        for axis in grid.axes
        if axis != "variant"
    }
    taken = [name for name in fields if name in spanned or (name.startswith("rate.") and "rate" in spanned)]
    if taken:
        named = ", ".join(spanned.get(name, "fps") for name in taken)
        raise UsageError(f"--set {', '.join(taken)}: the plan's axes ({named}) decide that: edit the plan")
