"""A plan -> its cells: each a recipe, the frame rates it is tested at, and its variant."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
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


@dataclass(frozen=True)
class Cell:
    """One network to be trained and tested.

    Attributes:
        recipe: all that decides its outcome; its data.root is empty. rates: tested at, fps.
        variant: its name in the plan. baseline: whether the others are compared with it.
    """

    recipe: Recipe
    rates: tuple[float, ...]
    variant: str = FULL
    baseline: bool = False

    @cached_property
    def key(self) -> str:
        """A checksum of the recipe. Fields at their defaults do not count, so that a new one changes none."""
        defaults = Recipe().flat()
        changed = {name: value for name, value in self.recipe.flat().items() if value != defaults[name]}
        return hashlib.sha256(json.dumps(changed, sort_keys=True).encode()).hexdigest()[:12]

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
        parts = [
            data.dataset,
            model.front_end,
            model.reduction,
            f"{model.hop:g}ms" if model.hop else "",
            "-".join(f"{fps:g}" for fps in dict.fromkeys((rate.minimum, rate.maximum))) + "fps",
            f"fold{data.fold}" if data.fold else "",
            f"seed{self.recipe.training.seed}",
        ]
        return " ".join(part for part in parts if part)


def cells_of(plan: Plan, settings: Mapping[str, Any] | None = None) -> list[Cell]:
    """All cells of a plan, in its order; none twice.

    Args:
        settings: fields of the recipe, for every cell, whatever the plan says.

    Raises:
        UsageError: a recipe cannot be read, or a setting is no field, or one that an axis decides.
    """
    settings = settings or {}
    Recipe().changed(settings, "settings")
    _check_axes(plan, settings)
    cells = (_cell(plan, grid, values, settings) for grid in plan.grids for values in _combinations(grid))
    return merge_rates(cells, lambda cell: (cell.key, cell.variant, cell.baseline))


def merge_rates(cells: Iterable[Cell], key: Callable[[Cell], Hashable]) -> list[Cell]:
    """One cell for each key, tested at the rates of all that have it."""
    found: dict[Hashable, Cell] = {}
    for cell in cells:
        held = found.get(key(cell), cell)
        found[key(cell)] = replace(held, rates=tuple(sorted({*held.rates, *cell.rates})))
    return list(found.values())


def _combinations(grid: Grid) -> Iterator[dict[str, Any]]:
    axes = {name: values for name, values in grid.axes.items() if not (name == "fps" and grid.elastic)}
    for values in product(*axes.values()):
        yield dict(zip(axes, values, strict=True))


def _cell(plan: Plan, grid: Grid, values: Mapping[str, Any], settings: Mapping[str, Any]) -> Cell:
    variant = values.get("variant", FULL)
    rates = (values["fps"],) if "fps" in values else grid.axes.get("fps", ())
    recipe = _starting_recipe(plan.recipe, values["dataset"])
    for fields, origin in (
        # The rates first: rate.minimum and rate.maximum may widen what an elastic network is trained for.
        (rate_fields(min(rates), max(rates)) if rates else {}, grid.name),
        (plan.fields, "fields"),
        (grid.fields, grid.name),
        (plan.variants.get(variant, {}), f"variants.{variant}"),
        ({AXES[axis][0]: values[axis] for axis in values if axis not in ("fps", "variant")}, grid.name),
        (settings, "settings"),
        ({"data.root": ""}, ""),  # where the data lies decides nothing
    ):
        recipe = recipe.changed(fields, origin)
    recipe = completed(recipe)
    if not recipe.data.seconds:
        recipe = recipe.changed({"data.seconds": USUAL_SECONDS}, "")
    rates = tuple(sorted(rates or recipe.rate.validation))
    return Cell(_without_defaults(recipe), rates, variant, grid.baseline)


@cache
def _starting_recipe(path: Path | None, dataset: str) -> Recipe:
    return read_recipe(path) if path else recipe_for(dataset)


def _without_defaults(recipe: Recipe) -> Recipe:
    """A front end's own hop and number of bins left out: the same network is the same cell."""
    model = recipe.model
    if model.front_end not in FRONT_ENDS:
        return recipe
    default = FRONT_ENDS[model.front_end].config
    hop = 0.0 if model.mel.hop == default.hop else model.hop
    return recipe.changed({"model.hop": hop, "model.bins": model.bins * (model.bins != default.mel_bins)}, "")


def _check_axes(plan: Plan, settings: Mapping[str, Any]) -> None:
    """Raises UsageError for a setting that the plan has an axis for."""
    axes = {AXES[axis][0]: axis for grid in plan.grids for axis in grid.axes if axis != "variant"}
    for name in settings:
        axis = axes.get(name) or (axes.get("rate") if name.startswith("rate.") else None)
        if axis:
            raise UsageError(f"{name} cannot be set: the plan's axis {axis} decides it; edit the plan")
