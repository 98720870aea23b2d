"""CSV: one row a label of a window, or an event; what has no labels keeps one row, and none goes missing."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from diffres_cli.outputs.records import COLUMNS, Record, spans


class CsvWriter:
    """See `diffres_cli.outputs.Writer`."""

    def begin(self) -> str:
        """The header."""
        return _line(COLUMNS)

    def record(self, record: Record) -> Iterator[str]:
        """The rows of one recording, in the order of their start."""
        for span in spans(record):
            for label in span["labels"] or (None,):
                yield _line(_row(record, span, label))

    def end(self) -> str:
        """Nothing."""
        return ""


def _row(record: Record, span: Record, label: Record | None) -> tuple[object, ...]:
    what = (label["label"], label["id"], label["score"]) if label else ("", "", "")
    how = (record["model"], record["fps"], record["min_confidence"])
    return record["file"], span["start"], span["end"], *what, *how


def _line(values: tuple[object, ...]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()


writer = CsvWriter
