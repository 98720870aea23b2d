"""Results -> tables in the shape of the paper's."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from diffres_cli.comparison import paper
from diffres_cli.comparison.cells import Cell
from diffres_cli.comparison.markup import Row, Table, Value
from diffres_cli.comparison.notes import notes
from diffres_cli.comparison.plan import FULL, Plan
from diffres_cli.comparison.results import Result, spreads
from diffres_cli.comparison.words import (
    DIFFRES,
    chain_words,
    dataset_of,
    hop_of,
    is_plain,
    is_published,
    reduction_words,
)
from diffres_cli.evaluation.spread import Spread, spread

Shape: TypeAlias = tuple[tuple[str, ...], tuple[str, ...], list[Row]]  # heads of labels, columns, rows
Labels: TypeAlias = tuple[str, ...]
_FULL_RATE = 100.0  # fps, of the paper's baseline, Table 2 and Table 3


def table_of(plan: Plan, cells: Sequence[Cell], results: Sequence[Result]) -> Table:
    """The plan's table, as far as there are results."""
    compared = [cell for cell in cells if not cell.baseline]
    heads, columns, rows = _SHAPES[plan.kind](compared, results)
    return Table(plan.title, heads, columns, tuple(rows), tuple(notes(cells, results)))


def _table1(cells: Sequence[Cell], results: Sequence[Result]) -> Shape:
    """Rows dataset × reduction, columns fps; the baseline in brackets."""
    rates = sorted({rate for cell in cells for rate in cell.rates})
    found = {fps: spreads(_compared(results), lambda result: _row1(result.cell), fps) for fps in rates}
    baselines = spreads(
        [result for result in results if result.cell.baseline], lambda result: dataset_of(result.cell)
    )
    rows = []
    for labels, cell in _rows(cells, _row1):
        dataset, method = labels
        published = {fps: _published1(cell, fps) for fps in rates}
        values = tuple(_value(found[fps].get(labels), published[fps]) for fps in rates)
        rows.append(Row((_with_baseline(dataset, baselines.get(dataset)), method), values))
    return ("dataset", "reduction"), tuple(f"{fps:g} fps" for fps in rates), rows


def _table2(cells: Sequence[Cell], results: Sequence[Result]) -> Shape:
    """Rows dataset × reduction, columns hop sizes."""
    hops = sorted(set(map(hop_of, cells)), reverse=True)
    found = spreads(_compared(results), lambda result: (_row2(result.cell), hop_of(result.cell)))
    rows = []
    for labels, cell in _rows(cells, _row2):
        published = {hop: _published2(cell, hop) for hop in hops}
        rows.append(Row(labels, tuple(_value(found.get((labels, hop)), published[hop]) for hop in hops)))
    return ("dataset", "reduction", "fps"), tuple(f"{hop:g} ms" for hop in hops), rows


def _table3(cells: Sequence[Cell], results: Sequence[Result]) -> Shape:
    """Rows front ends, columns learnable parameters before the classifier, then datasets."""
    datasets = list(dict.fromkeys(map(dataset_of, cells)))
    found = spreads(_compared(results), lambda result: (_row3(result.cell), dataset_of(result.cell)))
    sizes = {_row3(result.cell): result.learnable for result in _compared(results)}
    rows = []
    for labels, cell in _rows(cells, _row3):
        size = Value(sizes[labels], digits=0) if labels in sizes else None
        scores = (_value(found.get((labels, name)), _published3(cell, name)) for name in datasets)
        rows.append(Row(labels, (size, *scores)))
    return ("front end", "fps"), ("parameters", *datasets), rows


def _figure8(cells: Sequence[Cell], results: Sequence[Result]) -> Shape:
    """Rows variants, columns the metric and its mean difference to the full model's, seed by seed."""
    found = spreads(_compared(results), lambda result: _row8(result.cell))
    rows = []
    for labels, _ in _rows(cells, _row8):
        lost = _differences(results, labels)
        change = Value(*spread(lost), digits=2, signed=True) if lost else None
        rows.append(Row(labels, (_value(found.get(labels)), change)))
    return ("dataset", "fps", "variant"), ("%", "difference"), rows


def _differences(results: Sequence[Result], labels: Labels) -> list[float]:
    """What the results of a row have more than the full model's of the same seed and fold."""
    full = {_pair(each): each.score for each in _compared(results) if each.cell.variant == FULL}
    mine = [each for each in _compared(results) if _row8(each.cell) == labels and each.cell.variant != FULL]
    return [each.score - full[_pair(each)] for each in mine if _pair(each) in full]


_SHAPES: Mapping[str, Callable[[Sequence[Cell], Sequence[Result]], Shape]] = {
    "table1": _table1,
    "table2": _table2,
    "table3": _table3,
    "figure8": _figure8,
}


def _row1(cell: Cell) -> Labels:
    return dataset_of(cell), reduction_words(cell)


def _row2(cell: Cell) -> Labels:
    return dataset_of(cell), reduction_words(cell, hop=False), f"{cell.rates[0]:g}"


def _row3(cell: Cell) -> Labels:
    return chain_words(cell), f"{cell.rates[0]:g}"


def _row8(cell: Cell) -> Labels:
    return dataset_of(cell), f"{cell.rates[0]:g}", cell.variant


def _pair(result: Result) -> tuple[str, float, int, int]:
    recipe = result.cell.recipe
    return recipe.data.dataset, result.cell.rates[0], recipe.data.fold, recipe.training.seed


def _published1(cell: Cell, fps: float) -> float | None:
    if not is_published(cell):
        return None
    return paper.by_reduction(dataset_of(cell), cell.recipe.model.reduction, fps)


def _published2(cell: Cell, hop: float) -> float | None:
    usual = cell.recipe.model.reduction == DIFFRES and cell.rates[0] == _FULL_RATE
    return paper.by_hop(dataset_of(cell), hop) if usual and cell.variant == FULL else None


def _published3(cell: Cell, dataset: str) -> float | None:
    diffres = cell.recipe.model.reduction == DIFFRES
    if cell.variant != FULL or cell.rates[0] != _FULL_RATE or not (diffres or is_plain(cell)):
        return None
    return paper.by_front_end(dataset, cell.recipe.model.front_end, diffres)


def _rows(cells: Iterable[Cell], labels: Callable[[Cell], Labels]) -> list[tuple[Labels, Cell]]:
    """The rows of a table, each with one of its cells, in the order of first mention."""
    found: dict[Labels, Cell] = {}
    for cell in cells:
        found.setdefault(labels(cell), cell)
    return list(found.items())


def _compared(results: Iterable[Result]) -> list[Result]:
    return [result for result in results if not result.cell.baseline]


def _with_baseline(dataset: str, found: Spread | None) -> str:
    """The dataset's name, then what it reaches without reduction, and in the paper."""
    if found is None:
        return dataset
    published = paper.BASELINE.get(dataset)
    return f"{dataset} ({Value(*found)}{'' if published is None else f', paper {published}'})"


def _value(found: Spread | None, published: float | None = None) -> Value | None:
    if found is not None:
        return Value(found.mean, found.std, published)
    return None if published is None else Value(math.nan, paper=published)
