"""Results -> tables in the shape of the paper's, and what stands below them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from diffres_cli.comparison import paper
from diffres_cli.comparison.cells import Cell
from diffres_cli.comparison.folder import Result, means_by_key
from diffres_cli.comparison.markup import Row, Table, TableValue
from diffres_cli.comparison.paper import dataset_of, front_end_name, hop_of, reduction_name
from diffres_cli.comparison.plan import FULL, Plan
from diffres_cli.evaluation.result import MeanStd, mean_and_std
from diffres_cli.text import pluralize

Labels: TypeAlias = tuple[str, ...]
Columns: TypeAlias = tuple[tuple[str, ...], tuple[str, ...], list[Row]]  # heads of labels, of values, rows

_METRICS = {"accuracy": "Accuracy in %", "mAP": "Mean average precision (mAP) in %"}
# The budget, and the words for it; the rest is in each cell's recipe.
_BUDGET = {
    "model.architecture": "{}",
    "model.width": "width {:g}",
    "model.init": "started from {}",
    "training.epochs": "{} epochs",
    "training.batch_size": "batches of {}",
    "optimizer.lr": "learning rate {:g}",
    "optimizer.schedule": "{} schedule",
}
_OMITTED = {"model.width": 1.0, "model.init": ""}


def table_of(plan: Plan, cells: Sequence[Cell], results: Sequence[Result]) -> Table:
    """The plan's table, as far as there are results."""
    compared = [cell for cell in cells if not cell.baseline]
    make = _TABLES[plan.kind]
    heads, columns, rows = make(compared, [result for result in results if not result.cell.baseline])
    if make is _table1:
        baselines = means_by_key([result for result in results if result.cell.baseline], dataset_of)
        rows = [_with_baseline(row, baselines) for row in rows]
    return Table(plan.title, heads, columns, tuple(rows), tuple(_notes(cells, results)))


def training_budget(cells: Sequence[Cell]) -> str:
    """On what network and for how long cells are trained; what is not the same for all "differs"."""
    words = []
    recipes = [cell.recipe.flat() for cell in cells]
    for name, form in _BUDGET.items():
        values = dict.fromkeys(recipe[name] for recipe in recipes)
        if len(values) > 1:
            words.append(f"{name} differs")
        elif (value := next(iter(values))) != _OMITTED.get(name):
            words.append(form.format(value))
    return ", ".join(words)


def _notes(cells: Sequence[Cell], results: Sequence[Result]) -> Iterator[str]:
    """The metric, the budget that all cells share, and how many results are missing."""
    if results:
        metrics = "; ".join(_METRICS[metric] for metric in dict.fromkeys(each.metric for each in results))
        yield f"{metrics}; mean ± standard deviation (n - 1) over seeds and folds, without ± a single run."
    yield f"Each cell: {training_budget(cells)}."
    if missing := len(cells) - len(results):
        yield f"{missing} of {pluralize(len(cells), 'cell')} have no result yet."


def _table1(cells: Sequence[Cell], results: Sequence[Result]) -> Columns:
    """Rows dataset × reduction, columns fps."""

    def labels(cell: Cell) -> Labels:
        return dataset_of(cell), reduction_name(cell)

    rates = sorted({rate for cell in cells for rate in cell.rates})
    found = {fps: means_by_key(results, labels, fps) for fps in rates}
    rows = [
        Row(row, tuple(_value(found[fps].get(row), paper.published_by_rate(cell, fps)) for fps in rates))
        for row, cell in _rows(cells, labels).items()
    ]
    return ("dataset", "reduction"), tuple(f"{fps:g} fps" for fps in rates), rows


def _table2(cells: Sequence[Cell], results: Sequence[Result]) -> Columns:
    """Rows dataset × reduction, columns hop sizes."""

    def labels(cell: Cell) -> Labels:
        return dataset_of(cell), reduction_name(cell, hop=False), f"{cell.rates[0]:g}"

    hops = sorted(set(map(hop_of, cells)), reverse=True)
    found = means_by_key(results, lambda cell: (labels(cell), hop_of(cell)))
    rows = [
        Row(row, tuple(_value(found.get((row, hop)), paper.published_by_hop(cell, hop)) for hop in hops))
        for row, cell in _rows(cells, labels).items()
    ]
    return ("dataset", "reduction", "fps"), tuple(f"{hop:g} ms" for hop in hops), rows


def _table3(cells: Sequence[Cell], results: Sequence[Result]) -> Columns:
    """Rows front ends, columns learnable parameters before the classifier, then datasets."""

    def labels(cell: Cell) -> Labels:
        return front_end_name(cell), f"{cell.rates[0]:g}"

    datasets = list(dict.fromkeys(map(dataset_of, cells)))
    found = means_by_key(results, lambda cell: (labels(cell), dataset_of(cell)))
    sizes = {labels(result.cell): TableValue(result.learnable, digits=0) for result in results}
    rows = []
    for row, cell in _rows(cells, labels).items():
        published = {name: paper.published_by_front_end(cell, name) for name in datasets}
        scores = (_value(found.get((row, name)), published[name]) for name in datasets)
        rows.append(Row(row, (sizes.get(row), *scores)))
    return ("front end", "fps"), ("parameters", *datasets), rows


def _figure8(cells: Sequence[Cell], results: Sequence[Result]) -> Columns:
    """Rows variants, columns the metric and its mean difference to the full model's, seed by seed."""

    def labels(cell: Cell) -> Labels:
        return dataset_of(cell), f"{cell.rates[0]:g}", cell.variant

    def seed_of(cell: Cell) -> tuple[str, float, int, int]:
        return dataset_of(cell), cell.rates[0], cell.recipe.data.fold, cell.recipe.training.seed

    full = {seed_of(each.cell): each.score for each in results if each.cell.variant == FULL}
    differences: dict[Labels, list[float]] = {}
    for each in results:
        if each.cell.variant != FULL and seed_of(each.cell) in full:
            differences.setdefault(labels(each.cell), []).append(each.score - full[seed_of(each.cell)])
    changes = {
        row: TableValue(*mean_and_std(found), digits=2, signed=True) for row, found in differences.items()
    }
    scores = means_by_key(results, labels)
    rows = [Row(row, (_value(scores.get(row)), changes.get(row))) for row in _rows(cells, labels)]
    return ("dataset", "fps", "variant"), ("%", "difference"), rows


_TABLES: Mapping[str, Callable[[Sequence[Cell], Sequence[Result]], Columns]] = {
    "table1": _table1,
    "table2": _table2,
    "table3": _table3,
    "figure8": _figure8,
}


def _rows(cells: Iterable[Cell], labels: Callable[[Cell], Labels]) -> dict[Labels, Cell]:
    """The rows of a table, each with its first cell, in the order of first mention."""
    found: dict[Labels, Cell] = {}
    for cell in cells:
        found.setdefault(labels(cell), cell)
    return found


def _with_baseline(row: Row, baselines: Mapping[str, MeanStd]) -> Row:
    """The row, its dataset with what is reached there without reduction, and in the paper."""
    dataset, *others = row.labels
    if dataset not in baselines:
        return row
    published = f", paper {paper.BASELINE[dataset]}" if dataset in paper.BASELINE else ""
    return Row((f"{dataset} ({TableValue(*baselines[dataset])}{published})", *others), row.values)


def _value(found: MeanStd | None, published: float | None = None) -> TableValue | None:
    if found is not None:
        return TableValue(found.mean, found.std, published)
    return None if published is None else TableValue(math.nan, paper=published)
