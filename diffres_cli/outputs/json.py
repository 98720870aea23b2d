"""One JSON document: a list with one object a recording, however many there are."""

from __future__ import annotations

from collections.abc import Iterator

from diffres_cli.outputs.records import to_json
from diffres_cli.outputs.writer import Writer
from diffres_cli.tagging.record import Record


class JsonWriter(Writer):
    """The documented record of each recording, in a list."""

    def __init__(self) -> None:
        self._separator = "\n"

    def format_header(self) -> str:
        """Opens the list."""
        return "["

    def format_record(self, record: Record) -> Iterator[str]:
        """One object, on a line of its own."""
        yield self._separator
        yield to_json(record)
        self._separator = ",\n"

    def format_footer(self) -> str:
        """Closes the list."""
        return "\n]\n"
