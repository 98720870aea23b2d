"""One progress bar on standard error, by rich, which is loaded only for a bar that is shown."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from diffres_cli.text import escaped

if TYPE_CHECKING:
    from rich.progress import Progress

_PATIENCE = 0.5  # seconds before a bar appears: a quick run shows none and does not load rich
_Bar = TypeVar("_Bar", bound="LiveBar")


class LiveBar:
    """How much is done, of how much, and of what. A context manager; it is gone when the block ends.

    Args:
        shown: whether at all. size: bytes are counted, else things. remaining: say how long it will take.
    """

    def __init__(self, *, shown: bool, size: bool = False, remaining: bool = False) -> None:
        self._shown, self._size, self._remaining = shown, size, remaining
        self._began = time.monotonic()
        self._live: Progress | None = None

    def draw(self, what: str, done: float, total: float | None) -> None:
        """`done` of `total` are done, None where nobody knows; `what` says of what."""
        if not self._shown or time.monotonic() - self._began < _PATIENCE:
            return
        if self._live is None:
            self._live = _progress(self._size, self._remaining)
        if not self._live.live.is_started:
            self._live.start()
        self._live.update(self._live.task_ids[0], completed=done, total=total, description=escaped(what))

    def clear(self, *, anew: bool = False) -> None:
        """Erase the bar; the next `draw` brings it back, or, `anew`, another whose time begins then."""
        if self._live is not None and self._live.live.is_started:
            self._live.stop()
        if anew:
            self._live = None

    def __enter__(self: _Bar) -> _Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()


def _progress(size: bool, remaining: bool) -> Progress:
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
