"""A prediction as numbers to draw: windows joined on one time axis, reduced to the columns there are.

NumPy only, so that the strip under `diffres tag` costs no import of matplotlib.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffres_cli.errors import UsageError
from diffres_cli.tagging.prediction import AdaptiveSpectrogram, Prediction, is_even
from diffres_cli.text import printable

Values = NDArray[np.floating]
Array = NDArray[np.float64]

DYNAMIC_RANGE = 80.0
"""Decibels from the loudest cell of a picture down to the darkest colour."""

# Every seventeenth of magma's 256 colours (van der Walt and Smith, CC0); linear in between is
# within 3/255 of the original.
_MAGMA = np.frombuffer(
    bytes.fromhex(
        "000004 0b0924 20114b 3b0f70 57157e 721f81 8c2981 a8327d"
        "c43c75 de4968 f1605d fa7f5e fe9f6d febf84 fddea0 fcfdbf"
    ),
    dtype=np.uint8,
).reshape(16, 3)


@dataclass(frozen=True, eq=False)
class Cells:
    """A row of cells as wide as what they cover: cell i reaches from edges[i] to edges[i + 1].

    Shape:
        values: [rows, n]. edges: [n + 1], non-decreasing, in seconds or in output frames.
    """

    values: Values
    edges: Array


@dataclass(frozen=True, eq=False)
class FigureData:
    """A recording at one frame rate, all windows on one time axis.

    `mel` and `merged` hold linear power at the seconds it covers and `importance` its one row;
    `frames` is the merged spectrogram as the classifier sees it, with edges in output frames.
    `is_merged` is False where there are as many output frames as input frames, as at full rate.
    `even_parts` are the starts and ends, in seconds, of what is merged evenly: see `is_even`.

    Shape:
        warp: [2, points], seconds in row 0 and the output frames up to then in row 1.
        mel_frequencies: [F], the centre of each mel bin, Hz.
    """

    mel: Cells
    importance: Cells
    merged: Cells
    frames: Cells
    warp: Array
    mel_frequencies: NDArray[np.float32]
    is_merged: bool
    even_parts: tuple[tuple[float, float], ...]

    @property
    def is_even(self) -> bool:
        """Whether all of it is merged evenly."""
        return self.even_parts == (self.span,)

    @property
    def span(self) -> tuple[float, float]:
        """The first and the last second drawn."""
        return float(self.mel.edges[0]), float(self.mel.edges[-1])

    @property
    def peak(self) -> float:
        """The largest power drawn, the 0 dB of the picture."""
        return float(max(self.mel.values.max(), self.merged.values.max()))


def prepare_data(prediction: Prediction, limit: int) -> FigureData:
    """Join the windows of a recording and reduce them to at most `limit` cells along time.

    Where windows overlap, each is drawn until the next one starts. Longer recordings than `limit`
    frames are averaged into equal columns window by window, so memory does not grow with length.

    Raises:
        UsageError: the recording was tagged without spectrograms.
    """
    views = [window.spectrogram for window in prediction.windows if window.spectrogram is not None]
    if not views:
        raise UsageError(f"{prediction.file}: no spectrogram to draw; tag it with spectrogram=True")
    ends = [float(view.edges[0]) for view in views[1:]] + [float(views[-1].edges[-1])]
    mel = [_truncate(Cells(view.mel, _bounds(view)), end) for view, end in zip(views, ends, strict=True)]
    merged = [_truncate(Cells(view.merged, view.edges), end) for view, end in zip(views, ends, strict=True)]
    shown = zip(views, mel, strict=True)
    importance = [Cells(view.importance[None, : len(cells.edges) - 1], cells.edges) for view, cells in shown]
    frames = _frames(views, merged)
    is_merged = any(view.merged.shape[1] < view.mel.shape[1] for view in views)
    return FigureData(
        mel=join_cells(mel, limit),
        importance=join_cells(importance, limit),
        merged=join_cells(merged, limit),
        frames=join_cells(frames, limit),
        warp=_warp(merged, frames, limit),
        mel_frequencies=views[0].mel_frequencies,
        is_merged=is_merged,
        even_parts=_even_parts(importance) if is_merged else (),
    )


def join_cells(parts: Sequence[Cells], limit: int) -> Cells:
    """Put parts that follow one another into one row of at most `limit` cells.

    Cells keep their own edges while there is room, and empty ones are dropped; otherwise the row
    is averaged into `limit` equal columns.

    >>> row = join_cells([Cells(np.array([[1.0, 5.0]]), np.array([0.0, 1.0, 4.0]))], limit=9)
    >>> row.values.tolist(), row.edges.tolist()
    ([[1.0, 5.0]], [0.0, 1.0, 4.0])
    """
    edges = np.concatenate([parts[0].edges[:1], *(part.edges[1:] for part in parts)])
    if len(edges) - 1 <= limit:
        wide = np.diff(edges) > 0
        values = np.concatenate([part.values for part in parts], axis=1)
        return Cells(values[:, wide], np.append(edges[:1], edges[1:][wide]))
    grid = np.linspace(edges[0], edges[-1], limit + 1)
    return Cells(resample(parts, grid), grid)


def resample(parts: Sequence[Cells], grid: Array) -> Array:
    """Average cells over the columns between neighbouring points of `grid`, weighted by overlap.

    A column inside one cell shows exactly that cell: a wide merged frame stays as wide as it is.

    Shape:
        grid: [columns + 1], increasing -> [rows, columns].

    >>> row = Cells(np.array([[1.0, 5.0]]), np.array([0.0, 1.0, 4.0]))
    >>> resample([row], np.array([0.0, 2.0, 4.0])).tolist()
    [[3.0, 5.0]]
    """
    total = np.zeros((len(parts[0].values), len(grid) - 1))
    for cells in parts:
        first = max(0, int(np.searchsorted(grid, cells.edges[0], side="right")) - 1)
        last = int(np.searchsorted(grid, cells.edges[-1], side="left"))
        integrals = np.cumsum(cells.values * np.diff(cells.edges), axis=1)
        for row, integral in zip(total, integrals, strict=True):
            until = np.interp(grid[first : last + 1], cells.edges, np.append(0.0, integral))
            row[first:last] += np.diff(until)
    return np.asarray(total / np.diff(grid))


def relative_level(power: Values, peak: float) -> Array:
    """Power in decibels below `peak`, within the dynamic range, as 0 (darkest) to 1 (the peak).

    >>> relative_level(np.array([1.0, 1e-4, 0.0]), peak=1.0).tolist()
    [1.0, 0.5, 0.0]
    """
    floor = 10 ** (-DYNAMIC_RANGE / 10)
    relative = np.clip(power / peak, floor, 1.0) if peak > 0 else np.full(np.shape(power), floor)
    return np.asarray(1 + 10 * np.log10(relative) / DYNAMIC_RANGE)


def magma_rgb(fraction: Values) -> NDArray[np.uint8]:
    """Matplotlib's magma without matplotlib: fractions of 0 to 1 as red, green and blue.

    Shape:
        [...] -> [..., 3], each 0 to 255.
    """
    anchors = np.linspace(0, 1, len(_MAGMA))
    channels = [np.interp(fraction, anchors, _MAGMA[:, channel]) for channel in range(3)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


def describe_labels(prediction: Prediction) -> list[str]:
    """Each label with its score, fit to print; one text that says so where there is none."""
    texts = [f"{printable(label.label)} {label.score:.2f}" for label in prediction.labels]
    return texts or [f"no label scores {prediction.min_confidence:g} or more"]


def _bounds(view: AdaptiveSpectrogram) -> Array:
    """Where the input frames meet, [T + 1] seconds: half-way between their centres."""
    middles = (view.frame_times[1:] + view.frame_times[:-1]) / 2
    bounds = np.concatenate([view.edges[:1], middles, view.edges[-1:]])
    return np.asarray(np.clip(bounds, view.edges[0], view.edges[-1]))


def _even_parts(importance: Sequence[Cells]) -> tuple[tuple[float, float], ...]:
    """Windows of even importance, neighbours joined."""
    parts: list[tuple[float, float]] = []
    for cells in importance:
        start, end = float(cells.edges[0]), float(cells.edges[-1])
        if is_even(cells.values[0]):
            if parts and parts[-1][1] == start:
                start = parts.pop()[0]
            parts.append((start, end))
    return tuple(parts)


def _truncate(cells: Cells, end: float) -> Cells:
    """Cut cells off at `end`, in the middle of one where it falls there."""
    if end >= cells.edges[-1]:
        return cells
    count = max(1, int(np.searchsorted(cells.edges[:-1], end, side="left")))
    return Cells(cells.values[:, :count], np.minimum(cells.edges[: count + 1], end))


def _frames(views: Sequence[AdaptiveSpectrogram], merged: Sequence[Cells]) -> list[Cells]:
    """The merged cells of every window on the axis of output frames, which runs on over all windows."""
    parts, frames_so_far = [], 0.0
    for view, cells in zip(views, merged, strict=True):
        count = cells.values.shape[1]
        # Of a frame that was cut off only this share is drawn.
        whole, kept = (edges[-1] - edges[-2] for edges in (view.edges[: count + 1], cells.edges))
        edges = frames_so_far + np.append(np.arange(count), count - 1 + (kept / whole if whole > 0 else 1.0))
        parts.append(Cells(cells.values, edges))
        frames_so_far = float(edges[-1])
    return parts


def _warp(merged: Sequence[Cells], frames: Sequence[Cells], limit: int) -> Array:
    times, frames_so_far = (np.concatenate([part.edges for part in parts]) for parts in (merged, frames))
    if len(times) <= limit:
        return np.stack([times, frames_so_far])
    grid = np.linspace(times[0], times[-1], limit + 1)
    return np.stack([grid, np.interp(grid, times, frames_so_far)])
