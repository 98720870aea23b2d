"""Worker processes: they have a pipe to their parent, ignore Ctrl-C and end with their parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
STOP_TIMEOUT = 5.0
"""Seconds for a worker to stop by itself, by default."""


@dataclass
class Worker:
    """A process, and this end of the pipe to it, which closes when it dies."""

    process: SpawnProcess
    pipe: Connection

    @property
    def exit_reason(self) -> str:
        """How it ended: "signal SIGKILL" or "exit code 1"."""
        self.process.join(STOP_TIMEOUT)  # the pipe closes a little before
        code = self.process.exitcode
        try:
            return f"signal {signal.Signals(-(code or 0)).name}"
        except ValueError:
            return f"exit code {code}"


def start_worker(work: Callable[..., None], *arguments: Any) -> Worker:
    """Start a process that calls work(pipe, *arguments)."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, work, arguments), daemon=True)
    with _block_interrupts():
        process.start()
    there.close()  # so that the worker's death closes the pipe
    return Worker(process, here)


def stop_workers(workers: Sequence[Worker], stop_timeout: float = STOP_TIMEOUT) -> None:
    """Tell them all to stop, and kill those that have not within `stop_timeout` seconds."""
    for worker in workers:
        worker.process.terminate()  # before its pipe closes: a worker takes a closed pipe for an error
    deadline = time.monotonic() + stop_timeout
    for worker in workers:
        worker.process.join(max(0.0, deadline - time.monotonic()))
        kill_worker(worker)


def kill_worker(worker: Worker) -> None:
    """Kill a worker. One that waits for a lost drive dies only when the system lets it."""
    worker.pipe.close()
    worker.process.kill()
    worker.process.join(STOP_TIMEOUT)


def _serve(pipe: Connection, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """The main function of a worker process."""
    # The parent decides when to stop. (Where there are signal masks, `_block_interrupts` has seen to it.)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stopped = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True
        signal.signal(number, signal.SIG_IGN)  # it may come to all, and from the parent again
        sys.exit(1)  # rather than die at once: a half-written file is removed on the way out

    signal.signal(signal.SIGTERM, stop)
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_exit_with_parent, args=(parent,), daemon=True).start()
    try:
        work(pipe, *arguments)
    except BaseException:
        # A library that is stopped while it loads raises an error of its own, and a pipe whose other end is
        # gone may do so before the signal comes.
        if stopped or not parent.is_alive():
            os._exit(1)  # at once: a thread that was given up may be inside a library
        raise


def _exit_with_parent(parent: BaseProcess) -> None:
    """Stop this worker by SIGTERM when its parent is gone, such as killed."""
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def _block_interrupts() -> Iterator[None]:
    """Protect a process that starts within this block from Ctrl-C, which reaches all processes of a terminal.

    The new one ignores it until `_serve` takes over; this one stops only after the block.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # which, where it starts, lifts the mask
    caught: list[int] = []
    handlers = {stop: signal.signal(stop, lambda number, _: caught.append(number)) for stop in _STOP_SIGNALS}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # a child inherits it, not handlers
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for stop, handler in handlers.items():
            signal.signal(stop, handler)
        for number in caught[:1]:
            signal.raise_signal(number)
