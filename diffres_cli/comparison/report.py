"""What a plan comes to: its table in every format, and its figure, as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from diffres_cli.comparison.cells import Cell
from diffres_cli.comparison.markup import FORMATS, Table
from diffres_cli.comparison.plan import SPEED, Plan
from diffres_cli.comparison.results import results_of
from diffres_cli.comparison.speed import read_measured, series, table_of_speed
from diffres_cli.comparison.steps import COLUMNS, curves_of, table_of_steps
from diffres_cli.comparison.tables import table_of
from diffres_cli.files import write_atomically

_VARIANTS = "figure8"


def write_report(plan: Plan, cells: Sequence[Cell], output: Path) -> Table | None:
    """Write PLAN.md, .csv, .tex, and for a figure .png, .svg and .pdf, of what is there; None without any.

    Raises:
        OutputError: a file cannot be written.
    """
    table = _table(plan, cells, output)
    if table:
        for suffix, text in FORMATS.values():
            write_atomically(output / f"{plan.name}{suffix}", text(table).encode())
    return table


def _table(plan: Plan, cells: Sequence[Cell], output: Path) -> Table | None:
    """The table; its figure is drawn on the way."""
    path = output / plan.name
    if plan.kind == SPEED:
        return _speed(plan, cells, output, path)
    if plan.kind in COLUMNS:
        return _steps(plan, cells, output, path)
    results = results_of(cells, output)
    if not results:
        return None
    table = table_of(plan, cells, results)
    if plan.kind == _VARIANTS and any(row.values[-1] for row in table.rows):
        from diffres_cli.comparison.figures import draw_variants

        draw_variants(table, path)
    return table


def _speed(plan: Plan, cells: Sequence[Cell], output: Path, path: Path) -> Table | None:
    measured = read_measured(plan, output)
    if not measured or not measured.seconds:
        return None
    from diffres_cli.comparison.figures import draw_speed

    draw_speed(series(cells, measured), path)
    return table_of_speed(plan, cells, measured)


def _steps(plan: Plan, cells: Sequence[Cell], output: Path, path: Path) -> Table | None:
    curves = curves_of(plan, cells, output)
    if not curves:
        return None
    from diffres_cli.comparison.figures import draw_steps

    draw_steps(curves, COLUMNS[plan.kind][1], path)
    return table_of_steps(plan, cells, curves)
