"""A limit on how long work goes on without progress, and ears for signals meanwhile.

Native code hears neither signals nor exceptions: a pipe from ffmpeg, a read from a network drive that is
gone, a graph with an endless loop. So the work runs in a thread, and the caller waits where both arrive.
Work that is given up is told to stop. A thread that cannot is left behind; it keeps no process from ending.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from diffres_cli.errors import OverdueError

PATIENCE = 600.0
"""Seconds without progress. A single-board computer tags an hour, the longest window, in less."""
_SLICE = 0.5  # seconds: on Windows, signals wait until a wait ends
_FAREWELL = 1.0  # seconds for work that was told to stop to close its files

_Result = TypeVar("_Result")
_here = threading.local()


class _GivenUp(BaseException):
    """Raised in work that nobody waits for any more."""


class _Work(Generic[_Result]):
    """Work in a thread: how it ended, and how to stop it."""

    def __init__(self, work: Callable[[], _Result]) -> None:
        self._work = work
        self._result: list[_Result] = []
        self._error: BaseException | None = None
        self._stops: dict[str, Callable[[], object]] = {}
        self._given_up = False
        self._seen = time.monotonic()
        self._done = threading.Event()

    def run(self) -> None:
        _here.work = self
        try:
            self._result.append(self._work())
        except BaseException as error:  # the one who waits is to have it
            self._error = error
        finally:
            self._done.set()

    def outcome(self, seconds: float) -> _Result:
        """What the work gives or raises, waited for as long as there is progress."""
        while not self._done.wait(_SLICE):
            if seconds and time.monotonic() - self._seen > seconds:
                raise OverdueError(f"given up after {seconds:g} s without progress")
        if self._error is not None:
            raise self._error
        return self._result[0]

    def progress(self) -> None:
        if self._given_up:
            raise _GivenUp
        self._seen = time.monotonic()

    def pause(self) -> None:
        self._seen = float("inf")

    def on_stop(self, what: str, stop: Callable[[], object]) -> None:
        self._stops[what] = stop
        if self._given_up:
            stop()

    def give_up(self) -> None:
        if self._done.is_set():
            return
        self._given_up = True
        for stop in list(self._stops.values()):
            stop()
        self._done.wait(_FAREWELL)


def watched(work: Callable[[], _Result], seconds: float = PATIENCE) -> _Result:
    """Do some work, for as long as it makes progress.

    Args:
        seconds: how long it may go on without a call of `progress`; 0 for no limit.

    Raises:
        OverdueError: it made no progress for that long. Whatever the work raises.
    """
    task = _Work(work)
    threading.Thread(target=task.run, daemon=True).start()
    try:
        return task.outcome(seconds)
    except BaseException:  # an interrupt, say
        task.give_up()
        raise


def progress() -> None:
    """Note that the work this thread does, if it is watched, goes on."""
    if (work := getattr(_here, "work", None)) is not None:
        work.progress()


@contextmanager
def unhurried() -> Iterator[None]:
    """Within this block there is no limit: it waits for somebody else, who may take his time."""
    if (work := getattr(_here, "work", None)) is not None:
        work.pause()
    yield
    progress()


def on_stop(what: str, stop: Callable[[], object]) -> None:
    """Have `stop` called, from another thread, when this thread's work is given up.

    Args:
        what: is stopped; of each of these the last one counts.
    """
    if (work := getattr(_here, "work", None)) is not None:
        work.on_stop(what, stop)
