"""A limit on how long work may run without progress; signals still arrive in that time.

Native code sees neither signals nor exceptions: a pipe from ffmpeg, a read from a network drive that is
gone, a graph with an endless loop. So the work runs in a thread, and the caller waits where both arrive.
Work that is cancelled is asked to stop. A thread that cannot is left behind; the process ends without it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from diffres_cli.errors import StalledError

DEFAULT_TIMEOUT = 600.0
"""Seconds without progress. A single-board computer tags an hour, the longest window, in less."""
_POLL = 0.5  # seconds: on Windows, signals wait until a wait ends
_CLEAN_UP = 1.0  # seconds for cancelled work to close its files

_Result = TypeVar("_Result")
_local = threading.local()


class _Cancelled(BaseException):
    """Raised in work that has been cancelled."""


class _Task:
    """Work in a thread: when it last made progress, how it ended, and how to stop it."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work
        self.result: Any = None
        self.error: BaseException | None = None
        self.done = threading.Event()
        self.cancelled = False
        self.active = time.monotonic()
        self.callbacks: dict[str, Callable[[], object]] = {}

    def run(self) -> None:
        _local.task = self
        try:
            self.result = self.work()
        except BaseException as error:  # raised again where the result is awaited
            self.error = error
        finally:
            self.done.set()

    def wait(self, seconds: float) -> Any:
        while not self.done.wait(_POLL):
            if seconds and time.monotonic() - self.active > seconds:
                raise StalledError(f"given up after {seconds:g} s without progress")
        if self.error is not None:
            raise self.error
        return self.result

    def cancel(self) -> None:
        if self.done.is_set():
            return
        self.cancelled = True
        for callback in list(self.callbacks.values()):
            callback()
        self.done.wait(_CLEAN_UP)


def run_with_timeout(work: Callable[[], _Result], seconds: float = DEFAULT_TIMEOUT) -> _Result:
    """The result of `work()`, which may take as long as it makes progress.

    Args:
        seconds: how long it may run without a call of `report_progress`; 0 for no limit.

    Raises:
        StalledError: it made no progress for that long. Whatever the work raises.
    """
    return start_work(work, seconds)()


def start_work(work: Callable[[], _Result], seconds: float = DEFAULT_TIMEOUT) -> Callable[[], _Result]:
    """Start `work()`, and return what waits for its result and raises as `run_with_timeout` does."""
    task = _Task(work)
    threading.Thread(target=task.run, daemon=True).start()

    def wait() -> _Result:
        try:
            result: _Result = task.wait(seconds)
        except BaseException:  # an interrupt, say
            task.cancel()
            raise
        return result

    return wait


def report_progress() -> None:
    """Restart the time limit of this thread's work, if it has one."""
    task: _Task | None = getattr(_local, "task", None)
    if task is None:
        return
    if task.cancelled:
        raise _Cancelled
    task.active = time.monotonic()


@contextmanager
def without_timeout() -> Iterator[None]:
    """Within this block there is no limit, as while waiting for standard input."""
    task: _Task | None = getattr(_local, "task", None)
    if task is not None:
        task.active = float("inf")
    yield
    report_progress()


def on_cancel(name: str, callback: Callable[[], object]) -> None:
    """Have `callback` called, from another thread, when this thread's work is cancelled.

    Args:
        name: of what it stops; the last callback of each name counts.
    """
    task: _Task | None = getattr(_local, "task", None)
    if task is None:
        return
    task.callbacks[name] = callback
    if task.cancelled:
        callback()
