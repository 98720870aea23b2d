"""For people: the settings once, then each recording with its labels and their times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from diffres_cli.outputs.writer import Writer
from diffres_cli.text import printable

if TYPE_CHECKING:
    from diffres_cli.tagging.record import Record

_BAR = 10


class TableWriter(Writer):
    """Plain text, without an end."""

    def __init__(self) -> None:
        self._settings = ""

    def format_record(self, record: Record) -> Iterator[str]:
        """Labels with score and bar; below them the events, or the windows where there are several."""
        yield self._heading(record)
        channel = f", channel {record['channel']}" if "channel" in record else ""
        even = "  (importance is even: frames are merged evenly)" if record.get("importance_is_even") else ""
        yield f"{printable(record['file'])}{channel}  {format_duration(record['duration'])}{even}\n"
        yield from _labels(record["labels"])
        if not record["labels"]:
            yield f"  nothing scored {record['min_confidence']:g} or more (lower it with -c)\n"
        if "events" in record:
            yield from map(_event, record["events"])
        elif len(record["windows"]) > 1:
            yield from map(_window, record["windows"])

    def _heading(self, record: Record) -> str:
        settings = (
            f"{printable(record['model'])}, {record['fps']:g} fps, labels scoring at least "
            f"{record['min_confidence']:g}\n"
        )
        if settings == self._settings:
            return "\n"
        self._settings = settings
        return settings + "\n"


def format_duration(seconds: float) -> str:
    """Seconds as people read them.

    >>> format_duration(4.25), format_duration(75), format_duration(36000)
    ('4.2 s', '1:15', '10:00:00')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def format_time(seconds: float) -> str:
    """A point in time to the hundredth of a second.

    >>> format_time(4.256), format_time(75), format_time(36000.5)
    ('4.26', '1:15.00', '10:00:00.50')
    """
    minutes, hundredths = divmod(round(seconds * 100), 6000)
    rest = f"{hundredths / 100:05.2f}"
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{rest}"
    return f"{minutes}:{rest}" if minutes else f"{hundredths / 100:.2f}"


def _labels(labels: Sequence[Record]) -> Iterator[str]:
    """A line for each label. One that stands before labels above it is named with them, each time once."""
    named = set[str]()
    for place, label in enumerate(labels):
        path = [] if label["label"] in named else _find_path(label, labels[place + 1 :])
        named |= {each["label"] for each in path}
        bar = "█" * round(label["score"] * _BAR)
        names = " > ".join(each["label"] for each in (*reversed(path), label))
        yield f"  {label['score']:.2f}  {bar:<{_BAR}}  {names}\n"


def _find_path(label: Record, others: Sequence[Record]) -> list[Record]:
    """Those of the other labels that are above a label, each above the one before it."""
    path: list[Record] = []
    for other in others:
        if other["label"] in (path[-1] if path else label).get("parents", ()):
            path.append(other)
    return path


def _event(event: Record) -> str:
    span = f"{format_time(event['start']):>7} – {format_time(event['end']):>7}"
    return f"  {span}  {event['label']} {event['score']:.2f}\n"


def _window(window: Record) -> str:
    labels = ", ".join(f"{label['label']} {label['score']:.2f}" for label in window["labels"])
    return f"  {format_duration(window['start']):>7} – {format_duration(window['end']):>7}  {labels or '–'}\n"
