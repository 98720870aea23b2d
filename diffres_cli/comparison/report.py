"""What a plan comes to: its table in every format, and its figure, as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from diffres_cli.comparison import figures
from diffres_cli.comparison.cells import Cell
from diffres_cli.comparison.curves import QUANTITIES, curves_table, read_curves
from diffres_cli.comparison.folder import read_results
from diffres_cli.comparison.markup import FORMATS, Table
from diffres_cli.comparison.plan import SPEED, Plan
from diffres_cli.comparison.tables import table_of
from diffres_cli.comparison.throughput import read_measured, speeds, table_of_speed
from diffres_cli.files import write_atomically


def write_report(plan: Plan, cells: Sequence[Cell], output: Path) -> Table | None:
    """Write PLAN.md, .csv, .tex, and for a figure .png, .svg and .pdf, of what is there; None without any.

    Raises:
        OutputError: a file cannot be written.
    """
    path = output / plan.name
    table: Table | None = None
    if plan.kind == SPEED:
        measured = read_measured(plan, output)
        if measured and measured.seconds:
            figures.draw_speed(speeds(cells, measured), measured, path)
            table = table_of_speed(plan, cells, measured)
    elif plan.kind in QUANTITIES:
        if curves := read_curves(plan, cells, output):
            figures.draw_steps(curves, QUANTITIES[plan.kind][1], path)
            table = curves_table(plan, cells, curves)
    elif results := read_results(cells, output):
        table = table_of(plan, cells, results)
        if plan.kind == "figure8" and any(row.values[-1] for row in table.rows):
            figures.draw_variants(table, path)
    if table:
        for suffix, text in FORMATS.values():
            write_atomically(output / f"{plan.name}{suffix}", text(table).encode())
    return table
