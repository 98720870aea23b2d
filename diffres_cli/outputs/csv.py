"""CSV: one row a label of a window, or an event; what has no labels keeps one row, and none goes missing."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from diffres_cli.outputs.records import COLUMNS, Record, columns_of, spans


class CsvWriter:
    """See `diffres_cli.outputs.Writer`."""

    def __init__(self) -> None:
        self._has_header = False

    def begin(self) -> str:
        """Nothing: whether there is a column for the channel, the first record says."""
        return ""

    def record(self, record: Record) -> Iterator[str]:
        """The rows of one recording, in the order of their start; before the first the header."""
        if not self._has_header:
            self._has_header = True
            yield _line(columns_of(record))
        for span in spans(record):
            for label in span["labels"] or (None,):
                yield _line(_row(record, span, label))

    def end(self) -> str:
        """The header, where there was no record."""
        return "" if self._has_header else _line(COLUMNS)


def _row(record: Record, span: Record, label: Record | None) -> tuple[object, ...]:
    what = (label["label"], label["id"], label["score"]) if label else ("", "", "")
    how = (record["model"], record["fps"], record["min_confidence"])
    channel = (record["channel"],) if "channel" in record else ()
    return record["file"], *channel, span["start"], span["end"], *what, *how


def _line(values: tuple[object, ...]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()


writer = CsvWriter
