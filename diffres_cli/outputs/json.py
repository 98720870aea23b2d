"""One JSON document: a list with one object a recording, however many there are."""

from __future__ import annotations

from collections.abc import Iterator

from diffres_cli.outputs.records import Record, to_json


class JsonWriter:
    """See `diffres_cli.outputs.Writer`."""

    def __init__(self) -> None:
        self._written = 0

    def begin(self) -> str:
        """Opens the list."""
        return "["

    def record(self, record: Record) -> Iterator[str]:
        """One object, on a line of its own."""
        yield ",\n" if self._written else "\n"
        yield to_json(record)
        self._written += 1

    def end(self) -> str:
        """Closes the list."""
        return "\n]\n"


writer = JsonWriter
