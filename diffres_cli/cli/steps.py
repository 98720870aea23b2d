"""A progress bar for one step after the other, on a terminal only."""

from __future__ import annotations

import sys
import time

from diffres_cli.cli.livebar import LiveBar

_PAUSE = 0.1  # seconds between two looks of it


class Steps(LiveBar):
    """A bar that says what is being done.

    Args:
        count: things are counted, else bytes.
    """

    def __init__(self, *, count: bool = False) -> None:
        super().__init__(shown=sys.stderr.isatty(), size=not count)
        self._next = 0.0

    def show(self, what: str, done: int, total: int) -> None:
        """`done` of `total` are done of a step; 0 where nobody knows the total."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _PAUSE
            self.draw(what[-50:], done, total or None)
