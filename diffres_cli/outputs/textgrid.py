"""Praat TextGrid, in its long text format: one interval tier per label that occurs, named after it.

The text of an interval is the label's score; where the label does not occur it is empty. Intervals follow one
another without gaps over the whole recording, as Praat requires: where windows overlap, the larger score
counts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import groupby, pairwise
from operator import itemgetter

from diffres_cli.outputs.writer import (
    LabelSpan,
    Writer,
    escape_controls,
    format_score,
    label_spans,
    label_with_channel,
)
from diffres_cli.tagging.record import Record


class TextGridWriter(Writer):
    """A TextGrid belongs to one recording and does not name it.

    It states the number of its tiers first, so nothing is written until all channels are known.
    """

    def __init__(self) -> None:
        self._duration: float | None = None
        self._tiers: dict[str, list[LabelSpan]] = {}

    def format_header(self) -> str:
        """The file's type."""
        return 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n'

    def format_record(self, record: Record) -> Iterator[str]:
        """Keeps the spans for `format_footer`; yields nothing."""
        self._duration = record["duration"]
        for span in label_spans(record):
            self._tiers.setdefault(label_with_channel(span.label, record), []).append(span)
        yield from ()

    def format_footer(self) -> str:
        """The tiers of the recording, in the order in which their labels first occur."""
        return "" if self._duration is None else "".join(_tiers(self._tiers, self._duration))


def _tiers(tiers: dict[str, list[LabelSpan]], duration: float) -> Iterator[str]:
    yield f"xmin = 0.000\nxmax = {duration:.3f}\ntiers? <exists>\nsize = {len(tiers)}\nitem []:\n"
    for number, (label, spans) in enumerate(tiers.items(), start=1):
        yield f"    item [{number}]:\n"
        yield from _tier(label, list(intervals(spans, duration)), duration)


def intervals(spans: Iterable[LabelSpan], duration: float) -> Iterator[tuple[float, float, float | None]]:
    """A tier from 0 to `duration` seconds: (start, end, score), the score None where no span is.

    >>> spans = [LabelSpan(1.0, 3.0, "Dog", "d", 0.5), LabelSpan(2.0, 4.0, "Dog", "d", 0.9)]
    >>> list(intervals(spans, 5.0))
    [(0.0, 1.0, None), (1.0, 2.0, 0.5), (2.0, 4.0, 0.9), (4.0, 5.0, None)]
    """
    clipped = ((max(span.start, 0.0), min(span.end, duration), span.score) for span in spans)
    visible = sorted(span for span in clipped if span[0] < span[1])
    for best, parts in groupby(_pieces(visible, duration), key=itemgetter(2)):
        first, *rest = parts
        yield first[0], (rest or [first])[-1][1], best and best[0]


def _pieces(
    spans: list[tuple[float, float, float]], duration: float
) -> Iterator[tuple[float, float, tuple[float, float] | None]]:
    """Between any two neighbouring starts or ends: (start, end, (score, end) of the best span there)."""
    points = sorted({0.0, duration, *(point for span in spans for point in span[:2])})
    waiting = deque(spans)
    active: list[tuple[float, float]] = []  # (score, end)
    for start, end in pairwise(points):
        active = [span for span in active if span[1] > start]
        while waiting and waiting[0][0] <= start:
            _, until, score = waiting.popleft()
            active.append((score, until))
        yield start, end, max(active, key=lambda span: (span[0], -span[1]), default=None)


def _tier(label: str, found: list[tuple[float, float, float | None]], duration: float) -> Iterator[str]:
    yield f'        class = "IntervalTier"\n        name = {_quote(label)}\n'
    yield f"        xmin = 0.000\n        xmax = {duration:.3f}\n        intervals: size = {len(found)}\n"
    for number, (start, end, score) in enumerate(found, start=1):
        text = "" if score is None else format_score(score)
        yield f"        intervals [{number}]:\n            xmin = {start:.3f}\n"
        yield f"            xmax = {end:.3f}\n            text = {_quote(text)}\n"


def _quote(text: str) -> str:
    return '"' + escape_controls(text).replace('"', '""') + '"'
