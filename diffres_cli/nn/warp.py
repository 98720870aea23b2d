"""Merging frames: importance -> overlap weights -> merged frames (Eq. 5, 6, Algorithm 1).

Equation 5 followed by Algorithm 1 has a closed form. With c_j = s_1 + ... + s_j, frame j occupies
[c_(j-1), c_j] of the output's time axis and row i occupies [i, i + 1], so

    W[i, j] = max(0, min(c_j, i + 1) - max(c_(j-1), i)).

Since s_j <= 1, a frame touches the row it begins in, r = floor(c_(j-1)), and at most the next one;
and since frames follow each other, at most one frame reaches into a row from the row above. W is
never built: mean, maximum and encoding reduce T + t weighted frames, O(F T) in time and memory,
where the matrix is O(F T t) for the maximum.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

_ROUNDING = 1e-9  # of a running sum in float64


class Overlaps(NamedTuple):
    """The non-zero entries of W: one for each frame, and one for each row it reaches into.

    Shape:
        rows, weights: [B, T] int64, float64: the row each frame begins in, and its share of it.
        carried, carried_weights: [B, t] int64, float64: the frame that reaches into each row from
            the row above, and its share of it; 0 where none does, as into row 0.
    """

    rows: Tensor
    weights: Tensor
    carried: Tensor
    carried_weights: Tensor


def overlaps(importance: Tensor, output_frames: int, *, split: bool = True) -> Overlaps:
    """Split each frame's importance over the (at most two) output frames it falls into.

    Args:
        importance: [B, T], in [0, 1], each row summing to at most t. output_frames: t.
        split: False leaves Algorithm 1 out: each frame goes whole to the row it ends in (Eq. 5), so that rows
            hold more or less than one frame's importance.

    >>> where = overlaps(torch.tensor([[0.75, 0.5, 0.75]]), 2)
    >>> where.rows.tolist(), where.weights.tolist()
    ([[0, 0, 1]], [[0.75, 0.25, 0.75]])
    >>> where.carried.tolist(), where.carried_weights.tolist()
    ([[0, 1]], [[0.0, 0.25]])
    """
    # float64: c reaches T, and float32 would misplace an edge by 1e-3 frames at T = 10,000.
    importance = importance.double()
    end = importance.cumsum(1)
    start = end - importance
    if not split:
        return _unsplit(importance, end, output_frames)
    rows = start.floor().clamp(0, output_frames - 1)
    # A rounding error of -1e-9 would become NaN in the logarithm.
    weights = (torch.minimum(end, rows + 1.0) - start).clamp_min(0.0)
    rows = rows.long()
    carried = _carried_frames(rows, output_frames)
    top = torch.arange(output_frames, device=rows.device)
    carried_weights = (end.gather(1, carried) - top).clamp_min(0.0) * (top > 0)
    return Overlaps(rows, weights, carried, carried_weights)


def _unsplit(importance: Tensor, end: Tensor, output_frames: int) -> Overlaps:
    """Every frame in the row i with i < c_j <= i + 1: importance and its running sum c, [B, T] each."""
    rows = ((end - _ROUNDING).ceil() - 1.0).clamp(0, output_frames - 1).long()
    carried = rows.new_zeros(rows.shape[0], output_frames)
    return Overlaps(rows, importance, carried, torch.zeros_like(carried, dtype=importance.dtype))


def _carried_frames(rows: Tensor, output_frames: int) -> Tensor:
    """The last frame that begins above each row, frame 0 for row 0: rows [B, T] -> carried [B, t]."""
    begins = rows.new_zeros(rows.shape[0], output_frames).scatter_add(1, rows, torch.ones_like(rows))
    count = begins.cumsum(1)  # of frames that begin in a row or above it
    return torch.cat([torch.ones_like(count[:, :1]), count[:, :-1]], 1) - 1


def merge_mean(frames: Tensor, where: Overlaps) -> Tensor:
    """Weighted sum of the frames in each row, sum_j W[i, j] X[:, j] (Eq. 6): [B, F, T] -> [B, F, t].

    A full row's weights sum to 1, so this is a mean and a constant survives it.
    """
    rows, beginning, carried = _weighted(frames, where)
    return carried.scatter_add(2, rows, beginning)


def merge_max(frames: Tensor, where: Overlaps) -> Tensor:
    """Largest weighted frame in each row, max_j W[i, j] X[:, j], times T / t: [B, F, T] -> [B, F, t].

    The factor makes up for weights that shrink as more frames share a row. Frames are powers, so
    0 is the floor of an empty row. Ties share the gradient.
    """
    rows, beginning, carried = _weighted(frames, where)
    largest = carried.scatter_reduce(2, rows, beginning, "amax")
    return largest * (frames.shape[2] / where.carried.shape[1])


def resolution_encoding(where: Overlaps, channels: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Where each row came from: the warped sinusoidal encoding of the input time (section 3.3).

    E[2k, j] = sin(j w_k), E[2k + 1, j] = cos(j w_k), w_k = 10000^(-2k / channels), j the input
    frame; the result is W E^T, [B, channels, t].
    """
    batch, frames = where.rows.shape
    time = torch.arange(frames, device=where.rows.device, dtype=dtype)
    rates = 10000.0 ** (-torch.arange(0, channels, 2, device=time.device, dtype=dtype) / channels)
    angles = rates[:, None] * time
    encoding = torch.stack([angles.sin(), angles.cos()], 1).reshape(1, 2 * len(rates), -1)
    if channels % 2:  # the last pair has no cosine
        encoding = encoding[:, :channels]
    return merge_mean(encoding.expand(batch, -1, -1), where)


def _weighted(frames: Tensor, where: Overlaps) -> tuple[Tensor, Tensor, Tensor]:
    """The rows frames begin in [B, F, T], the weighted frames [B, F, T], and the carried ones [B, F, t]."""
    rows = where.rows.unsqueeze(1).expand_as(frames)
    carried = where.carried.unsqueeze(1).expand(-1, frames.shape[1], -1)
    weights = where.weights.to(frames.dtype).unsqueeze(1)
    carried_weights = where.carried_weights.to(frames.dtype).unsqueeze(1)
    return rows, frames * weights, frames.gather(2, carried) * carried_weights
