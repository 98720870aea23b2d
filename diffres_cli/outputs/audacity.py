"""Audacity label track: start, end and "label score" between tabs, one line a label.

Audacity reads what lies between the second tab and the next tab or line end, so no label may hold either.
"""

from __future__ import annotations

from collections.abc import Iterator

from diffres_cli.outputs.records import Record, label_of, one_line, rows, score_text


class AudacityWriter:
    """See `diffres_cli.outputs.Writer`. A label track belongs to one recording and does not name it."""

    def begin(self) -> str:
        """Nothing."""
        return ""

    def record(self, record: Record) -> Iterator[str]:
        """The labels of one recording, in the order of their start."""
        for row in rows(record):
            label = one_line(label_of(row, record))
            yield f"{row.start:.6f}\t{row.end:.6f}\t{label} {score_text(row.score)}\n"

    def end(self) -> str:
        """Nothing."""
        return ""


writer = AudacityWriter
