"""The text around the panels: heading, captions and the names of the axes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from diffres_cli.figure.data import describe_labels
from diffres_cli.tagging.prediction import Prediction
from diffres_cli.text import printable

FONT = "DejaVu Sans"
SMALL, NORMAL, LARGE = 6.0, 6.5, 7.5
"""Font sizes in points, at the width the picture is printed at."""

TEXT_GREY = "#555555"
_SEPARATOR = " · "
_INCH = 72.0  # points


def add_heading(axes: Axes, predictions: Sequence[Prediction]) -> None:
    """The file and the settings; above them the labels, where there is one rate only."""
    first, alone = predictions[0], len(predictions) == 1
    if alone:
        labels = _fit(describe_labels(first), _room(axes), LARGE, "bold")
        _above(axes, 0.31, labels, size=LARGE, weight="bold")
    settings = [printable(first.model), _describe_part(first)] + [f"{first.fps:g} fps"] * alone
    room = _room(axes) - _width(_SEPARATOR.join(["", *settings]), SMALL)
    name = _fit([printable(PurePath(first.file).name)], room, SMALL)
    _above(axes, 0.18, _SEPARATOR.join([name, *settings]), size=SMALL, color=TEXT_GREY)


def add_rate(axes: Axes, prediction: Prediction) -> None:
    """The frame rate of the panels that follow, and the labels at it."""
    rate = f"{prediction.fps:g} fps"
    _above(axes, 0.04, rate, size=LARGE, weight="bold")
    indent = _width(rate, LARGE, "bold") + 0.08
    labels = _fit(describe_labels(prediction), panel_size(axes)[0] - indent, NORMAL)
    _above(axes, 0.04, labels, indent, size=NORMAL)


def add_caption(axes: Axes, text: str) -> None:
    """Name a panel, over its top left corner."""
    _above(axes, 0.04, text, size=NORMAL)


def add_corner_note(axes: Axes, text: str, above: bool = False) -> None:
    """Grey text in the lower right corner of a panel, or in the upper left one."""
    if above:
        _annotate(axes, text, (0, 1), (2, -2), ha="left", va="top", size=SMALL, color=TEXT_GREY)
    else:
        _annotate(axes, text, (1, 0), (-2, 2), ha="right", va="bottom", size=SMALL, color=TEXT_GREY)


def add_margin_note(axes: Axes, text: str, height: float = 0.5) -> None:
    """Text in the right margin, at a share of the panel's height."""
    _annotate(axes, text, (1, height), (4, 0), va="center", size=SMALL)


def number_time_axis(axes: Axes, name: str) -> None:
    """Number the ticks of a panel and name its axis on the same line, in the right margin."""
    axes.tick_params(labelbottom=True)
    axes.xaxis.set_major_formatter(lambda number, _: format_count(number))
    _annotate(axes, name, (1, 0), (13, -3.5), va="top", size=SMALL)


def format_count(number: float) -> str:
    """A number in at most five letters or so: 0.25, 98765, 3600k."""
    return f"{number:.6g}" if number < 1e5 else f"{number / 1000:.6g}k"


def panel_size(axes: Axes) -> tuple[float, float]:
    """Width and height of a panel in inches."""
    place, (width, height) = axes.get_position(), figure_of(axes).get_size_inches()
    return float(place.width * width), float(place.height * height)


def figure_of(axes: Axes) -> Figure:
    """The figure a panel is part of."""
    assert isinstance(axes.figure, Figure)
    return axes.figure


def _describe_part(prediction: Prediction) -> str:
    """How long the recording is, or which part of it is drawn."""
    start, end, whole = prediction.windows[0].start, prediction.windows[-1].end, prediction.duration
    if start > 0 or end < whole - 0.05:
        return f"{start:.6g}–{end:.6g} s"
    return f"{whole:.0f} s" if whole >= 100 else f"{whole:.3g} s"


def _fit(parts: Sequence[str], room: float, points: float, weight: str = "normal") -> str:
    """As many parts as fit into `room` inches; the first is shortened where even that does not fit."""
    lines = [_SEPARATOR.join(parts[:count]) for count in range(len(parts), 0, -1)]
    line = next((line for line in lines if _width(line, points, weight) <= room), lines[-1])
    while len(line) > 1 and _width(line, points, weight) > room:
        line = line[:-2] + "…"
    return line


def _width(text: str, points: float, weight: str = "normal") -> float:
    """The width of a text in inches."""
    path = TextPath((0, 0), text, size=points, prop=FontProperties(family=FONT, weight=weight))
    return float(path.get_extents().width) / _INCH if text else 0.0


def _room(axes: Axes) -> float:
    """Inches from the left edge of a panel to just before the right edge of the figure."""
    return float((1 - axes.get_position().x0) * figure_of(axes).get_figwidth()) - 0.08


def _above(axes: Axes, inches: float, text: str, indent: float = 0.0, **style: Any) -> None:
    _annotate(axes, text, (0, 1), (indent * _INCH, inches * _INCH), **style)


def _annotate(
    axes: Axes, text: str, corner: tuple[float, float], offset: tuple[float, float], **style: Any
) -> None:
    """Words at an offset in points from a point of the panel, in shares of its size; "" for none."""
    if text:
        axes.annotate(text, corner, offset, xycoords="axes fraction", textcoords="offset points", **style)
