"""The picture of a tagged recording in a terminal: true-colour half blocks, or shades without colour."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
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

STRIP_LINES, MIN_LINES = 5, 5
"""Lines of the strip, and the fewest a picture has: labels, mel, importance, merged mel, time."""

_BARS, _SHADES, _ASCII = "▁▂▃▄▅▆▇█", " ░▒▓█", " .:-=+*#%@"
_COLOURS = 64  # few enough that neighbouring cells share a style, too many to see steps
_EVEN = ["even here: frames are merged evenly", "merged evenly", "even"]  # by the room there is
_GUTTER, _ROOMY = 11, 48  # columns for the names on the left, and the width that has room for them


def render_strip(prediction: Prediction, width: int) -> Drawing:
    """The merged spectrogram at its original times under its importance: 5 lines of `width` columns.

    Raises:
        UsageError: the recording was tagged without spectrograms.
    """
    return _lay_out(prediction, width, mel_lines=0, merged_lines=STRIP_LINES - 2)


def render_picture(prediction: Prediction, width: int, height: int, colour: bool = True) -> Drawing:
    """Labels, mel, importance and merged spectrogram over a time axis: `height` lines of `width` columns.

    Heights below 5 give 5 lines. Colour is used where it is asked for and the terminal has it.

    Raises:
        UsageError: the recording was tagged without spectrograms.
    """
    lines = max(MIN_LINES, height) - 3
    return _lay_out(prediction, width, mel_lines=(lines + 1) // 2, merged_lines=lines // 2, colour=colour)


def _lay_out(
    prediction: Prediction, width: int, mel_lines: int, merged_lines: int, colour: bool = True
) -> Drawing:
    gutter = _GUTTER if width >= _ROOMY else 0
    columns = max(1, width - gutter)
    data = prepare_data(prediction, columns)
    if mel_lines and not data.is_merged:  # the same picture twice
        mel_lines, merged_lines = mel_lines + merged_lines, 0
    return Drawing(prediction, data, columns, gutter, mel_lines, merged_lines, colour)


@dataclass(frozen=True, eq=False)
class Drawing:
    """A rich renderable, drawn once the console with its colours and letters is known.

    It is `columns` wide beside a gutter of names, which is 0 wide where there is no room for them.
    """

    prediction: Prediction
    data: FigureData
    columns: int
    gutter: int
    mel_lines: int  # 0: the strip, which has no labels either
    merged_lines: int
    colour: bool

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        from rich.segment import Segment

        # Of sixteen colours only three are like magma's: shades show more.
        able = console.color_system in ("256", "truecolor") and not console.no_color
        pen = _Pen(colour=self.colour and able and not options.ascii_only, ascii=options.ascii_only)
        for line in self._lines(pen):
            yield from Segment.simplify(line)
            yield Segment.line()

    def _lines(self, pen: _Pen) -> Iterator[list[Segment]]:
        if self.mel_lines:
            yield [self._labels(pen)]
            yield from self._spectrogram(pen, self.data.mel, self.mel_lines, "mel")
        yield [self._name("importance", pen), pen.text(self._importance(pen))]
        if self.merged_lines:
            name = f"{self.prediction.fps:g} fps"
            yield from self._spectrogram(pen, self.data.merged, self.merged_lines, name)
        axis = _axis(*self.data.span, self.columns, tick="|" if pen.ascii else "╵")
        yield [self._name("time", pen), pen.text(axis)]

    def _labels(self, pen: _Pen) -> Segment:
        """The labels, cut off or filled up to the full width."""
        from rich.cells import set_cell_size

        text = "  ".join(describe_labels(self.prediction))
        if self.prediction.channel:
            text = f"channel {self.prediction.channel}: {text}"
        if pen.ascii:
            text = text.encode("ascii", "replace").decode()
        return pen.text(set_cell_size(text, self.gutter + self.columns), "bold")

    def _importance(self, pen: _Pen) -> str:
        """Bars along time; words in place of those that say nothing, where there is room."""
        bars = pen.letters(self._along_time(self.data.importance)[0], _BARS)
        parts, texts = self.data.even_parts, _EVEN
        if not self.data.is_merged:
            parts, texts = (self.data.span,), [f"no frames are merged at {self.prediction.fps:g} fps"]
        for part in parts:
            start, end = self.data.span
            first, last = (round((time - start) / (end - start) * self.columns) for time in part)
            text = next((text for text in texts if len(text) + 2 <= last - first), "")
            if text:
                bars = bars[:first] + text.center(last - first) + bars[last:]
        return bars

    def _spectrogram(self, pen: _Pen, cells: Cells, lines: int, name: str) -> Iterator[list[Segment]]:
        """Lines of two rows each, the highest frequency first; range and name are in the gutter."""
        power = self._along_time(cells)
        bins = Cells(power.T, np.linspace(0, 2 * lines, len(power) + 1))
        rows = relative_level(resample([bins], np.arange(2 * lines + 1.0)).T[::-1], self.data.peak)
        names = [""] * lines
        names[0], names[-1] = (_frequency(self.data.mel_frequencies[end]) for end in (-1, 0))
        names[lines // 2 if lines > 2 else 0] = name
        for line, text in enumerate(names):
            yield [self._name(text, pen), *pen.blocks(rows[2 * line : 2 * line + 2])]

    def _name(self, name: str, pen: _Pen) -> Segment:
        return pen.text(f"{name:>{self.gutter - 1}} " if self.gutter else "", "dim")

    def _along_time(self, cells: Cells) -> Array:
        return resample([cells], np.linspace(*self.data.span, self.columns + 1))


@dataclass(frozen=True)
class _Pen:
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

    def blocks(self, rows: Array) -> list[Segment]:
        """Two rows of levels as one line: half blocks over their background, or a shade of the mean."""
        from rich.segment import Segment

        if not self.colour:
            return [self.text(self.letters(rows.mean(axis=0), _SHADES))]
        upper, lower = np.rint(rows * (_COLOURS - 1)).astype(int).tolist()
        return [Segment("▀", _style(top, bottom)) for top, bottom in zip(upper, lower, strict=True)]


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
    steps = (mantissa * 10.0**power for power in range(-4, 12) for mantissa in (1, 2, 5))
    step = next(step for step in steps if step * scale >= len(f"{end // step * step:.6g}") + 4)
    axis = [" "] * columns
    for index in range(math.ceil(start / step), math.floor(end / step) + 1):
        column = int((index * step - start) * scale)
        label = f"{tick}{index * step:.6g}" + (" s" if not "".join(axis).strip() else "")
        if column + len(label) <= columns:
            axis[column : column + len(label)] = label
    return "".join(axis)


def _frequency(hertz: float) -> str:
    """A frequency in at most ten letters: 13 Hz, 15 kHz."""
    return f"{hertz / 1000:.0f} kHz" if hertz >= 1000 else f"{hertz:.0f} Hz"
