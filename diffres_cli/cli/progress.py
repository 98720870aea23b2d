"""The progress of recordings, on a bar that keeps out of the results' way."""

from __future__ import annotations

from pathlib import Path

from diffres_cli.audio import printable
from diffres_cli.cli.livebar import LiveBar
from diffres_cli.outputs.table import clock


class Bar(LiveBar):
    """Files done and where in the current one."""

    def __init__(self, total: int, *, shown: bool) -> None:
        super().__init__(shown=shown)
        self._total = total
        self._seen: set[Path] = set()

    def show(self, path: Path, seconds: float, total: float | None) -> None:
        """`seconds` of `path` are tagged, of `total` where that is known."""
        self._seen.add(path)
        where = f"{printable(path.name)[-40:]}  {clock(seconds)}" + (f" of {clock(total)}" if total else "")
        share = min(seconds / total, 1.0) if total else 0.0
        self.draw(where, len(self._seen) - 1 + share, self._total)
