"""From T input frames to t output frames: DiffRes, and what the paper compares it with (Table 1).

All are functions of a spectrogram [B, F, T], linear power, and of t, at most T. Where time is shared out
evenly every frame has the importance t / T, and the mean over a row is what DiffRes would make of it: pooling
is DiffRes without an opinion. Rows begin and end between frames where T / t is no whole number.

The classifier always sees three channels. What a rival has not got is what DiffRes would put there if all
frames were alike: its spectrogram again for the maximum, and for the encoding that of evenly spread frames,
which tells nothing. So a backbone that was trained behind DiffRes serves all of them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from diffres_cli.checkpoint.variant import Variant
from diffres_cli.nn.importance import ResConv1d
from diffres_cli.nn.warp import Overlaps, merge_max, merge_mean, overlaps, resolution_encoding

_CONVOLUTIONS = 3
_TOUCH = 1e-9  # a frame's share of a row that is more than a rounding error

Log = Callable[[Tensor], Tensor]


class ConvolutionBlocks(nn.Sequential):
    """What ConvAvgPool does to a spectrogram before pooling: [B, F, T] -> [B, F, T].

    Three residual blocks that keep the number of bins.

    >>> sum(parameter.numel() for parameter in ConvolutionBlocks(128).parameters())
    493824
    """

    def __init__(self, bins: int) -> None:
        super().__init__(*(ResConv1d(bins, bins) for _ in range(_CONVOLUTIONS)))


def diffres_features(
    power: Tensor, importance: Tensor, output_frames: int, log: Log, variant: Variant
) -> tuple[Tensor, Tensor]:
    """Merge by importance (section 3.3): mean, maximum and resolution encoding.

    Args:
        power: [B, F, T]. importance: [B, T], summing to t. output_frames: t.
        log: the compression after merging.

    Returns:
        merged: [B, F, t], the mean. features: [B, 3, F, t], what the classifier sees.
    """
    where = overlaps(importance, output_frames, split=variant.algorithm1)
    merged = merge_mean(power, where)
    mean = log(merged)
    largest = log(merge_max(power, where)) if variant.maximum else mean
    told = where if variant.encoding else overlaps(_alike(importance), output_frames)
    encoding = resolution_encoding(told, power.shape[1])
    return merged, torch.stack([mean, largest, encoding], 1)


def _alike(importance: Tensor) -> Tensor:
    """Importance [B, T] shared out evenly among the frames that have any."""
    held = (importance > 0).to(importance)
    return held * (importance.sum(1, keepdim=True) / held.sum(1, keepdim=True))


def pooled(power: Tensor, where: Overlaps, reduction: str) -> Tensor:
    """Spectrogram [B, F, T] -> [B, F, t] by one of the rivals whose result is a spectrogram again.

    Args:
        where: the overlaps of frames that are all alike.
        reduction: "frame-picking", "average-pool", "max-pool", "average-max-pool", or "hop", whose frames
            come at the larger hop already.
    """
    if reduction == "hop":
        return power
    if reduction == "frame-picking":
        return pick_frames(power, where.carried.shape[1])
    if reduction == "average-pool":
        return merge_mean(power, where)
    largest = largest_of_row(power, where)
    return largest if reduction == "max-pool" else (merge_mean(power, where) + largest) / 2


def pick_frames(frames: Tensor, output_frames: int) -> Tensor:
    """Every (T / t)-th frame, the nearest one where that falls between two: [B, F, T] -> [B, F, t].

    >>> pick_frames(torch.arange(10.0).reshape(1, 1, 10), 4).tolist()
    [[[0.0, 3.0, 5.0, 8.0]]]
    """
    count = frames.shape[2]
    rows = torch.arange(output_frames, device=frames.device)
    nearest = (2 * rows * count + output_frames) // (2 * output_frames)
    return frames.index_select(2, nearest.clamp_max(count - 1))


def largest_of_row(frames: Tensor, where: Overlaps) -> Tensor:
    """The largest of all frames that touch a row, at its full size: [B, F, T] -> [B, F, t]."""
    touching = where._replace(
        weights=(where.weights > _TOUCH).double(), carried_weights=(where.carried_weights > _TOUCH).double()
    )
    return merge_max(frames, touching) * (where.carried.shape[1] / frames.shape[2])
