"""Merging frames: importance -> overlap weights -> merged frames (Eq. 5, 6, Algorithm 1).

Equation 5 followed by Algorithm 1 has a closed form. With c_j = s_1 + ... + s_j, frame j occupies
[c_(j-1), c_j] of the output's time axis and row i occupies [i, i + 1], so

    W[i, j] = max(0, min(c_j, i + 1) - max(c_(j-1), i)).

Since s_j <= 1, a frame touches the row it begins in, r = floor(c_(j-1)), and at most the next one;
and since frames follow each other, at most one frame reaches into a row from the row above.

W is never built. A block of 32 frames touches the row it begins in and the 33 below it at most, so
sums multiply each block by its own small part of W, O(F T) in all, where the matrix is O(F T t) for
the maximum. What a row got in earlier blocks is scattered onto it, one value a block: a scatter of
every frame takes ONNX Runtime longer than all the rest.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

BLOCK = 32  # frames multiplied at once
REACH = BLOCK + 2  # rows a block can touch: it begins anywhere in the first, and one more for rounding
RUN = 8  # frames in a running maximum


class Overlaps(NamedTuple):
    """Where each frame lies on the output's time axis, which says what W is.

    Shape:
        start, end: [B, T] float64: c_(j-1) and c_j. rows: [B, T] int64: the row each frame begins in.
        last: [B, t] int64: the last frame that begins in each row or above.
    """

    start: Tensor
    end: Tensor
    rows: Tensor
    last: Tensor


def overlaps(importance: Tensor, slots: int) -> Overlaps:
    """Lay the frames end to end on the output's time axis.

    Args:
        importance: [B, T], in [0, 1], each row summing to at most t. slots: t.

    >>> where = overlaps(torch.tensor([[0.75, 0.5, 0.75]]), 2)
    >>> where.start.tolist(), where.end.tolist()
    ([[0.0, 0.75, 1.25]], [[0.75, 1.25, 2.0]])
    >>> where.rows.tolist(), where.last.tolist()
    ([[0, 0, 1]], [[1, 2]])
    """
    # float64: c reaches T, and float32 would misplace an edge by 1e-3 frames at T = 10,000.
    importance = importance.double()
    end = importance.cumsum(1)
    start = end - importance
    rows = start.floor().clamp(0, slots - 1).long()
    begun = rows.new_zeros(rows.shape[0], slots).scatter_add(1, rows, torch.ones_like(rows))
    return Overlaps(start, end, rows, begun.cumsum(1) - 1)


def merge_mean(frames: Tensor, where: Overlaps) -> Tensor:
    """Weighted sum of the frames in each row, sum_j W[i, j] X[:, j] (Eq. 6): [B, F, T] -> [B, F, t].

    A full row's weights sum to 1, so this is a mean and a constant survives it.
    """
    return _row_sums(_padded(frames.transpose(1, 2)), where).transpose(1, 2)


def merge_max(frames: Tensor, where: Overlaps) -> Tensor:
    """Largest weighted frame in each row, max_j W[i, j] X[:, j], times T / t: [B, F, T] -> [B, F, t].

    The factor makes up for weights that shrink as more frames share a row. Frames are powers, so
    0 is the floor of an empty row. Ties share the gradient.
    """
    run, carried = _weighted(_padded(frames.transpose(1, 2)), where)
    running, rows = _running_max(run, where.rows)
    begins = (where.last > _above(where)).to(frames.dtype).unsqueeze(2)
    largest = torch.maximum(_at(running, where.last) * begins, carried)
    ends = running[:, RUN - 1 :: RUN]
    largest = largest.scatter_reduce(1, rows[:, RUN - 1 :: RUN, None].expand_as(ends), ends, "amax")
    return largest.transpose(1, 2) * (frames.shape[2] / where.last.shape[1])


def resolution_encoding(where: Overlaps, channels: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Where each row came from: the warped sinusoidal encoding of the input time (section 3.3).

    E[2k, j] = sin(j w_k), E[2k + 1, j] = cos(j w_k), w_k = 10000^(-2k / channels), j the input
    frame; the result is W E^T, [B, channels, t].
    """
    like = torch.empty(0, dtype=dtype, device=where.rows.device)
    return _row_sums(sinusoids(where.rows.shape[1], channels, like), where).transpose(1, 2)


