"""Jobs done by worker processes. One that dies costs a retry, then the recording it died of."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from types import TracebackType

from diffres_cli.datasets.waveforms.decoding import Done, Job, do
from diffres_cli.errors import DiffresError
from diffres_cli.processes import Worker, kill, start, stop

_ATTEMPTS = 2
_DEATHS = 10  # in a row, before a recording was decoded: it is not the recordings' fault
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


@dataclass
class _Worker(Worker):
    job: Job | None = None
    at: tuple[bytes, ...] = ()  # the clips that are being decoded
    decoded: int = 0  # clips of this job before these


@dataclass
class Pool:
    """Worker processes. A context manager; leaving it stops them at once.

    Attributes:
        count: how many. on_decoded: told how many clips were decoded since it was last told; less than
            none when a shard has to be begun again.
    """

    count: int
    on_decoded: Callable[[int], None]
    _workers: list[_Worker] = field(default_factory=list)
    _queue: deque[Job] = field(default_factory=deque)
    _deaths: Counter[bytes] = field(default_factory=Counter)
    _in_a_row: int = 0

    def run(self, jobs: list[Job]) -> dict[bytes, str]:
        """Do all jobs. Returns why clips could not be decoded this time, by key; see `Done.failures`.

        Raises:
            OutputError: a shard cannot be written. DiffresError: workers die before they decode anything.
        """
        self._queue = deque(jobs)
        self._workers = [self._start() for _ in range(min(self.count, len(jobs)))]
        failures: dict[bytes, str] = {}
        while True:
            for worker in self._workers:
                if worker.job is None and self._queue:
                    self._give(worker, self._queue.popleft())
            busy = {worker.pipe: worker for worker in self._workers if worker.job is not None}
            if not busy:
                return failures
            for pipe in wait(list(busy)):
                failures |= self._hear(busy[pipe])  # type: ignore[index]

    def _give(self, worker: _Worker, job: Job) -> None:
        worker.job, worker.at, worker.decoded = job, (), 0
        with suppress(OSError):  # it died idle: `_hear` finds its end of the pipe closed
            worker.pipe.send(job)

    def _hear(self, worker: _Worker) -> dict[bytes, str]:
        try:
            message = worker.pipe.recv()
        except (EOFError, OSError):
            self._replace(worker)
            return {}
        if isinstance(message, DiffresError):
            raise message
        if isinstance(message, Done):
            return self._finish(worker, message)
        self._advance(worker, message)
        return {}

    def _advance(self, worker: _Worker, at: tuple[bytes, ...]) -> None:
        """The clips before are decoded, these are next."""
        if worker.at:
            self._in_a_row = 0
            self.on_decoded(len(worker.at))
        worker.decoded += len(worker.at)
        worker.at = at

    def _finish(self, worker: _Worker, done: Done) -> dict[bytes, str]:
        job = worker.job
        assert job is not None
        if done.busy:  # the others first, then wait for that process: it may die
            self._queue.append(replace(job, wait=True))
        else:
            self._in_a_row = 0
            self.on_decoded(len(job.keys) - worker.decoded)
        worker.job = None
        return done.failures

    def _replace(self, worker: _Worker) -> None:
        job, died_at = worker.job, worker.at
        assert job is not None
        self._in_a_row += 1
        if self._in_a_row >= _DEATHS:
            raise DiffresError(
                f"{self._in_a_row} decoding processes died one after the other ({worker.death})"
            )
        kill(worker)
        self._deaths.update(died_at)
        self.on_decoded(-worker.decoded)
        fresh = self._start()
        worker.process, worker.pipe = fresh.process, fresh.pipe
        fatal = {key for key in died_at if self._deaths[key] >= _ATTEMPTS}
        self._give(worker, replace(job, skip=job.skip | fatal))

    def _start(self) -> _Worker:
        with _one_thread():
            return _Worker(*start(_work))

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stop(self._workers)


@contextmanager
def _one_thread() -> Iterator[None]:
    """A process that starts within this block has one thread for NumPy's products: each worker has a core."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _work(pipe: Connection) -> None:
    """A worker's life: do jobs until the pipe closes."""
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the parent is gone
        try:
            while True:
                pipe.send(do(pipe.recv(), pipe.send))
        except DiffresError as error:
            pipe.send(error)
