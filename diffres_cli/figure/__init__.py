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
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from diffres_cli.errors import SettingError, UsageError
from diffres_cli.tagging.prediction import Prediction

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Where there is no home folder, matplotlib warns that it keeps its list of fonts in another folder.
logging.getLogger("matplotlib").setLevel(logging.ERROR)

COLUMN = 3.5
"""Width of a single column of a paper, in inches."""

_SUFFIXES = (".png", ".svg", ".pdf")
_NARROWEST, _WIDEST = 2.5, 40.0  # inches: a narrower one leaves no room between the margins


def check_picture(path: Path | None, width: float = COLUMN) -> None:
    """Check where a picture goes and how wide it is, before any work is done.

    Raises:
        UsageError: the suffix is not .png, .svg or .pdf. SettingError: the width is out of range.
    """
    if path is not None and path.suffix.lower() not in _SUFFIXES:
        received = f"'{path.suffix}'" if path.suffix else "no suffix"
        raise UsageError(f"{path}: a picture is .png, .svg or .pdf, not {received}; choose one of the three")
    if not _NARROWEST <= width <= _WIDEST:
        raise SettingError("width", width, f"must be {_NARROWEST:g} to {_WIDEST:g} inches")


def draw(
    predictions: Sequence[Prediction],
    path: str | Path | None = None,
    *,
    width: float = COLUMN,
    dpi: int = 300,
) -> Figure:
    """Draw a recording tagged at one or more frame rates, one prediction each, and write PNG, SVG or PDF.

    The mel spectrogram comes first; every rate adds its importance, its warp and its merged
    spectrogram at the original times. A single rate also shows the frames the classifier sees.
    Of several channels each begins with its own mel spectrogram.
    Text is 6 to 8 pt at `width` inches: choose the width at which the picture will be printed.
    Equal predictions give equal bytes; nothing of pyplot or of the user's matplotlib style is used.

    Args:
        path: what to write; None: only return the figure. dpi: pixels per inch.

    Raises:
        UsageError: no prediction, one without spectrograms, another suffix than the three, or a width
            the picture cannot have.
        OutputError: the file cannot be written; whatever stood at `path` is untouched.
    """
    from diffres_cli.figure.layout import compose
    from diffres_cli.figure.write import figure_style, write_figure

    target = None if path is None else Path(path)
    check_picture(target, width)
    with figure_style():
        figure = compose(predictions, width, dpi)
        if target is not None:
            write_figure(figure, target, dpi)
    return figure
