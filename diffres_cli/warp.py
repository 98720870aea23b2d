"""Mel and importance logits -> what the classifier sees, in NumPy: a twin of `diffres_cli.model`.

The maths is `model/importance.py`'s rescale and `model/warp.py`'s closed form (Eq. 3, 5, 6, Algorithm 1),
where it is explained. Frames that share a row of the output are neighbours, so a row is reduced by whole
frames [F] at a time: four times as fast as the scatters of the graph, which place every number on its own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffres_cli.prediction import Floats

Log = Callable[[Floats], Floats]
TINY = 1e-30
_LONG = 8  # frames in a row from which on the row is reduced on its own


class Warped(NamedTuple):
    """Shape: importance [B, T]; merged [B, F, t], linear power; picture [B, 3, F, t]."""

    importance: Floats
    merged: Floats
    picture: Floats


def warp(mel: Floats, logits: Floats, slots: int, log: Log) -> Warped:
    """Merge frames by importance: mean, maximum and resolution encoding (section 3.3).

    Args:
        mel: [B, F, T], linear power. logits: [B, T], of the importance. slots: t, at most T.
        log: the compression after merging.

    >>> mel, logits = np.ones((2, 128, 100), np.float32), np.zeros((2, 100), np.float32)
    >>> importance, merged, picture = warp(mel, logits, 40, np.log)
    >>> importance.shape, merged.shape, picture.shape
    ((2, 100), (2, 128, 40), (2, 3, 128, 40))
    >>> float(importance[0].sum().round(3)), bool(np.allclose(merged, 1))
    (40.0, True)
    """
    batch, bins, frames = mel.shape
    importance = rescale(logits, slots)
    picture = np.empty((batch, 3, bins, slots), np.float32)
    encoding = _encoding(frames, bins)
    for clip in range(batch):
        rows = _rows(importance[clip], slots)
        mean, largest = _reduce(mel[clip].T, rows, np.add, np.maximum)
        picture[clip, 0], picture[clip, 1] = mean.T, largest.T
        picture[clip, 2] = _reduce(encoding, rows, np.add)[0].T
    merged = picture[:, 0].copy()
    picture[:, 0] = log(merged)
    picture[:, 1] = log(picture[:, 1] * np.float32(frames / slots))
    return Warped(importance.astype(np.float32), merged, picture)


def rescale(logits: Floats, slots: int) -> NDArray[np.float64]:
    """Logits [B, T] -> importance [B, T] in [0, 1] that sums to t (Eq. 3, and its refill)."""
    with np.errstate(over="ignore"):
        scores = 1 / (1 + np.exp(-logits.astype(np.float64)))
    scaled = scores / np.maximum(scores.sum(1, keepdims=True), TINY) * slots
    scaled /= np.maximum(scaled.max(1, keepdims=True), 1.0)
    room = 1.0 - scaled
    missing = slots - scaled.sum(1, keepdims=True)
    refill = np.clip(missing / np.maximum(room.sum(1, keepdims=True), TINY), 0.0, 1.0)
    importance: NDArray[np.float64] = scaled + room * refill
    return importance


class _Rows(NamedTuple):
    """Which frames are in which row of one clip, and how much of them.

    Shape:
        first, counts: [t], the first frame that begins in each row, and how many do. weights: [T, 1], what
        of each frame is in the row it begins in. entered, carried: [n], rows that a frame reaches into
        from the row above, and that frame. carried_weights: [n, 1], how far it does.
    """

    first: NDArray[np.int64]
    counts: NDArray[np.int64]
    weights: Floats
    entered: NDArray[np.int64]
    carried: NDArray[np.int64]
    carried_weights: Floats


def _rows(importance: NDArray[np.float64], slots: int) -> _Rows:
    end = importance.cumsum()
    begin = np.concatenate([[0.0], end[:-1]])
    row = np.clip(np.floor(begin), 0, slots - 1)
    weights = np.maximum(np.minimum(end, row + 1) - begin, 0.0)
    bounds = np.searchsorted(row, np.arange(slots + 1))
    reach = end[bounds[1:-1] - 1] - np.arange(1, slots)
    entered = np.flatnonzero(reach > 0) + 1
    return _Rows(
        bounds[:-1],
        np.diff(bounds),
        weights.astype(np.float32)[:, None],
        entered,
        bounds[entered] - 1,
        reach[entered - 1].astype(np.float32)[:, None],
    )


def _reduce(frames: Floats, rows: _Rows, *operations: np.ufunc) -> list[Floats]:
    """The weighted frames [T, F] of each row as one, by each operation: [t, F] each."""
    weighted = np.multiply(frames, rows.weights, order="C")
    carried = frames[rows.carried] * rows.carried_weights
    return [_by_row(operation, weighted, carried, rows) for operation in operations]


def _by_row(operation: np.ufunc, weighted: Floats, carried: Floats, rows: _Rows) -> Floats:
    merged = weighted.take(rows.first, 0, mode="clip")
    merged[rows.counts == 0] = 0.0  # powers are not negative, so 0 changes neither sum nor maximum
    merged[rows.entered] = operation(merged[rows.entered], carried)
    for i in range(1, min(rows.counts.max(), _LONG)):
        longer = np.flatnonzero(rows.counts > i)
        merged[longer] = operation(merged[longer], weighted[rows.first[longer] + i])
    for row in np.flatnonzero(rows.counts > _LONG):
        rest = weighted[rows.first[row] + _LONG : rows.first[row] + rows.counts[row]]
        merged[row] = operation(merged[row], operation.reduce(rest))
    return merged


@lru_cache(maxsize=2)  # the windows of a recording, and its last
def _encoding(frames: int, bins: int) -> Floats:
    """The sinusoidal encoding of the input time, [T, F]: see `model.warp.resolution_encoding`."""
    rates = np.float32(10000.0) ** (-np.arange(0, bins, 2, dtype=np.float32) / np.float32(bins))
    angles = np.arange(frames, dtype=np.float32)[:, None] * rates
    return np.stack([np.sin(angles), np.cos(angles)], 2).reshape(frames, bins)
