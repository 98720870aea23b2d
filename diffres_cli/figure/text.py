"""The words around the panels: heading, captions and the names of the axes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from diffres_cli.tagging.prediction import Prediction
from diffres_cli.text import printable

FONT = "DejaVu Sans"
SMALL, NORMAL, LARGE = 6.0, 6.5, 7.5
"""Font sizes in points, at the width the picture is printed at."""

GREY = "#555555"
_SEPARATOR = " · "
_INCH = 72.0  # points


def heading(axes: Axes, predictions: Sequence[Prediction]) -> None:
    """What was heard, when there is one rate to have heard it at, over what it was heard in."""
    first, alone = predictions[0], len(predictions) == 1
    if alone:
        _above(axes, 0.31, _heard(first, _room(axes), LARGE, "bold"), size=LARGE, weight="bold")
    settings = [printable(first.model), _seconds(first)] + [f"{first.fps:g} fps"] * alone
    room = _room(axes) - _width(_SEPARATOR.join(["", *settings]), SMALL)
    name = _fit([printable(PurePath(first.file).name)], room, SMALL)
    _above(axes, 0.18, _SEPARATOR.join([name, *settings]), size=SMALL, color=GREY)


def rate(axes: Axes, prediction: Prediction) -> None:
    """The frame rate of the panels that follow, and what was heard at it."""
    rate = f"{prediction.fps:g} fps"
    _above(axes, 0.04, rate, size=LARGE, weight="bold")
    indent = _width(rate, LARGE, "bold") + 0.08
    _above(axes, 0.04, _heard(prediction, size(axes)[0] - indent, NORMAL), indent, size=NORMAL)


def caption(axes: Axes, words: str) -> None:
    """Name a panel, over its top left corner."""
    _above(axes, 0.04, words, size=NORMAL)


def inside(axes: Axes, words: str, above: bool = False) -> None:
    """Grey words in the lower right corner of a panel, or in the upper left one."""
    if above:
        _annotate(axes, words, (0, 1), (2, -2), ha="left", va="top", size=SMALL, color=GREY)
    else:
        _annotate(axes, words, (1, 0), (-2, 2), ha="right", va="bottom", size=SMALL, color=GREY)


def beside(axes: Axes, words: str, height: float = 0.5) -> None:
    """Words in the right margin, at a share of the panel's height."""
    _annotate(axes, words, (1, height), (4, 0), va="center", size=SMALL)


def below(axes: Axes, name: str) -> None:
    """Number the ticks of a panel and name its axis on the same line, in the right margin."""
    axes.tick_params(labelbottom=True)
    axes.xaxis.set_major_formatter(lambda number, _: count(number))
    _annotate(axes, name, (1, 0), (13, -3.5), va="top", size=SMALL)


def count(number: float) -> str:
    """A number in at most five letters or so: 0.25, 98765, 3600k."""
    return f"{number:.6g}" if number < 1e5 else f"{number / 1000:.6g}k"


def size(axes: Axes) -> tuple[float, float]:
    """Width and height of a panel in inches."""
    place, (width, height) = axes.get_position(), figure_of(axes).get_size_inches()
    return float(place.width * width), float(place.height * height)


def figure_of(axes: Axes) -> Figure:
    """The figure a panel is part of."""
    assert isinstance(axes.figure, Figure)
    return axes.figure


def _seconds(prediction: Prediction) -> str:
    """How long the recording is, or which part of it is drawn."""
    start, end, whole = prediction.windows[0].start, prediction.windows[-1].end, prediction.duration
    if start > 0 or end < whole - 0.05:
        return f"{start:.6g}–{end:.6g} s"
    return f"{whole:.0f} s" if whole >= 100 else f"{whole:.3g} s"


def _heard(prediction: Prediction, room: float, points: float, weight: str = "normal") -> str:
    words = [f"{printable(label.label)} {label.score:.2f}" for label in prediction.labels]
    return _fit(words or [f"no label scores {prediction.min_confidence:g} or more"], room, points, weight)


def _fit(words: Sequence[str], room: float, points: float, weight: str = "normal") -> str:
    """As many of the words as fit into `room` inches; the first is shortened where even that does not."""
    fitting = next(
        count
        for count in range(len(words), 0, -1)
        if count == 1 or _width(_SEPARATOR.join(words[:count]), points, weight) <= room
    )
    line = _SEPARATOR.join(words[:fitting])
    while len(line) > 1 and _width(line, points, weight) > room:
        line = line[:-2] + "…"
    return line


def _width(words: str, points: float, weight: str = "normal") -> float:
    """The width of words in inches."""
    path = TextPath((0, 0), words, size=points, prop=FontProperties(family=FONT, weight=weight))
    return float(path.get_extents().width) / _INCH if words else 0.0


def _room(axes: Axes) -> float:
    """Inches from the left edge of a panel to just before the right edge of the figure."""
    return float((1 - axes.get_position().x0) * figure_of(axes).get_figwidth()) - 0.08


def _above(axes: Axes, inches: float, words: str, indent: float = 0.0, **style: Any) -> None:
    _annotate(axes, words, (0, 1), (indent * _INCH, inches * _INCH), **style)


def _annotate(
    axes: Axes, words: str, corner: tuple[float, float], offset: tuple[float, float], **style: Any
) -> None:
    """Words at an offset in points from a point of the panel, in shares of its size."""
    axes.annotate(words, corner, offset, xycoords="axes fraction", textcoords="offset points", **style)
