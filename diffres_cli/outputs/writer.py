"""The base of all writers and what they share: labels with their times, text that fits one line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from diffres_cli.outputs.sink import encode
from diffres_cli.tagging.record import DECIMALS, Record, spans

_CONTROLS = [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029]  # Unicode's line separators among them
_ESCAPES = {code: chr(code).encode("unicode_escape").decode() for code in _CONTROLS}


class Writer:
    """A file from a sequence of records: a header, each record, a footer. Text is UTF-8.

    A format overrides `format_record`, and the others where its file has a beginning or an end.
    """

    def format_header(self) -> str | bytes:
        """What comes before the first recording."""
        return ""

    def format_record(self, record: Record) -> Iterator[str | bytes]:
        """One recording, in pieces, so that a long one is never one long string."""
        raise NotImplementedError

    def format_footer(self) -> str | bytes:
        """What comes after the last."""
        return ""

    def format_file(self, records: Iterable[Record]) -> Iterator[bytes]:
        """A whole file, in pieces."""
        yield encode(self.format_header())
        for record in records:
            yield from map(encode, self.format_record(record))
        yield encode(self.format_footer())


class LabelSpan(NamedTuple):
    """A label with its start and end in seconds, for formats with one line per label."""

    start: float
    end: float
    label: str
    id: str
    score: float


def label_spans(record: Record) -> Iterator[LabelSpan]:
    """Every label of every event, or window, of a record."""
    for span in spans(record):
        for label in span["labels"]:
            yield LabelSpan(span["start"], span["end"], label["label"], label["id"], label["score"])


def label_with_channel(label: str, record: Record) -> str:
    """A label, with the channel where there is one, for formats that have no other place for it.

    >>> label_with_channel("Dog", {"channel": 2})
    'Dog (channel 2)'
    """
    return f"{label} (channel {record['channel']})" if "channel" in record else label


def format_score(score: float) -> str:
    """A score in the formats of other programs, all its decimals written.

    >>> format_score(0.25)
    '0.2500'
    """
    return f"{score:.{DECIMALS}f}"


def escape_controls(text: str) -> str:
    r"""Text with tabs, line ends and other control characters escaped, for formats that cannot hold them.

    >>> escape_controls("Police\tcar\n")
    'Police\\tcar\\n'
    """
    return text.translate(_ESCAPES)
