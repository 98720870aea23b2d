"""Processes with one model each. A worker that dies costs one retry, then its file is reported."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from types import TracebackType

from diffres_cli.audio import printable
from diffres_cli.batch.plan import Task
from diffres_cli.batch.work import Outcome, Setup, do
from diffres_cli.errors import DiffresError, ModelError
from diffres_cli.imports import required
from diffres_cli.processes import Worker, kill, start, stop

_ATTEMPTS = 2
_DEATHS = 10  # in a row, with nothing done in between: it is not the recordings' fault


@dataclass
class _Worker(Worker):
    task: Task | None = None


@dataclass
class Workers:
    """A pool of worker processes. A context manager; leaving it stops them at once.

    Attributes:
        count: how many. setup: what each of them loads and does.
    """

    count: int
    setup: Setup
    _workers: list[_Worker] = field(default_factory=list)
    _attempts: dict[Task, int] = field(default_factory=dict)
    _deaths: int = 0

    def run(self, tasks: Iterable[Task], may_start: Callable[[], bool] = lambda: True) -> Iterator[Outcome]:
        """Outcomes as they come, in any order; at most one task in flight for each worker.

        Args:
            may_start: asked before each task is given out; False lets workers idle until the next outcome.

        Raises:
            OutputError: a worker could not write its result. ModelError: the model cannot be loaded or run.
        """
        source = iter(tasks)
        self._workers = [self._start() for _ in range(self.count)]
        while True:
            for worker in self._workers:
                if worker.task is None and may_start():
                    self._give(worker, next(source, None))
            busy = {worker.pipe: worker for worker in self._workers if worker.task is not None}
            if not busy:
                return
            for pipe in wait(list(busy)):
                outcome = self._take(busy[pipe])  # type: ignore[index]
                if outcome is not None:
                    yield outcome

    def _give(self, worker: _Worker, task: Task | None) -> None:
        worker.task = task
        if task is not None:
            self._attempts[task] = self._attempts.get(task, 0) + 1
            with suppress(OSError):  # it died idle: `_take` finds its end of the pipe closed
                worker.pipe.send(task)

    def _take(self, worker: _Worker) -> Outcome | None:
        """The outcome a worker sent; None when it died and its task is tried once more."""
        task = worker.task
        assert task is not None
        try:
            result = worker.pipe.recv()
        except (EOFError, OSError):
            return self._replace(worker, task)
        worker.task = None
        del self._attempts[task]
        self._deaths = 0
        if isinstance(result, DiffresError):
            raise result
        assert isinstance(result, Outcome)
        if result.overdue:
            self._exchange(worker)
        return result

    def _replace(self, worker: _Worker, task: Task) -> Outcome | None:
        death = worker.death
        self._deaths += 1
        if self._deaths >= _DEATHS:
            raise ModelError(f"{self._deaths} workers died one after the other ({death}): try -j 1")
        self._exchange(worker)
        if self._attempts[task] < _ATTEMPTS:
            self._give(worker, task)
            return None
        del self._attempts[task]
        return Outcome(task, error=f"{printable(task.path)}: the worker tagging it died twice ({death})")

    def _exchange(self, worker: _Worker) -> None:
        """Put a fresh process in the place of one that died or is stuck."""
        kill(worker)
        fresh = self._start()
        worker.process, worker.pipe, worker.task = fresh.process, fresh.pipe, None

    def _start(self) -> _Worker:
        return _Worker(*start(_work, self.setup))

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stop(self._workers)


def _work(pipe: Connection, setup: Setup) -> None:
    """A worker's life: load the model, do tasks until the pipe closes."""
    try:
        with required():
            tagger = setup.load()
        while True:
            pipe.send(do(tagger, setup, pipe.recv()))
    except DiffresError as error:
        pipe.send(error)
    except (EOFError, BrokenPipeError):
        pass
    except MemoryError:
        pipe.send(ModelError("a worker ran out of memory: try fewer with -j, or a shorter --window"))
