"""Run a plan: cell by cell in this process or in worker processes. A failed cell does not stop the rest."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from diffres_cli.comparison.cells import Cell, merge_rates
from diffres_cli.comparison.checks import data_faults, raise_faults
from diffres_cli.comparison.folder import CellFolder, read_result
from diffres_cli.comparison.plan import SPEED, Plan
from diffres_cli.comparison.throughput import measure, measured_path, read_measured, speed_key
from diffres_cli.comparison.work import run_cell
from diffres_cli.errors import UsageError
from diffres_cli.files import make_folder, read_json, write_json
from diffres_cli.locks import locked
from diffres_cli.pool import Died, Report, WorkerPool
from diffres_cli.text import first_few, pluralize

T = TypeVar("T")
_STOP_TIMEOUT = 20.0  # seconds for a process to finish its batch and write a checkpoint


@dataclass(frozen=True)
class RunOptions:
    """Where cells are run, and how progress is shown.

    Attributes:
        output: the folder of comparisons. roots: dataset -> its folder; others lie in the usual place.
        device: auto, cpu or cuda. workers: the environment of each worker process; none: in this process.
        log: called with a line when a cell is done. show: with the current step, cells done and their total.
    """

    output: Path
    roots: Mapping[str, Path] = field(default_factory=dict)
    device: str = "auto"
    workers: Sequence[Mapping[str, str]] = ()
    log: Callable[[str], None] = lambda line: None
    show: Callable[[str, int, int], None] = lambda what, done, total: None


@dataclass
class PlanSummary:
    """The outcome: cells finished now, cells finished before, and why others failed."""

    done: int = 0
    skipped: int = 0
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0 all done, 1 some failed, 3 nothing succeeded."""
        return (1 if self.done + self.skipped else 3) if self.failures else 0

    def __str__(self) -> str:
        before = f", {self.skipped} done before" if self.skipped else ""
        failed = f", {len(self.failures)} failed" if self.failures else ""
        return f"{pluralize(self.done, 'cell')} done{before}{failed}"


def worker_environment(device: str, threads: int) -> dict[str, str]:
    """Variables of a worker process: it sees its own GPU only, and does not crowd the others.

    Args:
        device: auto, cpu, cuda or cuda:N. threads: of its own.
    """
    variables = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    if device.startswith("cuda:"):
        number = int(device.removeprefix("cuda:"))
        visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
        variables["CUDA_VISIBLE_DEVICES"] = visible[number] if number < len(visible) else str(number)
    elif device == "cpu":
        variables["CUDA_VISIBLE_DEVICES"] = ""
    return variables


def run_plan(plan: Plan, cells: Sequence[Cell], options: RunOptions, summary: PlanSummary) -> None:
    """Run the unfinished cells of a plan, and keep `summary` up to date.

    Raises:
        UsageError: data is missing, or lacks splits that the cells need. OutputError: a folder or
            file cannot be written.
    """
    if plan.kind != SPEED:
        raise_faults(plan.name, data_faults(cells, options.roots))
    make_folder(options.output)
    if changed := record_recipes(plan.name, cells, options.output):
        count = pluralize(len(changed), "cell")
        options.log(f"{count} changed since the last run and will run again: {first_few(changed)}")
    if plan.kind == SPEED:
        _measure(plan, cells, options, summary)
    else:
        _run_cells(merge_rates(cells, lambda cell: cell.key), options, summary)


def record_recipes(name: str, cells: Sequence[Cell], output: Path) -> list[str]:
    """Record the recipe of each cell; return the labels of cells whose recipe changed since the last run.

    Raises:
        OutputError: the record cannot be written.
    """
    path = output / f"{name}.json"
    before: dict[str, str] = {}
    with suppress(UsageError):
        before = read_json(path)
    now = {cell.label: cell.key for cell in cells}
    if now != before:
        write_json(path, now)
    return [label for label, key in now.items() if before.get(label, key) != key]


def _run_cells(cells: Sequence[Cell], options: RunOptions, summary: PlanSummary) -> None:
    todo = [cell for cell in cells if not CellFolder(cell, options.output).is_done()]
    summary.skipped = len(cells) - len(todo)
    for cell in todo:
        CellFolder(cell, options.output).prepare()
    running: dict[str, str] = {}

    def show(cell: Cell, progress: str) -> None:
        running[cell.label] = f"{cell.label}, {progress}"
        options.show("; ".join(running.values()), summary.done + len(summary.failures), len(todo))

    roots = {name: root.resolve() for name, root in options.roots.items()}
    work = partial(run_cell, options.output.resolve(), roots, options.device)
    for cell, failure in _failures(_unlocked_first(todo, options.output), work, options, show):
        folder = CellFolder(cell, options.output)
        running.pop(cell.label, None)
        if failure:
            summary.failures[cell.label] = f"{failure} (see {folder.log})"
            options.log(f"{cell.label}: failed: {summary.failures[cell.label]}")
        else:
            summary.done += 1
            options.log(f"{cell.label}: {_scores(folder)}")


def _unlocked_first(cells: Iterable[Cell], output: Path) -> Iterator[Cell]:
    """The cells; those that another process is running come last."""
    waiting = deque(cells)
    while waiting:
        for _ in range(len(waiting)):
            with locked(CellFolder(waiting[0], output).lock, wait=False) as free:
                if free:
                    break
            waiting.rotate(-1)
        yield waiting.popleft()


def _scores(folder: CellFolder) -> str:
    result = read_result(folder)
    if not result:
        return "no scores"
    return ", ".join(f"{result.metric} {score:.1f} % at {fps:g} fps" for fps, score in result.scores.items())


def _measure(plan: Plan, cells: Sequence[Cell], options: RunOptions, summary: PlanSummary) -> None:
    """Measure all cells of a plan in one process, unless exactly these were measured before."""
    found = read_measured(plan, options.output)
    if found and set(found.seconds) == set(map(speed_key, cells)):
        summary.skipped = len(cells)
        return
    path = measured_path(plan, options.output).resolve()
    path.unlink(missing_ok=True)

    def show(cells: Sequence[Cell], progress: str) -> None:
        options.show(progress, 0, len(cells))

    one = replace(options, workers=options.workers[:1])
    ((_, failure),) = _failures([cells], partial(measure, path, options.device), one, show)
    found = read_measured(plan, options.output)
    for cell in cells:
        if found and speed_key(cell) in found.seconds:
            summary.done += 1
        else:
            summary.failures[cell.label] = found.failures[speed_key(cell)] if found else failure


def _failures(
    tasks: Iterable[T],
    work: Callable[[T, Report], str],
    options: RunOptions,
    on_progress: Callable[[T, Any], None],
) -> Iterator[tuple[T, str]]:
    """Yield each task when it ends, with the reason why it failed, "" if it succeeded."""
    if not options.workers:
        for task in tasks:
            yield task, work(task, partial(on_progress, task))
        return
    pool: WorkerPool[T, str] = WorkerPool(
        len(options.workers), partial, (work,),
        on_progress=on_progress,
        is_stuck=bool,  # after a failure, a new process: the GPU may be in any state
        environments=options.workers,
        attempts=1,
        stop_timeout=_STOP_TIMEOUT,
    )  # fmt: skip
    with pool:
        for task, result in pool.run(tasks):
            yield task, _describe_death(result) if isinstance(result, Died) else result


def _describe_death(died: Died) -> str:
    reason = died.reason.replace("signal ", "killed by ")
    return f"{reason}: out of memory?" if reason.endswith("SIGKILL") else reason
