"""A progress bar on standard error for things that are counted."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

_PATIENCE = 0.5  # seconds before a bar appears: a quick run shows none and does not load rich


class CountBar:
    """How many are done, of how many, and of what. A context manager; it is gone when the block ends."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._began = time.monotonic()
        self._live: Progress | None = None

    def show(self, what: str, done: int, total: int) -> None:
        """`done` of `total` are done; `what` says of what."""
        if not self._shown or time.monotonic() - self._began < _PATIENCE:
            return
        if self._live is None:
            self._live = _bar()
            self._live.start()
        self._live.update(self._live.task_ids[0], completed=done, total=total, description=what)

    def clear(self) -> None:
        """Erase the bar; the next `show` brings it back."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def __enter__(self) -> CountBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
    )
    progress = Progress(*columns, console=Console(stderr=True), transient=True)
    progress.add_task("", total=None)
    return progress
