"""Predictions of one recording to a figure, its panels placed in inches from top to bottom."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from diffres_cli.errors import UsageError
from diffres_cli.figure import panels, text
from diffres_cli.figure.picture import Picture, prepare
from diffres_cli.tagging.prediction import Prediction

LEFT, RIGHT, BOTTOM = 0.38, 0.56, 0.2
"""Inches kept free beside the panels for frequencies and the colour bar, and below for the axis."""


@dataclass(frozen=True)
class Row:
    """One panel: the room above it and its height, in inches, what draws it, and its axis if numbered."""

    room: float
    height: float
    fill: Callable[[Axes], object]
    axis: str = ""


def compose(predictions: Sequence[Prediction], width: float, dpi: int) -> Figure:
    """Lay out one prediction per frame rate, `width` inches wide; see `diffres_cli.figure.draw`."""
    if not predictions:
        raise UsageError("no prediction to draw; give at least one frame rate")
    columns = max(1, round((width - LEFT - RIGHT) * dpi))  # more cells than pixels would not be seen
    pictures = [prepare(prediction, columns) for prediction in predictions]
    rows = _rows(predictions, pictures, peak=max(picture.peak for picture in pictures))
    figure = Figure(figsize=(width, sum(row.room + row.height for row in rows) + BOTTOM))
    bottom = figure.get_figheight()
    for row in rows:
        bottom -= row.room + row.height
        axes = _axes(figure, bottom, row.height)
        row.fill(axes)
        if row.axis:
            text.below(axes, row.axis)
    return figure


def _axes(figure: Figure, bottom: float, height: float) -> Axes:
    width, total = figure.get_size_inches()
    return figure.add_axes((LEFT / width, bottom / total, (width - LEFT - RIGHT) / width, height / total))


def _rows(predictions: Sequence[Prediction], pictures: Sequence[Picture], peak: float) -> list[Row]:
    def heading(axes: Axes) -> None:
        text.heading(axes, predictions)
        panels.colour_bar(axes, mel(axes, predictions[0], pictures[0]))

    def mel(axes: Axes, prediction: Prediction, picture: Picture) -> QuadMesh:
        channel = f", channel {prediction.channel}" if prediction.channel else ""
        text.caption(axes, f"Mel spectrogram{channel}")
        return panels.spectrogram(axes, picture.mel, peak, picture.mel_frequencies)

    if len(predictions) == 1:
        return [Row(0.5, 0.75, heading), *_in_full(predictions[0], pictures[0], peak)]
    rows = list[Row]()
    for place, pair in enumerate(zip(predictions, pictures, strict=True)):
        if not place:
            rows.append(Row(0.36, 0.75, heading))
        elif predictions[place - 1].channel != pair[0].channel:
            rows.append(Row(0.3, 0.75, partial(mel, prediction=pair[0], picture=pair[1])))
        rows += _in_brief(*pair, peak)
    return [*rows[:-1], replace(rows[-1], axis="Time (s)")]


def _in_full(prediction: Prediction, picture: Picture, peak: float) -> Iterator[Row]:
    """The panels of a single rate, down to what the classifier sees."""

    def merged(axes: Axes) -> None:
        text.caption(axes, f"Merged to {prediction.fps:g} fps, at the original times")
        panels.spectrogram(axes, picture.merged, peak, picture.mel_frequencies)

    def frames(axes: Axes) -> None:
        text.beside(axes, "as the\nclassifier\nsees it")
        panels.spectrogram(axes, picture.frames, peak, picture.mel_frequencies)

    yield Row(0.08, 0.46, lambda axes: panels.importance(axes, picture))
    yield Row(0.11, 0.42, lambda axes: panels.warp(axes, picture))
    yield Row(0.2, 0.75, merged, axis="Time (s)")
    yield Row(0.16, 0.22, lambda axes: panels.fan(axes, picture))
    yield Row(0.0, 0.6, frames, axis="Frame")


def _in_brief(prediction: Prediction, picture: Picture, peak: float) -> Iterator[Row]:
    """The panels of one rate among several."""

    def importance(axes: Axes) -> None:
        text.rate(axes, prediction)
        panels.importance(axes, picture)

    def merged(axes: Axes) -> None:
        text.beside(axes, "merged")
        panels.spectrogram(axes, picture.merged, peak, picture.mel_frequencies)

    yield Row(0.24, 0.46, importance)
    yield Row(0.11, 0.42, lambda axes: panels.warp(axes, picture))
    yield Row(0.08, 0.6, merged)
