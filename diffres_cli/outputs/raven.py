"""Raven selection table: one selection a label, over the whole frequency range.

Raven counts "Begin Time (s)" through all the recordings of a table, as it does when they are opened as one
sequence of files, in the order of the table; "File Offset (s)" counts from the start of its own recording.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from diffres_cli.outputs.writer import LabelSpan, Writer, escape_controls, format_score, label_spans
from diffres_cli.tagging.record import Record

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


class RavenWriter(Writer):
    """A table of all recordings, with their selections numbered through."""

    def __init__(self) -> None:
        self._selections = 0
        self._offset = 0.0  # seconds of the recordings before the current one
        self._current = ("", 0.0)  # its file and duration

    def format_header(self) -> str:
        """The header."""
        return _line(COLUMNS)

    def format_record(self, record: Record) -> Iterator[str]:
        """The selections of one recording, in the order of their start."""
        if "channel" not in record or record["file"] != self._current[0]:
            self._offset += self._current[1]
        self._current = (record["file"], record["duration"])
        for span in label_spans(record):
            self._selections += 1
            yield _line(self._fields(record, span))

    def _fields(self, record: Record, span: LabelSpan) -> tuple[str, ...]:
        begin, end = self._offset + span.start, self._offset + span.end
        times = (f"{begin:.3f}", f"{end:.3f}")
        band = ("0.0", f"{record['sample_rate'] / 2:.1f}")
        place = (PurePath(record["file"]).name, f"{span.start:.3f}", record["file"])
        return (
            str(self._selections),
            "Spectrogram 1",
            str(record.get("channel", 1)),
            *times,
            *band,
            *place,
            span.label,
            format_score(span.score),
        )


def _line(fields: tuple[str, ...]) -> str:
    return "\t".join(map(escape_controls, fields)) + "\n"
