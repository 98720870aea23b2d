"""The tagging loop: tasks -> an engine that tags them -> results and a summary."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from traceback import format_exception
from typing import Any, Protocol

from diffres_cli.audio import import_decoders, printable
from diffres_cli.batch.plan import Task
from diffres_cli.batch.work import Failure, Outcome, Setup, tag_task
from diffres_cli.cores import available_cores
from diffres_cli.errors import AudioError
from diffres_cli.tagging.prediction import Prediction
from diffres_cli.tagging.tagger import Tagger
from diffres_cli.text import STDIN

ALL_DONE, SOME_FAILED, NOTHING_SUCCEEDED = 0, 1, 3
_MIN_TASKS_PER_WORKER = 16  # recordings; starting a worker takes as long as tagging this many

Engine = Callable[[list[Task]], AbstractContextManager[Iterator[Outcome]]]
"""Starts to tag, and stops when the block is left. Outcomes come in any order that its results allow."""


@dataclass
class Summary:
    """How a run went.

    Attributes:
        done: recordings with a result. skipped: those that had one before. changed: those tagged again
            because settings or versions changed. warnings: (the name of its recording, text).
        drawable: the last prediction that has a spectrogram to draw.
    """

    done: int = 0
    skipped: int = 0
    changed: int = 0
    failures: list[Failure] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)
    drawable: Prediction | None = None

    def __str__(self) -> str:
        skipped = f", {self.skipped} done before" if self.skipped else ""
        failed = f", {len(self.failures)} failed" if self.failures else ""
        return f"{self.done} tagged{skipped}{failed}"

    @property
    def exit_code(self) -> int:
        """0 all done, now or before, 1 some inputs failed, 3 nothing succeeded."""
        if not self.failures:
            return ALL_DONE
        return SOME_FAILED if self.done or self.skipped else NOTHING_SUCCEEDED

    def add(self, outcome: Outcome) -> None:
        """Count an outcome."""
        if outcome.failure is not None:
            self.failures.append(outcome.failure)
            return
        self.done += 1
        self.drawable = outcome.drawable
        file, name = printable(outcome.task.path), outcome.task.name
        found = [("", text) for text in outcome.warnings]
        found += [(name, f"{file}: {text}") for text in outcome.records[0].get("warnings", ())]
        self.warnings += [warning for warning in found if warning[0] or warning not in self.warnings]

    def sort(self, items: Sequence[Task | AudioError]) -> None:
        """Put failures and warnings in the order of the listing: workers finish in any order."""
        named = [item.name if isinstance(item, Task) else str(item) for item in items]
        place = {name: number for number, name in enumerate(named)}
        self.failures.sort(key=lambda failure: place[failure.name])
        self.warnings.sort(key=lambda warning: place.get(warning[0], -1))


class Results(Protocol):
    """The destination of outcomes."""

    def remaining(self, tasks: list[Task], summary: Summary) -> list[Task]:
        """The tasks to do; those that are done already are counted in the summary."""

    def add(self, outcome: Outcome) -> None:
        """Write the outcome of a recording that was tagged."""

    def finish(self) -> None:
        """Called once, after the last outcome."""


def tag_all(
    items: Sequence[Task | AudioError],
    engine: Engine,
    results_context: AbstractContextManager[Results],
    summary: Summary,
) -> None:
    """Tag what is not done yet. One bad recording never costs the good ones.

    Args:
        items: as `plan` gives them, with an AudioError for each input that has no recording.
        results_context: a context manager that opens the results and closes them.
        summary: filled in as the run goes, so that it is true when the run is interrupted, too.

    Raises:
        UsageError: settings out of range. OutputError: results can no longer be written.
        ModelError: the model cannot be loaded or run. DependencyError: the decoder is not installed.
    """
    tasks = [item for item in items if isinstance(item, Task)]
    for error in items:
        if isinstance(error, AudioError):
            summary.failures.append(Failure(str(error), str(error), "".join(format_exception(error))))
    try:
        with results_context as results:
            todo = results.remaining(tasks, summary)
            with engine(todo) as outcomes:
                for outcome in outcomes:
                    summary.add(outcome)
                    if outcome.failure is None:
                        results.add(outcome)
            results.finish()
    finally:
        summary.sort(items)


def local_engine(
    setup: Setup,
    jobs: int | None = None,
    *,
    in_order: bool = False,
    on_window: Callable[[str, float, float | None], None] | None = None,
    on_load: Callable[[Tagger], None] | None = None,
) -> Engine:
    """An engine of this machine: this process, or several.

    Args:
        jobs: processes; None: by cores, one alone for a few recordings. Standard input, which workers do
            not have, is for one alone too.
        in_order: outcomes come in the order of the tasks. on_window: see `tag_task`; of one process.
        on_load: called with the tagger before it tags; one of this process stands for those of several.
    """

    @contextmanager
    def start(tasks: list[Task]) -> Iterator[Iterator[Outcome]]:
        if not tasks:
            yield iter(())
            return
        count = min(jobs or min(available_cores(), len(tasks) // _MIN_TASKS_PER_WORKER), len(tasks))
        if count <= 1 or any(task.path == STDIN for task in tasks):
            import_decoders()  # while the model loads, where that has begun: see `preload_session`
            tagger = setup.load()
            if on_load:
                on_load(tagger)
            yield (tag_task(setup, tagger, task, on_window=on_window) for task in tasks)
            return
        if on_load:
            on_load(setup.load())
        from diffres_cli.tagging.many import tagging_pool  # multiprocessing takes time to load

        with tagging_pool(count, setup.load, partial(tag_task, setup), lambda done: done.timed_out) as pool:
            run = pool.run_in_order if in_order else pool.run
            yield (_outcome(task, result) for task, result in run(tasks))

    return start


def _outcome(task: Task, result: Any) -> Outcome:
    if isinstance(result, Outcome):
        return result
    from diffres_cli.tagging.many import worker_died

    return Outcome(task, failure=Failure(task.name, worker_died(task.path, result)))
