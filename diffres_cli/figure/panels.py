"""The panels of a figure, each on axes that the layout has placed."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, QuadMesh
from matplotlib.ticker import MaxNLocator

from diffres_cli.figure import captions
from diffres_cli.figure.data import DYNAMIC_RANGE, Cells, FigureData, Values, relative_level

DARK, LIGHT, LINE_GREY = "#3b0f70", "#f1605d", "#8a8a8a"  # two of magma's colours, distinct in grey too

_OCTAVES = 2.0 ** np.arange(6, -5, -1)  # kHz
_LABEL_HEIGHT = 0.1  # inches


def draw_spectrogram(
    axes: Axes, cells: Cells, peak: float, frequencies: Values, caption: str = "", margin: str = ""
) -> QuadMesh:
    """Power in dB below `peak`, one rectangle per mel bin and cell, as wide as the cell."""
    captions.add_caption(axes, caption)
    captions.add_margin_note(axes, margin)
    decibels = (relative_level(cells.values, peak) - 1) * DYNAMIC_RANGE
    bins = np.arange(len(decibels) + 1)
    # Pixels even in SVG and PDF: a hundred thousand rectangles take a viewer seconds.
    mesh = axes.pcolormesh(
        cells.edges, bins, decibels, cmap="magma", vmin=-DYNAMIC_RANGE, vmax=0, rasterized=True
    )
    axes.set_xlim(cells.edges[0], cells.edges[-1])
    _label_frequencies(axes, frequencies)
    _label_axis(axes, "kHz")
    return mesh


def draw_colour_bar(axes: Axes, mesh: QuadMesh) -> None:
    """The colour bar in dB of all spectrograms, to the right of the first."""
    width, height = captions.panel_size(axes)
    bottom = 0.04 / height  # its lowest number keeps clear of the name of a time axis
    bar = axes.inset_axes((1 + 0.06 / width, bottom, 0.06 / width, 1 - bottom))
    captions.figure_of(axes).colorbar(mesh, cax=bar, ticks=np.arange(-DYNAMIC_RANGE, 1, 20))
    bar.set_ylabel("dB re peak")


def draw_importance(axes: Axes, data: FigureData) -> None:
    """Importance from 0 to 1, grey where it is even, with its mean t/T as a thin line."""
    cells = data.importance
    mean = float(np.average(cells.values[0], weights=np.diff(cells.edges)))
    axes.stairs(cells.values[0], cells.edges, fill=True, color=DARK, linewidth=0)
    for start, end in data.even_parts:
        inside = (cells.edges[1:] > start) & (cells.edges[:-1] < end)
        axes.stairs(
            np.where(inside, cells.values[0], 0), cells.edges, fill=True, color=LINE_GREY, linewidth=0
        )
    axes.axhline(mean, color=LIGHT, linewidth=0.7)
    # Keeps clear of the tick labels of the colour bar above.
    note, highest = f"mean {mean:.2f}", 0.9
    if data.even_parts:
        note, highest = f"{note}\ngrey: even", 0.75
    captions.add_margin_note(axes, note, min(mean, highest))
    axes.set(xlim=data.span, ylim=(0, 1), yticks=[0, 1])
    _label_axis(axes, "Importance")


def draw_warp(axes: Axes, data: FigureData) -> None:
    """Output frames until a time: steep where frames are kept, flat where many are merged into one."""
    times, frames = data.warp
    axes.plot(times[[0, -1]], frames[[0, -1]], color=LINE_GREY, linewidth=0.6, dashes=(3, 2))
    axes.plot(times, frames, color=DARK, linewidth=1.0)
    late = np.interp(0.4 * times[0] + 0.6 * times[-1], times, frames) < 0.3 * frames[-1]
    captions.add_corner_note(axes, "dashed: evenly spaced", above=bool(late))  # clear of the curve
    axes.set(xlim=data.span, ylim=(0, frames[-1]))
    axes.set_yticks([0, frames[-1]], labels=["0", captions.format_count(round(frames[-1]))])
    _label_axis(axes, "Frame")


def draw_warp_lines(axes: Axes, data: FigureData) -> None:
    """Lines from the times above to the output frames below, at most fifty."""
    times, frames = data.warp
    below = np.linspace(0, frames[-1], 1 + min(50, round(frames[-1])))
    above = np.interp(below, frames, times)
    left, right = (above - times[0]) / (times[-1] - times[0]), below / frames[-1]
    lines = [[(top, 1), (bottom, 0)] for top, bottom in zip(left, right, strict=True)]
    axes.add_collection(LineCollection(lines, colors=LINE_GREY, linewidths=0.35))
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.set_axis_off()


def _label_axis(axes: Axes, quantity: str) -> None:
    """Label the vertical axis at the same position in each panel; hide the tick labels of the time axis."""
    axes.set_ylabel(quantity)
    axes.yaxis.set_label_coords(-0.24 / captions.panel_size(axes)[0], 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.tick_params(labelbottom=False)


def _label_frequencies(axes: Axes, frequencies: Values) -> None:
    """Label the octaves of 1 kHz from the top down, until labels would overlap."""
    bins = len(frequencies)
    hertz = 1000 * _OCTAVES
    shown = (hertz >= frequencies[0]) & (hertz <= frequencies[-1])
    places, numbers = np.interp(hertz[shown], frequencies, np.arange(bins) + 0.5), _OCTAVES[shown]
    tight = np.diff(places) * -captions.panel_size(axes)[1] / bins < _LABEL_HEIGHT
    count = 1 + int(np.argmax(np.append(tight, True)))
    axes.set_yticks(places[:count], labels=[f"{number:g}" for number in numbers[:count]])
