"""Predictions of one recording to a figure, its panels placed in inches from top to bottom."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from diffres_cli.errors import UsageError
from diffres_cli.figure import captions, panels
from diffres_cli.figure.data import FigureData, prepare_data
from diffres_cli.tagging.prediction import Prediction

LEFT, RIGHT, BOTTOM = 0.38, 0.56, 0.2
"""Inches kept free beside the panels for frequencies and the colour bar, and below for the axis."""

TALL, COMPARED_TALL = 1.775, 1.2
"""Inches of a spectrogram that has the room of panels with nothing to show."""


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        room, height: inches above it, and of it. draw: draws on its axes.
        axis: the name of its horizontal axis; "" for one without numbers.
    """

    room: float
    height: float
    draw: Callable[[Axes], object]
    axis: str = ""


def compose(predictions: Sequence[Prediction], width: float, dpi: int) -> Figure:
    """Lay out one prediction per frame rate, `width` inches wide; see `diffres_cli.figure.draw`."""
    if not predictions:
        raise UsageError("no prediction to draw; give at least one frame rate")
    columns = max(1, round((width - LEFT - RIGHT) * dpi))  # more cells than pixels would not be seen
    recordings = [prepare_data(prediction, columns) for prediction in predictions]
    stack = _panels(predictions, recordings, peak=max(data.peak for data in recordings))
    figure = Figure(figsize=(width, sum(panel.room + panel.height for panel in stack) + BOTTOM))
    bottom = figure.get_figheight()
    for panel in stack:
        bottom -= panel.room + panel.height
        axes = _axes(figure, bottom, panel.height)
        panel.draw(axes)
        if panel.axis:
            captions.number_time_axis(axes, panel.axis)
    return figure


def _axes(figure: Figure, bottom: float, height: float) -> Axes:
    width, total = figure.get_size_inches()
    return figure.add_axes((LEFT / width, bottom / total, (width - LEFT - RIGHT) / width, height / total))


def _panels(predictions: Sequence[Prediction], recordings: Sequence[FigureData], peak: float) -> list[Panel]:
    def heading(axes: Axes) -> None:
        captions.add_heading(axes, predictions)
        panels.draw_colour_bar(axes, _draw_mel(axes, predictions[0], recordings[0], peak, alone))

    alone = len(predictions) == 1
    if alone:
        return _single_rate_panels(heading, predictions[0], recordings[0], peak)
    found, channel = [Panel(0.36, 0.75, heading)], predictions[0].channel
    for prediction, data in zip(predictions, recordings, strict=True):
        if prediction.channel != channel:
            channel = prediction.channel
            mel = partial(_draw_mel, prediction=prediction, data=data, peak=peak)
            found.append(Panel(0.3, 0.75, mel))
        found += _compared_rate_panels(prediction, data, peak)
    return [*found[:-1], replace(found[-1], axis="Time (s)")]


def _draw_mel(
    axes: Axes, prediction: Prediction, data: FigureData, peak: float, alone: bool = False
) -> QuadMesh:
    channel = f", channel {prediction.channel}" if prediction.channel else ""
    unmerged = f": at {prediction.fps:g} fps no frames are merged" if alone and not data.is_merged else ""
    caption = f"Mel spectrogram{channel}{unmerged}"
    return panels.draw_spectrogram(axes, data.mel, peak, data.mel_frequencies, caption)


def _single_rate_panels(
    mel: Callable[[Axes], object], prediction: Prediction, data: FigureData, peak: float
) -> list[Panel]:
    """The panels of a single rate, down to what the classifier sees.

    Where no frames are merged the classifier sees the mel spectrogram, and where they are merged evenly the
    merged one: importance and warp have nothing to show.
    """
    spectrogram = partial(panels.draw_spectrogram, peak=peak, frequencies=data.mel_frequencies)
    rate = f"{prediction.fps:g} fps"
    if not data.is_merged:
        return [Panel(0.5, TALL, mel, axis="Time (s)")]
    if data.is_even:
        caption = f"Merged evenly to {rate}: importance is even here"
        merged = partial(spectrogram, cells=data.merged, caption=caption)
        return [Panel(0.5, TALL, mel), Panel(0.2, TALL, merged, axis="Time (s)")]
    merged = partial(spectrogram, cells=data.merged, caption=f"Merged to {rate}, at the original times")
    frames = partial(spectrogram, cells=data.frames, margin="as the\nclassifier\nsees it")
    return [
        Panel(0.5, 0.75, mel),
        Panel(0.08, 0.46, partial(panels.draw_importance, data=data)),
        Panel(0.11, 0.42, partial(panels.draw_warp, data=data)),
        Panel(0.2, 0.75, merged, axis="Time (s)"),
        Panel(0.16, 0.22, partial(panels.draw_warp_lines, data=data)),
        Panel(0.0, 0.6, frames, axis="Frame"),
    ]


def _compared_rate_panels(prediction: Prediction, data: FigureData, peak: float) -> Iterator[Panel]:
    """The panels of one rate among several."""

    def importance(axes: Axes) -> None:
        captions.add_rate(axes, prediction)
        panels.draw_importance(axes, data)

    def merged(axes: Axes, margin: str, with_rate: bool = False) -> None:
        if with_rate:
            captions.add_rate(axes, prediction)
        panels.draw_spectrogram(axes, data.merged, peak, data.mel_frequencies, margin=margin)

    if data.is_merged and not data.is_even:
        yield Panel(0.24, 0.46, importance)
        yield Panel(0.11, 0.42, partial(panels.draw_warp, data=data))
        yield Panel(0.08, 0.6, partial(merged, margin="merged"))
        return
    words = "merged\nevenly:\nimportance\nis even" if data.is_merged else "no frames\nmerged"
    yield Panel(0.24, COMPARED_TALL, partial(merged, margin=words, with_rate=True))
