"""CSV: one row per label of a window, or per event. What has no labels has one row too."""

from __future__ import annotations

from collections.abc import Iterator

from diffres_cli.outputs.writer import Writer
from diffres_cli.tagging.record import Record, columns_of, table_rows
from diffres_cli.text import to_csv


class CsvWriter(Writer):
    """The first record decides whether there is a column for the channel."""

    def __init__(self) -> None:
        self._has_header = False

    def format_record(self, record: Record) -> Iterator[str]:
        """The rows of one recording, in the order of their start; before the first the header."""
        if not self._has_header:
            self._has_header = True
            yield to_csv([columns_of(record)])
        for row in table_rows(record):
            yield to_csv([list(row.values())])

    def format_footer(self) -> str:
        """The header, where there was no record."""
        return "" if self._has_header else to_csv([columns_of({})])
