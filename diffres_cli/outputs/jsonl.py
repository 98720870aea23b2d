"""JSON Lines: one object a recording, one recording a line."""

from __future__ import annotations

from collections.abc import Iterator

from diffres_cli.outputs.records import Record, to_json


class JsonLinesWriter:
    """See `diffres_cli.outputs.Writer`."""

    def begin(self) -> str:
        """Nothing."""
        return ""

    def record(self, record: Record) -> Iterator[str]:
        """One line."""
        yield to_json(record) + "\n"

    def end(self) -> str:
        """Nothing."""
        return ""


writer = JsonLinesWriter
