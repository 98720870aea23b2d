"""What the paper compares DiffRes with (Table 1): other ways from T input frames to t output frames.

Where time is shared evenly every frame has the importance t / T, and the mean over an output frame is what
DiffRes would make of it. Output frames begin and end between input frames where T / t is no whole number.

The classifier always sees three channels. A rival repeats its spectrogram in place of the maximum, and has
the encoding of evenly spread frames, which says nothing. So a backbone trained behind DiffRes serves all.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from diffres_cli.nn.diffres import DiffResOutput, Log, Reduction, log_power
from diffres_cli.nn.importance import ResConv1d, rescale
from diffres_cli.nn.warp import Overlaps, merge_max, merge_mean, overlaps, resolution_encoding

_CONVOLUTIONS = 3
_ROUNDING = 1e-9  # a frame's share of an output frame that is no more than a rounding error


class EvenReduction(Reduction):
    """Base of the rivals: equal stretches of time, each turned into one frame by `pool`."""

    def forward(self, power: Tensor, output_frames: int, mask: Tensor | None = None) -> DiffResOutput:
        """Power [B, F, T], t, mask [B, T] -> `DiffResOutput`."""
        return self.reduce(power, output_frames, power.shape[2], mask)

    def reduce(self, power: Tensor, output_frames: int, frames: int, mask: Tensor | None) -> DiffResOutput:
        """`forward`, for a spectrogram that stands for `frames` input frames."""
        importance = rescale(power.new_ones(power.shape[0], frames), output_frames, mask)
        return self.merge(power, importance, output_frames)._replace(mask=mask)

    def merge(self, power: Tensor, importance: Tensor, output_frames: int) -> DiffResOutput:
        """Power [B, F, T] and even importance [B, T] -> t output frames."""
        stretches = overlaps(importance, output_frames)
        pooled, seen = self.pool(power, stretches)
        encoding = resolution_encoding(stretches, power.shape[1])
        features = torch.stack([seen, seen, encoding], 1)
        return DiffResOutput(features, pooled, pooled, encoding, importance.to(power), power)

    def pool(self, power: Tensor, stretches: Overlaps) -> tuple[Tensor, Tensor]:
        """Power [B, F, T] -> power [B, F, t], and the same as the classifier sees it."""
        pooled = self.pool_power(power, stretches)
        return pooled, self.log(pooled)

    def pool_power(self, power: Tensor, stretches: Overlaps) -> Tensor:
        """Power [B, F, T] -> [B, F, t]."""
        raise NotImplementedError


class LargerHop(EvenReduction):
    """The front end's hop grows instead: its t frames stay as they are."""

    changes_hop = True

    def pool_power(self, power: Tensor, stretches: Overlaps) -> Tensor:
        """[B, F, t] -> [B, F, t]."""
        return power


class FramePicking(EvenReduction):
    """The frames nearest to a larger hop's."""

    def pool_power(self, power: Tensor, stretches: Overlaps) -> Tensor:
        """[B, F, T] -> [B, F, t]."""
        return pick_frames(power, stretches.carried.shape[1])


class AveragePool(EvenReduction):
    """The mean of each stretch."""

    def pool_power(self, power: Tensor, stretches: Overlaps) -> Tensor:
        """[B, F, T] -> [B, F, t]."""
        return merge_mean(power, stretches)


class MaxPool(EvenReduction):
    """The largest of each stretch."""

    def pool_power(self, power: Tensor, stretches: Overlaps) -> Tensor:
        """[B, F, T] -> [B, F, t]."""
        return largest_of_stretch(power, stretches)


class AverageMaxPool(EvenReduction):
    """Half the mean and half the largest of each stretch."""

    def pool_power(self, power: Tensor, stretches: Overlaps) -> Tensor:
        """[B, F, T] -> [B, F, t]."""
        return (merge_mean(power, stretches) + largest_of_stretch(power, stretches)) / 2


class ConvAveragePool(EvenReduction):
    """ConvAvgPool: convolution blocks on the log spectrogram, then the mean of each stretch."""

    def __init__(self, mel_bins: int = 128, *, log: Log = log_power) -> None:
        super().__init__(mel_bins, log=log)
        self.convolutions = ConvolutionBlocks(mel_bins)

    def pool(self, power: Tensor, stretches: Overlaps) -> tuple[Tensor, Tensor]:
        """Power [B, F, T] -> its mean [B, F, t], and the mean of its convolutions."""
        return merge_mean(power, stretches), merge_mean(self.convolutions(self.log(power)), stretches)


class ConvolutionBlocks(nn.Sequential):
    """Three residual blocks that keep the number of bins: [B, F, T] -> [B, F, T].

    >>> sum(parameter.numel() for parameter in ConvolutionBlocks(128).parameters())
    493824
    """

    def __init__(self, bins: int) -> None:
        super().__init__(*(ResConv1d(bins, bins) for _ in range(_CONVOLUTIONS)))


def pick_frames(frames: Tensor, output_frames: int) -> Tensor:
    """Every (T / t)-th frame, the nearest one where that falls between two: [B, F, T] -> [B, F, t].

    >>> pick_frames(torch.arange(10.0).reshape(1, 1, 10), 4).tolist()
    [[[0.0, 3.0, 5.0, 8.0]]]
    """
    count = frames.shape[2]
    rows = torch.arange(output_frames, device=frames.device)
    nearest = (2 * rows * count + output_frames) // (2 * output_frames)
    return frames.index_select(2, nearest.clamp_max(count - 1))


def largest_of_stretch(frames: Tensor, stretches: Overlaps) -> Tensor:
    """The largest of all frames that touch a stretch, at its full size: [B, F, T] -> [B, F, t]."""
    touching = stretches._replace(
        weights=(stretches.weights > _ROUNDING).double(),
        carried_weights=(stretches.carried_weights > _ROUNDING).double(),
    )
    return merge_max(frames, touching) * (stretches.carried.shape[1] / frames.shape[2])
