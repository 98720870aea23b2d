"""RTTM, NIST's Rich Transcription Time Marked: one SPEAKER line per label, the label as speaker.

A line has ten fields, separated by spaces: type, file, channel, start and duration in seconds, orthography,
speaker type, name, confidence and look-ahead. The file is its name without folder and suffix.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from diffres_cli.outputs.writer import Writer, escape_controls, label_spans
from diffres_cli.tagging.record import Record


class RttmWriter(Writer):
    """A file may describe several recordings; each line names its own."""

    def format_record(self, record: Record) -> Iterator[str]:
        """The labels of one recording, in the order of their start."""
        file, channel = _field(PurePath(record["file"]).stem), record.get("channel", 1)
        for span in label_spans(record):
            times = f"{span.start:.3f} {span.end - span.start:.3f}"
            yield f"SPEAKER {file} {channel} {times} <NA> <NA> {_field(span.label)} <NA> <NA>\n"


def _field(text: str) -> str:
    """A text as one field: spaces, which separate fields, become underscores."""
    return "_".join(escape_controls(text).split()) or "<NA>"
