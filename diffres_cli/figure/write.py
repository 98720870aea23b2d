"""A figure to a file: its style, its formats, and nothing half-written."""

from __future__ import annotations

import io
import warnings
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib.style
from matplotlib.figure import Figure

from diffres_cli.figure.captions import FONT, NORMAL, SMALL
from diffres_cli.files import write_atomically

# What would make two runs differ, per format.
_UNDATED: dict[str, dict[str, Any]] = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}

_STYLE = {
    "font.family": [FONT, "sans-serif"],  # the first comes with matplotlib: one picture on every machine
    "font.sans-serif": [FONT],  # an SVG's reader may not have it
    "font.size": NORMAL,
    "axes.labelsize": NORMAL,
    "axes.linewidth": 0.5,
    "axes.labelpad": 2.0,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "text.hinting": "no_hinting",  # the same widths at every resolution
    "text.parse_math": False,  # file names and labels may hold dollar signs
    "svg.fonttype": "none",  # text stays text, to be searched and edited
    "pdf.fonttype": 42,
    "svg.hashsalt": "diffres",
} | {
    f"{axis}tick.{name}": value
    for axis in "xy"
    for name, value in {"major.size": 2.0, "major.width": 0.5, "major.pad": 1.5}.items()
}


def figure_style() -> AbstractContextManager[None]:
    """Matplotlib's defaults with our sizes, whatever the user's matplotlibrc sets, within the block."""
    return matplotlib.style.context(["default", _STYLE])  # type: ignore[no-any-return,unused-ignore]


def write_figure(figure: Figure, path: Path, dpi: int) -> None:
    """Write the figure whole or not at all.

    Raises:
        OutputError: the folder or the disk does not take the file.
    """
    suffix = path.suffix.lower()
    drawn = io.BytesIO()  # not to the file: where writing fails half-way, Matplotlib raises errors of its own
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # a box stands for it
        figure.savefig(drawn, format=suffix[1:], dpi=dpi, metadata=_UNDATED[suffix])
    write_atomically(path, drawn.getvalue())
