"""JSON: a list of one object a recording, or, as JSON Lines, one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator

from diffres_cli.outputs.writer import Writer
from diffres_cli.tagging.record import Record


class JsonWriter(Writer):
    """One document: the record of each recording, in a list, however many there are."""

    def __init__(self) -> None:
        self._separator = "\n"

    def format_header(self) -> str:
        """Opens the list."""
        return "["

    def format_record(self, record: Record) -> Iterator[str]:
        """One object, on a line of its own."""
        yield self._separator
        yield _format(record)
        self._separator = ",\n"

    def format_footer(self) -> str:
        """Closes the list."""
        return "\n]\n"


class JsonLinesWriter(Writer):
    """The record of each recording on a line."""

    def format_record(self, record: Record) -> Iterator[str]:
        """One line."""
        yield _format(record) + "\n"


def _format(record: Record) -> str:
    """One line of JSON. Readable as it is, unless a file name is not UTF-8: then \\u escapes keep it."""
    text = json.dumps(record, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(record)
    return text
