"""Progress bars on standard error, by rich, which is loaded only for a bar that is shown."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from diffres_cli.outputs.table import format_duration
from diffres_cli.text import escaped, printable

if TYPE_CHECKING:
    from rich.progress import Progress

_SHOW_AFTER = 0.5  # seconds before a bar appears: a quick run shows none and does not load rich
_PAUSE = 0.1  # seconds between two steps that are drawn
_Bar = TypeVar("_Bar", bound="ProgressBar")


class ProgressBar:
    """A progress bar: done, total and a description. A context manager; the bar is erased at its end.

    Args:
        shown: whether at all. size: bytes are counted, else things. remaining: show the time left.
    """

    def __init__(self, *, shown: bool, size: bool = False, remaining: bool = False) -> None:
        self._shown, self._size, self._remaining = shown, size, remaining
        self._began = time.monotonic()
        self._live: Progress | None = None

    def draw(self, what: str, done: float, total: float | None) -> None:
        """`done` of `total` are done, None if that is unknown; `what` names them."""
        if not self._shown or time.monotonic() - self._began < _SHOW_AFTER:
            return
        if self._live is None:
            self._live = _make_bar(self._size, self._remaining)
        if not self._live.live.is_started:
            self._live.start()
        self._live.update(self._live.task_ids[0], completed=done, total=total, description=escaped(what))

    def clear(self, *, restart: bool = False) -> None:
        """Erase the bar. The next `draw` shows it again; with `restart` a new one, whose time starts then."""
        if self._live is not None and self._live.live.is_started:
            self._live.stop()
        if restart:
            self._live = None

    def __enter__(self: _Bar) -> _Bar:
        self._began = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()


class RecordingsBar(ProgressBar):
    """Recordings done, of `total`, and the position in the current one."""

    total = 0
    _done = 0

    def show(self, path: str, seconds: float, duration: float | None) -> None:
        """`seconds` of the recording at `path` are tagged, of `duration` where that is known."""
        self._draw(path, seconds, duration, min(seconds / duration, 1.0) if duration else 0.0)

    def count(self, path: str, duration: float) -> None:
        """One more recording is done, of `duration` seconds."""
        self._done += 1
        if self._done < self.total:
            self._draw(path, duration, duration, 0.0)

    def _draw(self, path: str, seconds: float, duration: float | None, share: float) -> None:
        where = f"{printable(os.path.basename(path))[-40:]}  {format_duration(seconds)}"  # noqa: PTH119 (called often)
        where += f" of {format_duration(duration)}" if duration else ""
        self.draw(where, self._done + share, self.total)


class StepsBar(ProgressBar):
    """One step after the other, on a terminal only.

    Args:
        count: things are counted, else bytes.
    """

    def __init__(self, *, count: bool = False) -> None:
        super().__init__(shown=sys.stderr.isatty(), size=not count)
        self._next = 0.0

    def show(self, what: str, done: int, total: int) -> None:
        """`done` of `total` are done of a step; a total of 0 is unknown."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _PAUSE
            self.draw(what[-50:], done, total or None)


def _make_bar(size: bool, remaining: bool) -> Progress:
    from rich import progress
    from rich.console import Console

    columns = (
        progress.BarColumn(),
        progress.DownloadColumn() if size else progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        *((progress.TimeRemainingColumn(),) if remaining else ()),
        progress.TextColumn("{task.description}", markup=False),
    )
    bar = progress.Progress(*columns, console=Console(stderr=True), transient=True)
    bar.add_task("", total=None)
    return bar
