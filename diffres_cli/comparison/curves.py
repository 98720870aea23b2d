"""Training logs of runs -> activeness and guide loss by training step (Figures 6 and 7)."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from diffres_cli.comparison.cells import Cell
from diffres_cli.comparison.folder import CellFolder
from diffres_cli.comparison.markup import Row, Table, TableValue
from diffres_cli.comparison.paper import dataset_of, reduction_name
from diffres_cli.comparison.plan import Plan
from diffres_cli.comparison.tables import training_budget
from diffres_cli.evaluation.result import mean_and_std

QUANTITIES: Mapping[str, tuple[str, str]] = {  # kind -> column of the log, name
    "figure6": ("train/activeness", "activeness"),
    "figure7": ("train/guide", "guide loss"),
}
_PARTS = 4  # of a run, in the table


@dataclass(frozen=True)
class Curve:
    """What was logged by cells that differ in seed and fold only.

    Attributes:
        labels: dataset, reduction, fps. runs: step -> value, of each run.
    """

    labels: tuple[str, ...]
    runs: tuple[Mapping[int, float], ...]

    def mean(self) -> dict[int, float]:
        """Step -> mean over the runs, at the steps that all of them logged.

        >>> Curve((), ({0: 1.0, 10: 2.0}, {0: 3.0})).mean()
        {0: 2.0}
        """
        steps = set(self.runs[0]).intersection(*self.runs[1:])
        return {step: mean(run[step] for run in self.runs) for step in sorted(steps)}

    def part(self, number: int) -> TableValue | None:
        """The mean of one of `_PARTS` equal parts of the training, with its spread over runs."""
        means = []
        for run in self.runs:
            steps = max(run) + 1
            if values := [value for step, value in run.items() if step * _PARTS // steps == number]:
                means.append(mean(values))
        return TableValue(*mean_and_std(means), digits=3) if means else None


def read_curves(plan: Plan, cells: Sequence[Cell], output: Path) -> list[Curve]:
    """The curves of a plan, in its order, as far as anything was logged."""
    column, _ = QUANTITIES[plan.kind]
    runs: dict[tuple[str, ...], list[Mapping[int, float]]] = {}
    for cell in cells:
        if logged := read_log(CellFolder(cell, output).run.path, column):
            labels = (dataset_of(cell), reduction_name(cell), ", ".join(f"{rate:g}" for rate in cell.rates))
            runs.setdefault(labels, []).append(logged)
    return [Curve(labels, tuple(held)) for labels, held in runs.items()]


def read_log(run: Path, column: str) -> dict[int, float]:
    """Step -> value of a column of a run's log; a later session replaces the steps it repeats."""
    found: dict[int, float] = {}
    sessions = sorted((run / "logs").glob("*/metrics.csv"), key=lambda path: int(path.parent.name))
    for session in sessions:
        with session.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row.get(column) and row.get("step")]
        found |= {int(row["step"]): float(row[column]) for row in rows}
    return dict(sorted(found.items()))


def curves_table(plan: Plan, cells: Sequence[Cell], curves: Sequence[Curve]) -> Table:
    """Means over equal parts of the training, with their spread over runs."""
    _, name = QUANTITIES[plan.kind]
    columns = tuple(f"{100 * i // _PARTS}–{100 * (i + 1) // _PARTS} %" for i in range(_PARTS))
    rows = tuple(Row(curve.labels, tuple(map(curve.part, range(_PARTS)))) for curve in curves)
    notes = [f"Mean {name} in each part of the training steps; ± standard deviation over runs."]
    notes.append(f"Each cell: {training_budget(cells)}.")
    if missing := len(cells) - sum(len(curve.runs) for curve in curves):
        notes.append(f"{missing} of {len(cells)} cells have not started.")
    return Table(plan.title, ("dataset", "reduction", "fps"), columns, rows, tuple(notes))
