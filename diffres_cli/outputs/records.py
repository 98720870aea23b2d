"""What the writers share: a record's labels with their times, and text that fits one line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

from diffres_cli.tagging.record import DECIMALS, Record, spans

_CONTROLS = [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029]  # Unicode's line separators among them
_ESCAPES = {code: chr(code).encode("unicode_escape").decode() for code in _CONTROLS}


class LabelSpan(NamedTuple):
    """A label with its start and end in seconds, as the formats with one line a label write it."""

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


def to_json(record: Record) -> str:
    """One line of JSON. Readable as it is, unless a file name is not UTF-8: then \\u escapes keep it."""
    text = json.dumps(record, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(record)
    return text