def sinusoids(frames: int, channels: int, like: Tensor) -> Tensor:
    """The encoding of T input frames, up to whole blocks: [1, T', channels], typed and placed as `like`.

    sin(a + b) = sin a cos b + cos a sin b, where a belongs to a block and b to a frame in it: few
    sines and cosines to compute, and those in float64, since the angle reaches T.

    >>> sinusoids(3, 2, torch.ones(1))[0, :3]
    tensor([[ 0.0000,  1.0000],
            [ 0.8415,  0.5403],
            [ 0.9093, -0.4161]])
    """
    channel = torch.arange(channels, device=like.device)
    cosine = channel % 2
    rates = 10000.0 ** ((cosine - channel).double() / channels)
    quarter = torch.pi / 2 * cosine.double()
    a = torch.arange(0, frames, BLOCK, device=like.device)[:, None, None] * rates + quarter
    b = torch.arange(BLOCK, device=like.device)[:, None] * rates
    encoding = a.sin().to(like) * b.cos().to(like) + a.cos().to(like) * b.sin().to(like)
    return encoding.reshape(1, -1, channels)


def _row_sums(frames: Tensor, where: Overlaps) -> Tensor:
    """W X by blocks: frames [B or 1, T', F] -> [B, t, F]."""
    first = where.rows[:, ::BLOCK]
    # Half precision, which mixed-precision training would choose for a product, drowns the quiet bins.
    with torch.autocast(frames.device.type, enabled=False):
        sums = (_block_matrices(where).to(frames.dtype) @ _split(frames, BLOCK)).flatten(1, 2)
    # A row is whole in the block of its last frame but for what it got in blocks before, each of
    # which it was the last row of: the one in which the next block begins.
    block = where.last // BLOCK
    row = torch.arange(block.shape[1], device=block.device) - first.gather(1, block)
    whole = _at(sums, block * REACH + row.clamp_max(REACH - 1))  # an empty row may be any distance away
    begun = first[:, 1:]
    blocks = torch.arange(begun.shape[1], device=begun.device)
    before = _at(sums, blocks * REACH + begun - first[:, :-1])
    return whole.scatter_add(1, begun.unsqueeze(2).expand_as(before), before)


def _block_matrices(where: Overlaps) -> Tensor:
    """The part of W that each block of frames touches, [B, blocks, 34, 32]."""
    first = where.rows[:, ::BLOCK, None]
    start, end = (
        (_split(_padded(edge.unsqueeze(2)), BLOCK).squeeze(3) - first).unsqueeze(2)
        for edge in (where.start, where.end)
    )
    top = torch.arange(REACH, device=first.device, dtype=start.dtype).unsqueeze(1)
    # Where an edge lies on a row's, as at an even importance, clamp and relu give it to one row alone.
    return (end.clamp(max=top + 1.0) - start.clamp(min=top)).relu()


def _weighted(frames: Tensor, where: Overlaps) -> tuple[Tensor, Tensor]:
    """Frames [B, T', F] times their share of the row they begin in, and of the one they are carried into.

    Returns:
        beginning: [B, T', F]. carried: [B, t, F], what reaches into each row from above; frame 0 into row 0.
    """
    # A rounding error of -1e-9 would become NaN in the logarithm.
    weights = (torch.minimum(where.end, where.rows + 1.0) - where.start).clamp_min(0.0)
    above = _above(where)
    reach = where.end.gather(1, above) - torch.arange(above.shape[1], device=above.device)
    carried = _at(frames, above) * reach.clamp_min(0.0).to(frames.dtype).unsqueeze(2)
    return frames * _padded(weights.to(frames.dtype).unsqueeze(2)), carried


def _running_max(frames: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The largest of each frame and those before it in its row and its eight, and the rows, padded.

    Shape:
        frames: [B, T', F]. rows: [B, T]. The result: [B, T', F], [B, T'].
    """
    rows = _split(_padded(rows.unsqueeze(2)), RUN)
    same = (rows[:, :, 1:] == rows[:, :, :-1]).to(frames.dtype).unbind(2)
    frame, *others = _split(frames, RUN).unbind(2)
    running = [frame]
    for frame, joined in zip(others, same, strict=True):
        running.append(torch.maximum(frame, running[-1] * joined))
    return torch.stack(running, 2).flatten(1, 2), rows.flatten(1)


def _above(where: Overlaps) -> Tensor:
    """The last frame that begins above each row, [B, t]; frame 0 for row 0."""
    return torch.cat([torch.zeros_like(where.last[:, :1]), where.last[:, :-1]], 1)


def _at(frames: Tensor, index: Tensor) -> Tensor:
    """Frames by their number: [B, T, F], [B, t] -> [B, t, F]."""
    clips = torch.arange(index.shape[0], device=index.device).unsqueeze(1)
    return frames[clips, index]


def _padded(frames: Tensor) -> Tensor:
    """Up to whole blocks: [B, T, F] -> [B, T', F]."""
    return pad(frames, (0, 0, 0, -frames.shape[1] % BLOCK))


def _split(frames: Tensor, size: int) -> Tensor:
    """Into blocks: [B, T', F] -> [B, T' / size, size, F]."""
    return frames.reshape(frames.shape[0], -1, size, frames.shape[2])
