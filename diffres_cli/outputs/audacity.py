"""Audacity label track: start, end and "label score" between tabs, one line per label.

Audacity reads the text between the second tab and the next tab or line end, so no label may hold either.
"""

from __future__ import annotations

from collections.abc import Iterator

from diffres_cli.outputs.writer import Writer, escape_controls, format_score, label_spans, label_with_channel
from diffres_cli.tagging.record import Record


class AudacityWriter(Writer):
    """A label track belongs to one recording and does not name it."""

    def format_record(self, record: Record) -> Iterator[str]:
        """The labels of one recording, in the order of their start."""
        for span in label_spans(record):
            label = escape_controls(label_with_channel(span.label, record))
            yield f"{span.start:.6f}\t{span.end:.6f}\t{label} {format_score(span.score)}\n"
