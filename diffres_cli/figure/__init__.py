"""The picture of a tagged recording for paper and screen: mel, importance, warp and merged mel.

data.py        predictions -> what a picture shows: decibels, joined windows, columns of pixels
terminal.py    a picture in a terminal
captions.py    text placed in a figure, measured and cut to fit
layout.py      predictions -> a matplotlib figure, its panels placed in inches
panels.py      one function per panel
write.py       a figure -> PNG, SVG or PDF, the same bytes every time
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from diffres_cli.errors import SettingError, UsageError
from diffres_cli.tagging.prediction import Prediction
from diffres_cli.tagging.settings import check_number
from diffres_cli.text import shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Where there is no home folder, matplotlib warns that it keeps its list of fonts in another folder.
logging.getLogger("matplotlib").setLevel(logging.ERROR)

COLUMN_WIDTH = 3.5
"""Width of a single column of a paper, in inches."""

_SUFFIXES = (".png", ".svg", ".pdf")
_NARROWEST, _WIDEST = 2.5, 40.0  # inches: a narrower one leaves no room between the margins
_MIN_DPI, _MAX_DPI = 20, 1200  # below 20, text of 6 pt is less than two pixels high


def check_picture(path: Path | None, width: float = COLUMN_WIDTH) -> None:
    """Check where a picture goes and how wide it is, before any work is done.

    Raises:
        UsageError: the suffix is not .png, .svg or .pdf. SettingError: the width is out of range.
    """
    if path is not None and path.suffix.lower() not in _SUFFIXES:
        received = f"'{path.suffix}'" if path.suffix else "no suffix"
        raise UsageError(f"{path}: a picture is .png, .svg or .pdf, not {received}; choose one of the three")
    check_number("width", width, _NARROWEST, _WIDEST, f"{_NARROWEST:g} to {_WIDEST:g} inches")


def draw(
    predictions: Sequence[Prediction],
    path: str | Path | None = None,
    *,
    width: float = COLUMN_WIDTH,
    dpi: int = 300,
) -> Figure:
    """Draw a recording tagged at one or more frame rates, one prediction each, and write PNG, SVG or PDF.

    The mel spectrogram comes first; every rate adds its importance, its warp and its merged
    spectrogram at the original times. A single rate also shows the frames the classifier sees.
    Where importance is even, or no frames are merged, words say so and the spectrograms get more room.
    Of several channels each begins with its own mel spectrogram.
    Text is 6 to 8 pt at `width` inches: choose the width at which the picture will be printed.
    Equal predictions give equal bytes; nothing of pyplot or of the user's matplotlib style is used.

    Args:
        path: what to write; None: only return the figure. dpi: pixels per inch, 20 to 1200.

    Raises:
        UsageError: no prediction, one without spectrograms, another suffix than the three, or a width
            or dpi the picture cannot have.
        OutputError: the file cannot be written; whatever stood at `path` is untouched.
    """
    from diffres_cli.figure.layout import compose
    from diffres_cli.figure.write import figure_style, write_figure

    if path is not None and not isinstance(path, (str, os.PathLike)):
        raise SettingError("path", shortened(path), "expected the name of a file")
    target = None if path is None else Path(path)
    check_picture(target, width)
    check_number("dpi", dpi, _MIN_DPI, _MAX_DPI, f"{_MIN_DPI} to {_MAX_DPI}")
    if not isinstance(predictions, Sequence) or not all(isinstance(each, Prediction) for each in predictions):
        raise SettingError("predictions", "", "expected a list of them, such as [prediction]")
    with figure_style():
        figure = compose(predictions, width, dpi)
        if target is not None:
            write_figure(figure, target, dpi)
    return figure
