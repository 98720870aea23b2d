"""Many cells: one after another or several at once, the good finished, the bad reported."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from pathlib import Path
from traceback import print_exc

from diffres_cli.comparison.cells import Cell
from diffres_cli.comparison.child import Child, Slot, last_line, launch, stop
from diffres_cli.comparison.plan import count_of
from diffres_cli.comparison.state import CellFolder, folder_of
from diffres_cli.comparison.worker import Order, work
from diffres_cli.errors import DiffresError
from diffres_cli.locks import locked

WORKER = "diffres_cli.comparison.worker"
_LOOK = 0.2  # seconds between looks at the processes
_SHOW = 2.0  # seconds between looks at what they say


@dataclass(frozen=True)
class Job:
    """What is to be run.

    Attributes:
        output: the folder of comparisons. roots: dataset -> its folder; others lie in the usual place.
        slots: how many at once, and where; none: in this process, on `device`.
        say: called with a line when a cell is done. show: with what is going on, cells done, and of how many.
    """

    output: Path
    roots: Mapping[str, Path]
    slots: Sequence[Slot]
    say: Callable[[str], None]
    show: Callable[[str, int, int], None]
    device: str = "auto"


@dataclass
class Summary:
    """How it went: cells that are done now, that were before, and why others are not."""

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
        return f"{count_of(self.done, 'cell')} done{before}{failed}"


def run_cells(cells: Sequence[Cell], job: Job, summary: Summary) -> None:
    """Do what remains to be done of every cell; `summary` always says how far it came.

    Raises:
        OutputError: a folder cannot be made.
    """
    todo = []
    for cell in _once(cells):
        if folder_of(cell, job.output).done(cell.rates):
            summary.skipped += 1
        else:
            folder_of(cell, job.output).prepare(cell)
            todo.append(cell)
    if job.slots:
        _Crew(todo, job, summary).run()
        return
    for cell in todo:
        job.show(cell.name, summary.done, len(todo))
        _note(cell, job, summary, _here(cell, job))


def _once(cells: Sequence[Cell]) -> list[Cell]:
    """One cell for each recipe, tested at all rates that any asks for."""
    found: dict[str, Cell] = {}
    for cell in cells:
        held = found.get(cell.key, cell)
        rates = tuple(sorted({*held.rates, *cell.rates}))
        found[cell.key] = Cell(held.recipe, rates, held.variant, held.baseline)
    return list(found.values())


def _order(cell: Cell, job: Job, device: str) -> Order:
    root = job.roots.get(cell.recipe.data.dataset)
    folder = folder_of(cell, job.output).path
    return Order(str(folder.resolve()), str(root.resolve()) if root else "", cell.rates, device)


def _note(cell: Cell, job: Job, summary: Summary, failure: str) -> None:
    if failure:
        summary.failures[cell.label] = failure
        job.say(f"{cell.label}: failed: {failure}")
        return
    summary.done += 1
    job.say(f"{cell.label}: {_scores(folder_of(cell, job.output), cell)}")


def _scores(folder: CellFolder, cell: Cell) -> str:
    found = folder.evaluation() or {"rates": [], "multi_label": False}
    name = "mAP" if found["multi_label"] else "accuracy"
    told = (
        f"{name} {100 * rate['metrics'][name]:.1f} % at {rate['fps']:g} fps"
        for rate in found["rates"]
        if rate["fps"] in cell.rates
    )
    return ", ".join(told)


def _here(cell: Cell, job: Job) -> str:
    """Work on a cell in this process; why it failed, "" when it did not."""
    with folder_of(cell, job.output).log.open("a", encoding="utf-8") as log, redirect_stderr(log):
        try:
            work(_order(cell, job, job.device))
        except DiffresError as error:
            log.write(f"diffres: {error}\n")
            return str(error)
        except Exception as error:
            print_exc()
            return f"{type(error).__name__}: {error}"
    return ""


@dataclass
class _Running:
    cell: Cell
    child: Child


class _Crew:
    """Processes at work on cells."""

    def __init__(self, cells: Sequence[Cell], job: Job, summary: Summary) -> None:
        self.job, self.summary, self.total = job, summary, len(cells)
        self.waiting = deque(cells)
        self.running: dict[int, _Running] = {}
        self.shown = 0.0

    def run(self) -> None:
        """Until all cells are done or failed; left by an exception, no process remains."""
        try:
            while self.waiting or self.running:
                self._start()
                time.sleep(_LOOK)
                self._collect()
                self._show()
        finally:
            stop(held.child for held in self.running.values())

    def _start(self) -> None:
        for number, slot in enumerate(self.job.slots):
            if number not in self.running and (cell := self._free()):
                order, folder = _order(cell, self.job, slot.kind), folder_of(cell, self.job.output)
                self.running[number] = _Running(cell, launch(WORKER, order.text(), slot, folder.log))

    def _free(self) -> Cell | None:
        """The next cell that no other comparison works on; those wait until the rest is done."""
        for _ in range(len(self.waiting)):
            cell = self.waiting.popleft()
            with locked(folder_of(cell, self.job.output).lock, wait=False) as free:
                if free:
                    return cell
            self.waiting.append(cell)
        return None

    def _collect(self) -> None:
        for number, held in list(self.running.items()):
            failure = held.child.failure()
            if failure is not None:
                del self.running[number]
                _note(held.cell, self.job, self.summary, failure)

    def _show(self) -> None:
        if time.monotonic() - self.shown < _SHOW:
            return
        self.shown = time.monotonic()
        told = []
        for held in self.running.values():
            said = last_line(held.child.log).partition(":")[0]
            told.append(f"{held.cell.label}{f', {said}' if said.startswith('epoch') else ''}")
        self.job.show("; ".join(told), self.summary.done + len(self.summary.failures), self.total)
