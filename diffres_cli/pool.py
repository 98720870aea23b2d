"""A pool of worker processes: results as they come, and one dead worker costs one task at most.

A task whose worker dies is tried once more in a fresh process, unless the pool has another number of
attempts; then the caller learns of it. Workers ignore Ctrl-C, stop when the pool is left, and end with this
process.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

from diffres_cli.errors import DiffresError
from diffres_cli.processes import STOP_TIMEOUT, Worker, kill_worker, start_worker, stop_workers

T = TypeVar("T")
R = TypeVar("R")
Report = Callable[[Any], None]

_MAX_AHEAD_PER_WORKER = 4  # tasks per worker that have started, or are done and wait for one before them
_MAX_DEATHS_IN_A_ROW = 10  # with nothing done in between: the tasks are not to blame


@dataclass(frozen=True)
class Died:
    """Takes the place of a result: the workers of this task died.

    Attributes:
        reason: how, such as "signal SIGKILL". progress: what the last of them reported last; None: nothing.
    """

    reason: str
    progress: Any = None


@dataclass
class _Assignment(Generic[T]):
    """A worker, which is replaced when it dies, and what it does."""

    worker: Worker
    environment: Mapping[str, str]
    task: T | None = None
    attempts: int = 0
    progress: Any = None


@dataclass
class WorkerPool(Generic[T, R]):
    """Worker processes, at most one task in flight each. A context manager; leaving it stops them.

    Attributes:
        count: how many processes.
        prepare: called once in each process, with `arguments`; returns function(task, report) -> result.
            What the function reports is passed to `on_progress`. They are pickled, as tasks and results are.
        on_progress: called with a task and what its worker reports.
        is_stuck: whether a worker is to be replaced after this result.
        environments: variables of the processes; worker i gets entry i modulo their number.
        attempts: how often a task is started if its workers die.
        stop_timeout: seconds for a worker to stop by itself when the pool is left.
    """

    count: int
    prepare: Callable[..., Callable[[T, Report], R]]
    arguments: tuple[Any, ...] = ()
    on_progress: Callable[[T, Any], None] = lambda task, progress: None
    is_stuck: Callable[[R], bool] = lambda result: False
    environments: Sequence[Mapping[str, str]] = ({},)
    attempts: int = 2
    stop_timeout: float = STOP_TIMEOUT
    _workers: list[_Assignment[T]] = field(default_factory=list)
    _submitted: deque[T] = field(default_factory=deque)
    _deaths: int = 0

    def run(
        self, tasks: Iterable[T], may_start: Callable[[], bool] = lambda: True
    ) -> Iterator[tuple[T, R | Died]]:
        """Each task with its result, in the order they finish.

        Args:
            may_start: asked before each task; False lets idle workers wait for the next result.

        Raises:
            DiffresError: one raised in a worker, or the workers die whatever they are given.
        """
        source = iter(tasks)
        while True:
            self._fill(source, may_start)
            busy = {assigned.worker.pipe: assigned for assigned in self._workers if assigned.task is not None}
            if not busy:
                return
            for pipe in wait(list(busy)):
                yield from self._receive(busy[pipe])  # type: ignore[index]

    def run_in_order(self, tasks: Iterable[T]) -> Iterator[tuple[T, R | Died]]:
        """Each task with its result, in the order of the tasks. Few start ahead of a slow one.

        Args:
            tasks: hashable, no two of them equal.

        Raises:
            DiffresError: see `run`.
        """
        started, finished = deque[T](), dict[T, R | Died]()

        def source() -> Iterator[T]:
            for task in tasks:
                started.append(task)
                yield task

        for task, result in self.run(source(), lambda: len(started) < _MAX_AHEAD_PER_WORKER * self.count):
            finished[task] = result
            while started and started[0] in finished:
                first = started.popleft()
                yield first, finished.pop(first)

    def submit(self, task: T) -> None:
        """Add a task to the current `run`, after all others."""
        self._submitted.append(task)

    def _fill(self, source: Iterator[T], may_start: Callable[[], bool]) -> None:
        """Give every idle worker a task; processes start as they are needed."""
        idle = [assigned for assigned in self._workers if assigned.task is None]
        for number in range(len(idle) + self.count - len(self._workers)):
            if not may_start():
                return
            task = next(source, None) or (self._submitted.popleft() if self._submitted else None)
            if task is None:
                return
            if number >= len(idle):
                environment = self.environments[len(self._workers) % len(self.environments)]
                idle.append(_Assignment(self._start(environment), environment))
                self._workers.append(idle[number])
            self._send(idle[number], task, 1)

    def _send(self, assigned: _Assignment[T], task: T, attempts: int) -> None:
        assigned.task, assigned.attempts, assigned.progress = task, attempts, None
        with suppress(OSError):  # it died idle: `_receive` finds its end of the pipe closed
            assigned.worker.pipe.send(task)

    def _receive(self, assigned: _Assignment[T]) -> Iterator[tuple[T, R | Died]]:
        task = assigned.task
        assert task is not None
        try:
            is_result, content = assigned.worker.pipe.recv()
        except (EOFError, OSError):
            yield from self._replace_dead(assigned, task)
            return
        if isinstance(content, DiffresError):
            raise content
        if is_result or assigned.progress is not None:
            self._deaths = 0
        if not is_result:
            assigned.progress = content
            self.on_progress(task, content)
            return
        assigned.task = None
        if self.is_stuck(content):
            self._restart(assigned)
        yield task, content

    def _replace_dead(self, assigned: _Assignment[T], task: T) -> Iterator[tuple[T, Died]]:
        died = Died(assigned.worker.exit_reason, assigned.progress)
        self._deaths += 1
        if self._deaths >= _MAX_DEATHS_IN_A_ROW:
            raise DiffresError(
                f"{self._deaths} worker processes died one after the other ({died.reason}): try a single one"
            )
        self._restart(assigned)
        if assigned.attempts < self.attempts:
            self._send(assigned, task, assigned.attempts + 1)
        else:
            assigned.task = None
            yield task, died

    def _restart(self, assigned: _Assignment[T]) -> None:
        kill_worker(assigned.worker)
        assigned.worker = self._start(assigned.environment)

    def _start(self, environment: Mapping[str, str]) -> Worker:
        with _environment(environment):
            return start_worker(_work, self.prepare, self.arguments)

    def __enter__(self) -> WorkerPool[T, R]:
        return self

    def __exit__(self, *error: object) -> None:
        stop_workers([assigned.worker for assigned in self._workers], self.stop_timeout)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """A process that starts within this block inherits the variables; some are read as a library loads."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _work(
    pipe: Connection, prepare: Callable[..., Callable[[Any, Report], Any]], arguments: tuple[Any, ...]
) -> None:
    """Do tasks until the pipe closes. Sends (whether it is the result, content)."""
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the parent is gone
        try:
            function = prepare(*arguments)
            while True:
                pipe.send((True, function(pipe.recv(), lambda content: pipe.send((False, content)))))
        except DiffresError as error:
            pipe.send((True, error))
