"""Which cells are impossible: told all at once, before anything runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from diffres_cli.checkpoint.parts import FRONT_ENDS, REDUCTIONS
from diffres_cli.comparison.cells import Cell, cells_of
from diffres_cli.comparison.plan import Plan, count_of
from diffres_cli.comparison.planfile import read_plan
from diffres_cli.datasets.catalog import find_source, load_dataset
from diffres_cli.datasets.clip import Dataset
from diffres_cli.errors import DiffresError, UsageError
from diffres_cli.inference.timing import MINIMUM_OUTPUT_FRAMES
from diffres_cli.recipes.rules import checked
from diffres_cli.recipes.splits import split_names

_SHOWN = 3  # cells a fault names
_NAMES: dict[str, tuple[str, Mapping[str, Any]]] = {
    "model.front_end": ("front end", FRONT_ENDS),
    "model.reduction": ("reduction", REDUCTIONS),
}


def planned(name: str, fields: Mapping[str, Any] | None = None) -> tuple[Plan, list[Cell]]:
    """The plan of a name or file, and its cells, all of which can be carried out, whatever the data.

    Args:
        fields: of the recipe, for every cell, whatever the plan says.

    Raises:
        UsageError: there is none, or every fault of it, with the cells that have it.
    """
    plan, faults = read_plan(name)
    cells: list[Cell] = []
    try:
        cells = cells_of(plan, fields)
    except UsageError as error:
        faults = faults or [str(error)]  # what cannot be read leaves cells that cannot be made
    _refuse(name, {fault: list[str]() for fault in faults} | _gather(cells, _faults) | _ambiguous(cells))
    return plan, cells


def check_data(cells: Sequence[Cell], roots: Mapping[str, Path], name: str) -> None:
    """Refuse cells whose data is not there, or has not the splits that their recipes name.

    Args:
        roots: dataset -> its folder; others lie in the usual place.

    Raises:
        UsageError: every fault, with the cells that have it.
    """
    _refuse(name, data_faults(cells, roots))


def data_faults(cells: Sequence[Cell], roots: Mapping[str, Path]) -> dict[str, list[str]]:
    """What is wrong with the data of cells, and the labels of the cells that have each fault.

    Args:
        roots: see `check_data`.
    """
    read: dict[str, Dataset | DiffresError] = {}
    for dataset in {cell.recipe.data.dataset: None for cell in cells}:
        try:
            read[dataset] = load_dataset(dataset, roots.get(dataset))
        except DiffresError as error:
            read[dataset] = error
    return _gather(cells, lambda cell: _data_faults(cell, read[cell.recipe.data.dataset]))


def _faults(cell: Cell) -> Iterator[str]:
    recipe = cell.recipe
    for field, (what, known) in _NAMES.items():
        value = recipe.flat()[field]
        if value not in known:
            yield f"no {what} {value!r}, the nearest is {get_close_matches(value, known, 1, 0.0)[0]}"
            recipe = recipe.changed({field: next(iter(known))}, "")  # so that its other faults are told too
    try:
        checked(recipe)
    except UsageError as error:
        # The rules name all of a recipe's faults, and only those.
        yield from str(error).removeprefix("recipe: ").split("; ")
    for rates in cell.rates:
        frames = rates * recipe.data.seconds
        if frames < MINIMUM_OUTPUT_FRAMES:
            yield (
                f"{rates:g} fps of a clip of {recipe.data.seconds:g} s are {frames:.3g} frames, and the "
                f"classifier needs {MINIMUM_OUTPUT_FRAMES}: at least "
                f"{MINIMUM_OUTPUT_FRAMES / recipe.data.seconds:g} fps"
            )
        if not recipe.rate.minimum <= rates <= recipe.rate.maximum:
            yield (
                f"tested at {rates:g} fps, must be among those it is trained for, {recipe.rate.minimum:g} to "
                f"{recipe.rate.maximum:g}"
            )
    yield from _dataset_faults(cell)


def _dataset_faults(cell: Cell) -> Iterator[str]:
    data = cell.recipe.data
    try:
        source = find_source(data.dataset)
    except UsageError as error:
        yield str(error)
        return
    folds = [split for split in source.splits if re.fullmatch(r"fold\d+", split)]
    if folds and f"fold{data.fold}" not in folds:
        numbers = ", ".join(fold.removeprefix("fold") for fold in folds)
        yield f"fold {data.fold} of {data.dataset}: choose among {numbers}, with the axis fold"
    if source.splits and data.fold and not folds:
        yield f"fold {data.fold} of {data.dataset}, which has no folds"


def _data_faults(cell: Cell, dataset: Dataset | DiffresError) -> Iterator[str]:
    if isinstance(dataset, DiffresError):
        yield str(dataset)
        return
    try:
        for splits in split_names(cell.recipe.data, dataset).values():
            dataset.clips_of(*splits)
    except DiffresError as error:
        yield str(error)


def _ambiguous(cells: Sequence[Cell]) -> dict[str, list[str]]:
    """Cells of different recipes that a table could not tell apart, and would take for seeds of one."""
    keys: dict[str, set[str]] = {}
    for cell in cells:
        keys.setdefault(cell.label, set()).add(cell.key)
    twice = [label for label, found in keys.items() if len(found) > 1]
    why = "cells that differ in fields alone must have names: make variants of them"
    return {why: twice} if twice else {}


def _gather(cells: Sequence[Cell], faults: Callable[[Cell], Iterator[str]]) -> dict[str, list[str]]:
    """Faults, and the cells that have each."""
    found: dict[str, list[str]] = {}
    for cell in cells:
        for fault in faults(cell):
            found.setdefault(fault, []).append(cell.label)
    return found


def _refuse(name: str, faults: Mapping[str, Sequence[str]]) -> None:
    if faults:
        told = "; ".join(f"{fault}{_named(labels)}" for fault, labels in faults.items())
        raise UsageError(f"{name}: {count_of(len(faults), 'fault')}: {told}")


def _named(labels: Sequence[str]) -> str:
    more = f", and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else ""
    return f" [{', '.join(labels[:_SHOWN])}{more}]" if labels else ""
