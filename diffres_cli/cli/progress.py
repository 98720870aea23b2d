"""A progress bar on standard error that keeps out of the results' way."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from diffres_cli.audio import printable
from diffres_cli.outputs.table import clock

if TYPE_CHECKING:
    from rich.progress import Progress

_PATIENCE = 0.5  # seconds before a bar appears: a quick run shows none and does not load rich


class Bar:
    """Files done and where in the current one. A context manager; it is gone when the block ends."""

    def __init__(self, total: int, *, shown: bool) -> None:
        self._total = total
        self._shown = shown
        self._began = time.monotonic()
        self._seen: set[Path] = set()
        self._live: Progress | None = None

    def show(self, path: Path, seconds: float, total: float | None) -> None:
        """`seconds` of `path` are tagged, of `total` where that is known."""
        self._seen.add(path)
        if not self._shown or time.monotonic() - self._began < _PATIENCE:
            return
        if self._live is None:
            self._live = _bar(self._total)
        if not self._live.live.is_started:
            self._live.start()
        where = f"{printable(path.name)[-40:]}  {clock(seconds)}" + (f" of {clock(total)}" if total else "")
        share = min(seconds / total, 1.0) if total else 0.0
        self._live.update(self._live.task_ids[0], completed=len(self._seen) - 1 + share, description=where)

    def clear(self) -> None:
        """Erase the bar; the next `show` brings it back."""
        if self._live is not None and self._live.live.is_started:
            self._live.stop()

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()


def _bar(total: int) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    progress = Progress(*columns, console=Console(stderr=True), transient=True)
    progress.add_task("", total=total)
    return progress
