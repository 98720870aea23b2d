"""JSON Lines: one object a recording, one recording a line."""

from __future__ import annotations

from collections.abc import Iterator

from diffres_cli.outputs.records import to_json
from diffres_cli.outputs.writer import Writer
from diffres_cli.tagging.record import Record


class JsonLinesWriter(Writer):
    """The documented record of each recording."""

    def format_record(self, record: Record) -> Iterator[str]:
        """One line."""
        yield to_json(record) + "\n"
