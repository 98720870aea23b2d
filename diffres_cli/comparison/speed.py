"""Throughput by frame rate: measured in one process for a whole plan, read back, tabulated."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from diffres_cli.comparison.cells import Cell
from diffres_cli.comparison.child import Slot, last_line, launch, stop
from diffres_cli.comparison.markup import Row, Table, Value
from diffres_cli.comparison.plan import Plan
from diffres_cli.comparison.run import Job, Summary
from diffres_cli.comparison.words import chain_words
from diffres_cli.evaluation.spread import spread
from diffres_cli.files import write_atomically

MODULE = "diffres_cli.comparison.throughput"
_LOOK = 0.2  # seconds between looks at the process


@dataclass(frozen=True)
class Measured:
    """What was measured.

    Attributes:
        seconds: cell -> a clip's time, of each round. failures: cell -> why it could not run.
    """

    machine: str
    device: str
    threads: int
    seconds: Mapping[str, Sequence[float]]
    failures: Mapping[str, str]

    def rate(self, key: str) -> float:
        """Clips a second."""
        return 1 / statistics.median(self.seconds[key])

    def ratio(self, key: str, base: str) -> Value:
        """How many times as fast as another: the median of the rounds, with their standard deviation."""
        rounds = [other / own for own, other in zip(self.seconds[key], self.seconds[base], strict=True)]
        return Value(statistics.median(rounds), spread(rounds).std, digits=2)


def read_measured(plan: Plan, output: Path) -> Measured | None:
    """What `measure_all` found; None before."""
    try:
        return Measured(**json.loads(_results(plan, output).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def measure_all(plan: Plan, cells: Sequence[Cell], job: Job, summary: Summary) -> None:
    """Measure all cells of a plan, unless these very cells were; on the first of the job's slots.

    Raises:
        OutputError: the order or the log cannot be written.
    """
    held = read_measured(plan, job.output)
    if held and set(held.seconds) == set(map(_key, cells)):
        summary.skipped = len(cells)
        return
    slot = job.slots[0] if job.slots else Slot()
    path = _results(plan, job.output).resolve()
    path.unlink(missing_ok=True)
    failure = _measure(path, cells, slot, job.show)
    found = read_measured(plan, job.output)
    for cell in cells:
        if found and _key(cell) in found.seconds:
            summary.done += 1
        else:
            summary.failures[cell.label] = found.failures[_key(cell)] if found else failure


def _measure(path: Path, cells: Sequence[Cell], slot: Slot, show: Callable[[str, int, int], None]) -> str:
    """Have a process measure; why it failed, "" when it did not."""
    order, log = path.with_suffix(".order"), path.with_suffix(".log")
    recipes = {_key(cell): (cell.recipe.plain(), cell.rates[0]) for cell in cells}
    write_atomically(order, json.dumps({"cells": recipes, "output": str(path), "device": slot.kind}).encode())
    child = launch(MODULE, str(order), slot, log)
    try:
        while (failure := child.failure()) is None:
            show(last_line(log), 0, len(cells))
            time.sleep(_LOOK)
    finally:
        stop([child])
    return failure


def table_of_speed(plan: Plan, cells: Sequence[Cell], measured: Measured) -> Table:
    """Rows front end and reduction, columns clips a second by frame rate, and multiples of the baseline."""
    base = next((_key(cell) for cell in cells if cell.baseline and _key(cell) in measured.seconds), None)
    compared = [cell for cell in cells if not cell.baseline]
    rates = sorted({cell.rates[0] for cell in compared})
    keys = {(chain_words(cell, plain=False), cell.rates[0]): _key(cell) for cell in compared}
    rows = []
    for words in dict.fromkeys(chain_words(cell, plain=False) for cell in compared):
        values: list[Value | None] = []
        for fps in rates:
            key = keys.get((words, fps))
            found = key is not None and key in measured.seconds
            values.append(Value(measured.rate(str(key))) if found else None)
            if base:
                values.append(measured.ratio(str(key), base) if found else None)
        rows.append(Row((words,), tuple(values)))
    columns = [name for fps in rates for name in (f"{fps:g} fps", *((f"{fps:g} fps ×",) if base else ()))]
    return Table(
        plan.title, ("front end",), tuple(columns), tuple(rows), tuple(_notes(cells, measured, base))
    )


def series(cells: Sequence[Cell], measured: Measured) -> dict[str, dict[float, float]]:
    """Front end and reduction -> fps -> clips a second."""
    found: dict[str, dict[float, float]] = {}
    for cell in cells:
        if not cell.baseline and _key(cell) in measured.seconds:
            found.setdefault(chain_words(cell, plain=False), {})[cell.rates[0]] = measured.rate(_key(cell))
    return found


def _notes(cells: Sequence[Cell], measured: Measured, base: str | None) -> list[str]:
    first = cells[0].recipe
    threads = f"{measured.threads} thread{'' if measured.threads == 1 else 's'}"
    told = [
        f"Clips a second from waveform to probabilities, clips of {first.data.seconds:g} s in batches of "
        f"{first.training.batch_size}, {first.model.architecture}, random weights, {measured.device}, "
        f"{threads}; {measured.machine}."
    ]
    if base:
        name = next(chain_words(cell, plain=False) for cell in cells if cell.baseline)
        told.append(
            f"×: how many times as fast as {name} at {_base_rate(cells):g} fps in the same round, median ± "
            "standard deviation of the rounds."
        )
    return told + [f"Not measured: {why}." for why in dict.fromkeys(measured.failures.values())]


def _base_rate(cells: Sequence[Cell]) -> float:
    return next(cell.rates[0] for cell in cells if cell.baseline)


def _key(cell: Cell) -> str:
    return f"{cell.key} {cell.rates[0]:g}"


def _results(plan: Plan, output: Path) -> Path:
    return output / f"{plan.name}.measured.json"
