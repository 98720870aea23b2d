"""A plan and its cells, once every fault is excluded: all are reported at once, before anything runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from diffres_cli.comparison.cells import Cell, cells_of
from diffres_cli.comparison.plan import Plan, read_plan
from diffres_cli.datasets.catalog import find_source, load_dataset
from diffres_cli.datasets.clip import Dataset
from diffres_cli.errors import DiffresError, UsageError
from diffres_cli.inference.timing import MINIMUM_OUTPUT_FRAMES
from diffres_cli.recipes.rules import checked
from diffres_cli.recipes.splits import split_names
from diffres_cli.text import first_few, pluralize


def load_plan(name: str, settings: Mapping[str, Any] | None = None) -> tuple[Plan, list[Cell]]:
    """The plan of a name or file, and its cells, all of which can be carried out, whatever the data.

    Args:
        settings: fields of the recipe, for every cell, whatever the plan says.

    Raises:
        UsageError: there is none, or every fault of it, with the cells that have it.
    """
    plan, faults = read_plan(name)
    cells: list[Cell] = []
    try:
        cells = cells_of(plan, settings)
    except UsageError as error:
        faults = faults or [str(error)]  # what cannot be read leaves cells that cannot be made
    raise_faults(name, {fault: [] for fault in faults} | _by_fault(cells, _faults) | _ambiguous(cells))
    return plan, cells


def data_faults(cells: Sequence[Cell], roots: Mapping[str, Path]) -> dict[str, list[str]]:
    """What is wrong with the data of cells, and the labels of the cells that have each fault.

    Args:
        roots: dataset -> its folder; others lie in the usual place.
    """
    datasets: dict[str, Dataset | DiffresError] = {}
    for name in {cell.recipe.data.dataset: None for cell in cells}:
        try:
            datasets[name] = load_dataset(name, roots.get(name))
        except DiffresError as error:
            datasets[name] = error

    def faults(cell: Cell) -> Iterator[str]:
        try:
            dataset = datasets[cell.recipe.data.dataset]
            if isinstance(dataset, DiffresError):
                raise dataset
            for splits in split_names(cell.recipe.data, dataset).values():
                dataset.clips_of(*splits)
        except DiffresError as error:
            yield str(error)

    return _by_fault(cells, faults)


def raise_faults(name: str, faults: Mapping[str, Sequence[str]]) -> None:
    """Raise all faults of a plan, if there are any, each with the labels of the cells that have it.

    Raises:
        UsageError: there are.
    """
    if faults:
        listed = (f"{fault} [{first_few(labels)}]" if labels else fault for fault, labels in faults.items())
        raise UsageError(f"{name}: {pluralize(len(faults), 'fault')}: {'; '.join(listed)}")


def _faults(cell: Cell) -> Iterator[str]:
    recipe, rate = cell.recipe, cell.recipe.rate
    try:
        checked(recipe)
    except UsageError as error:  # it names all of a recipe's faults, and only those
        yield from str(error).removeprefix("recipe: ").split("; ")
    for fps in cell.rates:
        frames = fps * recipe.data.seconds
        if frames < MINIMUM_OUTPUT_FRAMES:
            yield (
                f"{fps:g} fps of a clip of {recipe.data.seconds:g} s are {frames:.3g} frames, and the "
                f"classifier needs {MINIMUM_OUTPUT_FRAMES}: at least "
                f"{MINIMUM_OUTPUT_FRAMES / recipe.data.seconds:g} fps"
            )
        if not rate.minimum <= fps <= rate.maximum:
            yield (
                f"tested at {fps:g} fps, must be among those it is trained for, {rate.minimum:g} to "
                f"{rate.maximum:g}"
            )
    yield from _dataset_faults(recipe.data.dataset, recipe.data.fold)


def _dataset_faults(dataset: str, fold: int) -> Iterator[str]:
    try:
        source = find_source(dataset)
    except UsageError as error:
        yield str(error)
        return
    folds = [split.removeprefix("fold") for split in source.splits if re.fullmatch(r"fold\d+", split)]
    if folds and str(fold) not in folds:
        yield f"fold {fold} of {dataset}: choose among {', '.join(folds)}, with the axis fold"
    if source.splits and fold and not folds:
        yield f"fold {fold} of {dataset}, which has no folds"


def _ambiguous(cells: Sequence[Cell]) -> dict[str, list[str]]:
    """Cells of different recipes that a table could not distinguish and would take for seeds of one."""
    keys: dict[str, set[str]] = {}
    for cell in cells:
        keys.setdefault(cell.label, set()).add(cell.key)
    labels = [label for label, found in keys.items() if len(found) > 1]
    why = "cells that differ in fields alone must have names: make variants of them"
    return {why: labels} if labels else {}


def _by_fault(cells: Sequence[Cell], faults: Callable[[Cell], Iterator[str]]) -> dict[str, list[str]]:
    """Faults, and the labels of the cells that have each."""
    found: dict[str, list[str]] = {}
    for cell in cells:
        for fault in faults(cell):
            found.setdefault(fault, []).append(cell.label)
    return found
