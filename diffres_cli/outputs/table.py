"""For people: the settings once, then each recording with its labels, and when it heard them."""

from __future__ import annotations

from collections.abc import Iterator

from diffres_cli.audio import printable
from diffres_cli.prediction import Label, Prediction

_BAR = 10


class TableWriter:
    """See `diffres_cli.outputs.Writer`."""

    def __init__(self) -> None:
        self._settings = ""

    def begin(self) -> str:
        """Nothing: the settings are said with the first recording."""
        return ""

    def record(self, prediction: Prediction) -> Iterator[str]:
        """Labels with score and bar; the windows below where there are several."""
        yield self._heading(prediction)
        yield f"{printable(prediction.file)}  {clock(prediction.duration)}\n"
        yield from (_label(label) for label in prediction.labels)
        if not prediction.labels:
            yield f"  nothing scored {prediction.min_confidence:g} or more (lower it with -c)\n"
        if len(prediction.windows) > 1:
            yield from (_window(w.start, w.end, w.labels) for w in prediction.windows)

    def end(self) -> str:
        """Nothing."""
        return ""

    def _heading(self, prediction: Prediction) -> str:
        settings = (
            f"{prediction.model}, {prediction.fps:g} fps, labels scoring at least "
            f"{prediction.min_confidence:g}\n"
        )
        if settings == self._settings:
            return "\n"
        self._settings = settings
        return settings + "\n"


def clock(seconds: float) -> str:
    """Seconds as people read them.

    >>> clock(4.25), clock(75), clock(36000)
    ('4.2 s', '1:15', '10:00:00')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _label(label: Label) -> str:
    bar = "█" * round(label.score * _BAR)
    return f"  {label.score:.2f}  {bar:<{_BAR}}  {label.label}\n"


def _window(start: float, end: float, labels: tuple[Label, ...]) -> str:
    heard = ", ".join(f"{label.label} {label.score:.2f}" for label in labels)
    return f"  {clock(start):>7} – {clock(end):>7}  {heard or '–'}\n"


writer = TableWriter
