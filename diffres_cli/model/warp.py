"""Merging frames: importance -> overlap weights -> merged frames (Eq. 5, 6, Algorithm 1).

Equation 5 followed by Algorithm 1 has a closed form. With c_j = s_1 + ... + s_j, frame j occupies
[c_(j-1), c_j] of the output's time axis and row i occupies [i, i + 1], so

    W[i, j] = max(0, min(c_j, i + 1) - max(c_(j-1), i)).

Since s_j <= 1, a frame touches at most two neighbouring rows: r = floor(c_(j-1)), and r + 1. W is
never built: mean, maximum and encoding are reductions over 2T weighted frames, O(F T) in time and
memory, where the matrix is O(F T t) for the maximum.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import torch
from torch import Tensor

# torch calls it beta once a process; scatter_reduce, which it does not, is the slower one backwards
# (bench/warp.py).
warnings.filterwarnings("ignore", "index_reduce", UserWarning)


class Overlaps(NamedTuple):
    """The non-zero entries of W, two for each input frame.

    Shape:
        rows: [B, 2T] int64, the output frame. weights: [B, 2T] float64, in [0, 1]. slots: t.
    """

    rows: Tensor
    weights: Tensor
    slots: int


def overlaps(importance: Tensor, slots: int) -> Overlaps:
    """Split each frame's importance over the (at most two) output frames it falls into.

    Args:
        importance: [B, T], in [0, 1], each row summing to at most t. slots: t.

    >>> rows, weights, _ = overlaps(torch.tensor([[0.75, 0.5, 0.75]]), 2)
    >>> rows.tolist(), weights.tolist()
    ([[0, 0, 1, 1, 1, 1]], [[0.75, 0.25, 0.75, 0.0, 0.25, 0.0]])
    """
    # float64: c reaches T, and float32 would misplace an edge by 1e-3 frames at T = 10,000.
    importance = importance.double()
    end = importance.cumsum(1)
    start = end - importance
    first = start.floor().clamp(0, slots - 1)
    inside = torch.minimum(end, first + 1.0) - start
    rows = torch.cat([first, (first + 1.0).clamp_max(slots - 1)], 1)
    # A rounding error of -1e-9 would become NaN in the logarithm.
    weights = torch.cat([inside, end - first - 1.0], 1).clamp_min(0.0)
    return Overlaps(rows.long(), weights, slots)


def merge_mean(frames: Tensor, where: Overlaps) -> Tensor:
    """Weighted sum of the frames in each row, sum_j W[i, j] X[:, j] (Eq. 6): [B, F, T] -> [B, F, t].

    A full row's weights sum to 1, so this is a mean and a constant survives it.
    """
    weighted = _weighted_rows(frames, where)
    empty = weighted.new_zeros(frames.shape[0] * where.slots, frames.shape[1])
    return _as_batch(empty.index_add(0, _flat_rows(where), weighted), where)


def merge_max(frames: Tensor, where: Overlaps) -> Tensor:
    """Largest weighted frame in each row, max_j W[i, j] X[:, j], times T / t: [B, F, T] -> [B, F, t].

    The factor makes up for weights that shrink as more frames share a row. Frames are powers, so
    0 is the floor of an empty row. Ties share the gradient.
    """
    weighted = _weighted_rows(frames, where)
    empty = weighted.new_zeros(frames.shape[0] * where.slots, frames.shape[1])
    largest = empty.index_reduce(0, _flat_rows(where), weighted, "amax")
    return _as_batch(largest, where) * (frames.shape[2] / where.slots)


def resolution_encoding(where: Overlaps, channels: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Where each row came from: the warped sinusoidal encoding of the input time (section 3.3).

    E[2k, j] = sin(j w_k), E[2k + 1, j] = cos(j w_k), w_k = 10000^(-2k / channels), j the input
    frame; the result is W E^T, [B, channels, t].
    """
    batch, pairs = where.rows.shape
    time = torch.arange(pairs // 2, device=where.rows.device, dtype=dtype)
    rates = 10000.0 ** (-torch.arange(0, channels, 2, device=time.device, dtype=dtype) / channels)
    angles = rates[:, None] * time
    encoding = torch.stack([angles.sin(), angles.cos()], 1).reshape(1, channels, -1)
    return merge_mean(encoding.expand(batch, -1, -1), where)


def _weighted_rows(frames: Tensor, where: Overlaps) -> Tensor:
    """[B, F, T] -> [B * 2T, F]: every frame twice, once for each row it may fall into."""
    by_time = frames.transpose(1, 2)
    weights = where.weights.to(frames.dtype).unsqueeze(2)
    return (torch.cat([by_time, by_time], 1) * weights).flatten(0, 1)


def _flat_rows(where: Overlaps) -> Tensor:
    """Row numbers in the flattened [B * t] output."""
    batch = torch.arange(where.rows.shape[0], device=where.rows.device)
    return (where.rows + batch.unsqueeze(1) * where.slots).flatten()


def _as_batch(rows: Tensor, where: Overlaps) -> Tensor:
    """[B * t, F] -> [B, F, t]."""
    return rows.reshape(where.rows.shape[0], where.slots, -1).transpose(1, 2)
