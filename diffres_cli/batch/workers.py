"""Processes with one model each. A worker that dies costs one retry, then its file is reported."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from diffres_cli.audio import printable
from diffres_cli.batch.plan import Task
from diffres_cli.batch.work import Outcome, Setup, do
from diffres_cli.errors import ModelError
from diffres_cli.imports import required
from diffres_cli.pool import Died, Report, WorkerPool


class Workers:
    """Worker processes that tag. A context manager; leaving it stops them at once.

    Args:
        count: how many. setup: what each of them loads and does.
    """

    def __init__(self, count: int, setup: Setup) -> None:
        self.count = count
        self._pool: WorkerPool[Task, Outcome] = WorkerPool(
            count, _prepare, (setup,), is_stuck=lambda outcome: outcome.overdue
        )

    def run(self, tasks: Iterable[Task], may_start: Callable[[], bool] = lambda: True) -> Iterator[Outcome]:
        """Outcomes as they come, in any order; at most one task in flight for each worker.

        Args:
            may_start: asked before each task; False lets idle workers wait for the next outcome.

        Raises:
            OutputError: a worker could not write its result. ModelError: the model cannot be loaded or run.
            DiffresError: the workers die whatever they are given.
        """
        for task, outcome in self._pool.run(tasks, may_start):
            if isinstance(outcome, Died):
                reason = f"the worker tagging it died twice ({outcome.reason})"
                outcome = Outcome(task, error=f"{printable(task.path)}: {reason}")
            yield outcome

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.stop()


def _prepare(setup: Setup) -> Callable[[Task, Report], Outcome]:
    with _memory_explained(), required():
        tagger = setup.load()

    def tag(task: Task, report: Report) -> Outcome:
        with _memory_explained():
            return do(tagger, setup, task)

    return tag


@contextmanager
def _memory_explained() -> Iterator[None]:
    try:
        yield
    except MemoryError as error:
        raise ModelError("a worker ran out of memory: try fewer jobs, or a shorter window") from error
