"""Worker processes: a pipe to each, deaf to Ctrl-C, stopped by their parent, and gone when it is."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from types import FrameType
from typing import Any

_STOPS = (signal.SIGINT, signal.SIGTERM)
_PATIENCE = 5  # seconds for a worker to stop by itself


@dataclass
class Worker:
    """A process, and this end of the pipe to it, which closes when it dies."""

    process: SpawnProcess
    pipe: Connection

    @property
    def death(self) -> str:
        """Words for how it died."""
        code = self.process.exitcode
        try:
            return f"signal {signal.Signals(-(code or 0)).name}"
        except ValueError:
            return f"exit code {code}"


def start(work: Callable[..., None], *arguments: Any) -> tuple[SpawnProcess, Connection]:
    """Start a process that calls work(pipe, *arguments), and give it and our end of the pipe."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, work, arguments), daemon=True)
    with _uninterrupted():
        process.start()
    there.close()  # so that the worker's death closes the pipe
    return process, here


def stop(workers: Iterable[Worker]) -> None:
    """Stop them all, at once."""
    stopped = list(workers)
    for worker in stopped:
        worker.pipe.close()
        worker.process.terminate()
    for worker in stopped:
        worker.process.join(_PATIENCE)
        worker.process.kill()  # it hangs, on a network drive say
        worker.process.join()


def _serve(pipe: Connection, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """A worker's life."""
    # The parent decides when to stop. (Where there are signal masks, `_uninterrupted` has seen to it.)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    told: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        told.append(number)
        sys.exit(1)  # rather than die at once: a half-written file is removed on the way out

    signal.signal(signal.SIGTERM, stop)
    try:
        work(pipe, *arguments)
    except BaseException:
        if not told:  # a library that is told to stop while it loads raises an error of its own
            raise
        sys.exit(1)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C goes to all processes of a terminal: what starts within this block is deaf to it until `_serve`
    takes care, and this process stops only after the block, with the newcomer fully started."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # which, where it starts, lifts the mask
    came: list[int] = []
    handlers = {number: signal.signal(number, lambda number, _: came.append(number)) for number in _STOPS}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # a child inherits it, not handlers
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for each, handler in handlers.items():
            signal.signal(each, handler)
        for number in came[:1]:
            signal.raise_signal(number)
