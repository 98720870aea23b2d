"""The picture of a tagged recording in a terminal: true-colour half blocks, or shades without colour."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np

from diffres_cli.figure.data import (
    Array,
    Cells,
    FigureData,
    describe_labels,
    magma_rgb,
    prepare_data,
    relative_level,
    resample,
)
from diffres_cli.tagging.prediction import Prediction

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.segment import Segment
    from rich.style import Style

STRIP_LINES, FEWEST_LINES = 5, 5
"""Lines of the strip, and the fewest a picture has: labels, mel, importance, merged mel, time."""

_BARS, _SHADES, _ASCII = "▁▂▃▄▅▆▇█", " ░▒▓█", " .:-=+*#%@"
_COLOURS = 64  # few enough that neighbouring cells share a style, too many to see steps
_GUTTER, _ROOMY = 11, 48  # columns for the names on the left, and the width that has room for them


@dataclass(frozen=True)
class Pen:
    """What the terminal can show."""

    colour: bool
    ascii: bool

    def letters(self, levels: Array, ramp: str) -> str:
        """One letter of a ramp for every level of 0 to 1."""
        ramp = _ASCII if self.ascii else ramp
        return "".join(ramp[min(int(level * len(ramp)), len(ramp) - 1)] for level in levels)

    def text(self, content: str, style: str = "") -> Segment:
        """Plain text, in a style where there are colours."""
        from rich.segment import Segment
        from rich.style import Style

        return Segment(content, Style.parse(style) if style and self.colour else None)

    def blocks(self, halves: Array) -> list[Segment]:
        """Two rows of levels as one line: half blocks over their background, or a shade of the mean."""
        from rich.segment import Segment

        if not self.colour:
            return [self.text(self.letters(halves.mean(axis=0), _SHADES))]
        upper, lower = np.rint(halves * (_COLOURS - 1)).astype(int).tolist()
        return [Segment("▀", _style(top, bottom)) for top, bottom in zip(upper, lower, strict=True)]


Line = Callable[[Pen], "list[Segment]"]


@dataclass(frozen=True, eq=False)
class Drawing:
    """A rich renderable whose lines are drawn once the console, with its colours and letters, is known."""

    lines: tuple[Line, ...]
    colour: bool = True

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        from rich.segment import Segment

        # Of sixteen colours only three are like magma's: shades show more.
        able = console.color_system in ("256", "truecolor") and not console.no_color
        pen = Pen(colour=self.colour and able and not options.ascii_only, ascii=options.ascii_only)
        for line in self.lines:
            yield from Segment.simplify(line(pen))
            yield Segment.line()


def render_strip(prediction: Prediction, width: int) -> Drawing:
    """The merged spectrogram at its original times under its importance: 5 lines of `width` columns.

    Raises:
        UsageError: the recording was tagged without spectrograms.
    """
    layout = _Layout.fit(prediction, width)
    rows = STRIP_LINES - 2
    return Drawing(
        (layout.importance, *layout.spectrogram(layout.data.merged, rows, layout.rate), layout.time)
    )


def render_picture(prediction: Prediction, width: int, height: int, colour: bool = True) -> Drawing:
    """Labels, mel, importance and merged spectrogram over a time axis: `height` lines of `width` columns.

    Heights below 5 give 5 lines. Colour is used where it is asked for and the terminal has it.

    Raises:
        UsageError: the recording was tagged without spectrograms.
    """
    layout = _Layout.fit(prediction, width)
    rows = max(FEWEST_LINES, height) - 3
    mel = layout.spectrogram(layout.data.mel, (rows + 1) // 2, "mel")
    merged = layout.spectrogram(layout.data.merged, rows // 2, layout.rate)
    return Drawing((layout.labels, *mel, layout.importance, *merged, layout.time), colour)


@dataclass(frozen=True, eq=False)
class _Layout:
    """A picture of `columns` columns beside a gutter of names, where the width has room for one."""

    prediction: Prediction
    data: FigureData
    columns: int
    gutter: int

    @classmethod
    def fit(cls, prediction: Prediction, width: int) -> _Layout:
        gutter = _GUTTER if width >= _ROOMY else 0
        columns = max(1, width - gutter)
        return cls(prediction, prepare_data(prediction, columns), columns, gutter)

    @property
    def rate(self) -> str:
        return f"{self.prediction.fps:g} fps"

    def labels(self, pen: Pen) -> list[Segment]:
        """The labels, cut off or filled up to the full width."""
        from rich.cells import set_cell_size

        text = "  ".join(describe_labels(self.prediction))
        if self.prediction.channel:
            text = f"channel {self.prediction.channel}: {text}"
        if pen.ascii:
            text = text.encode("ascii", "replace").decode()
        return [pen.text(set_cell_size(text, self.gutter + self.columns), "bold")]

    def importance(self, pen: Pen) -> list[Segment]:
        """Importance as bars, a column's mean each."""
        bars = pen.letters(self._along_time(self.data.importance)[0], _BARS)
        return [self._name("importance", pen), pen.text(bars)]

    def time(self, pen: Pen) -> list[Segment]:
        """The time axis, in seconds."""
        axis = _axis(*self.data.span, self.columns, tick="|" if pen.ascii else "╵")
        return [self._name("time", pen), pen.text(axis)]

    def spectrogram(self, cells: Cells, rows: int, name: str) -> list[Line]:
        """Lines of two rows each, the highest frequency first; range and name stand in the gutter."""
        power = self._along_time(cells)
        bins = Cells(power.T, np.linspace(0, 2 * rows, len(power) + 1))
        halves = relative_level(resample([bins], np.arange(2 * rows + 1.0)).T[::-1], self.data.peak)
        names = [""] * rows
        names[0], names[-1] = (_frequency(self.data.mel_frequencies[end]) for end in (-1, 0))
        names[rows // 2 if rows > 2 else 0] = name
        return [partial(self._line, names[row], halves[2 * row : 2 * row + 2]) for row in range(rows)]

    def _line(self, name: str, halves: Array, pen: Pen) -> list[Segment]:
        return [self._name(name, pen), *pen.blocks(halves)]

    def _name(self, name: str, pen: Pen) -> Segment:
        return pen.text(f"{name:>{self.gutter - 1}} " if self.gutter else "", "dim")

    def _along_time(self, cells: Cells) -> Array:
        return resample([cells], np.linspace(*self.data.span, self.columns + 1))


@lru_cache(maxsize=_COLOURS**2)
def _style(upper: int, lower: int) -> Style:
    from rich.color import Color
    from rich.style import Style

    fore, back = (Color.from_rgb(*magma_rgb(np.asarray(level / (_COLOURS - 1)))) for level in (upper, lower))
    return Style(color=fore, bgcolor=back)


def _axis(start: float, end: float, columns: int, tick: str) -> str:
    """Ticks at round seconds, each before its number, as many as have room: exactly `columns` letters.

    >>> _axis(0.0, 10.0, 40, "|")
    '|0 s    |2      |4      |6      |8      '
    """
    scale = columns / (end - start)
    step = next(step for step in _steps() if step * scale >= len(f"{end // step * step:.6g}") + 4)
    axis = [" "] * columns
    for index in range(math.ceil(start / step), math.floor(end / step) + 1):
        column = int((index * step - start) * scale)
        label = f"{tick}{index * step:.6g}" + (" s" if not "".join(axis).strip() else "")
        if column + len(label) <= columns:
            axis[column : column + len(label)] = label
    return "".join(axis)


def _steps() -> Iterator[float]:
    return (mantissa * 10.0**power for power in range(-4, 12) for mantissa in (1, 2, 5))


def _frequency(hertz: float) -> str:
    """A frequency in at most ten letters: 13 Hz, 15 kHz."""
    return f"{hertz / 1000:.0f} kHz" if hertz >= 1000 else f"{hertz:.0f} Hz"
