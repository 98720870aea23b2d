"""A progress bar for one step after the other, on standard error and on a terminal only."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

_PATIENCE, _PAUSE = 0.5, 0.1  # seconds before a bar appears, and between two looks of it


class Steps:
    """A bar that says what is being done. A context manager; it is gone when the block ends.

    Args:
        count: things are counted, else bytes.
    """

    def __init__(self, *, count: bool = False) -> None:
        self._count = count
        self._live: Progress | None = None
        self._next = time.monotonic() + _PATIENCE if sys.stderr.isatty() else float("inf")

    def show(self, what: str, done: int, total: int) -> None:
        """`done` of `total` are done of a step; 0 where nobody knows the total."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _PAUSE
        if self._live is None:
            self._live = _bar(self._count)
            self._live.start()
        self._live.update(self._live.task_ids[0], description=what[-50:], completed=done, total=total or None)

    def __enter__(self) -> Steps:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()


def _bar(count: bool) -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    amount = MofNCompleteColumn() if count else DownloadColumn()
    columns = (BarColumn(), amount, TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    progress = Progress(*columns, console=Console(stderr=True), transient=True)
    progress.add_task("", total=None)
    return progress
