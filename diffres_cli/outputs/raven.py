"""Raven selection table: one selection a label, over the whole frequency range.

Raven counts "Begin Time (s)" through all the recordings of a table, as it does when they are opened as one
sequence of files, in the order of the table; "File Offset (s)" counts from the start of its own recording.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from diffres_cli.outputs.records import Record, Row, one_line, rows, score_text

COLUMNS = (
    "Selection",
    "View",
    "Channel",
    "Begin Time (s)",
    "End Time (s)",
    "Low Freq (Hz)",
    "High Freq (Hz)",
    "Begin File",
    "File Offset (s)",
    "Begin Path",
    "Label",
    "Score",
)


class RavenWriter:
    """See `diffres_cli.outputs.Writer`."""

    def __init__(self) -> None:
        self._selections = 0
        self._offset = 0.0  # seconds of recordings before the present one
        self._present = ("", 0.0)  # its file and duration

    def begin(self) -> str:
        """The header."""
        return _line(COLUMNS)

    def record(self, record: Record) -> Iterator[str]:
        """The selections of one recording, in the order of their start."""
        if "channel" not in record or record["file"] != self._present[0]:
            self._offset += self._present[1]
        self._present = (record["file"], record["duration"])
        for row in rows(record):
            self._selections += 1
            yield _line(self._fields(record, row))

    def end(self) -> str:
        """Nothing."""
        return ""

    def _fields(self, record: Record, row: Row) -> tuple[str, ...]:
        begin, end = self._offset + row.start, self._offset + row.end
        times = (f"{begin:.3f}", f"{end:.3f}")
        band = ("0.0", f"{record['sample_rate'] / 2:.1f}")
        place = (PurePath(record["file"]).name, f"{row.start:.3f}", record["file"])
        return (
            str(self._selections),
            "Spectrogram 1",
            str(record.get("channel", 1)),
            *times,
            *band,
            *place,
            row.label,
            score_text(row.score),
        )


def _line(fields: tuple[str, ...]) -> str:
    return "\t".join(map(one_line, fields)) + "\n"


writer = RavenWriter
