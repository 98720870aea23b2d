"""Which frames matter: mel -> frame scores -> importance (paper section 3.2, Eq. 3, Table 6)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool1d, leaky_relu, pad

CHANNELS = (128, 64, 32, 16, 8, 1)
TINY = 1e-30
_SMOOTHED = 5  # frames
_LEAST_DEVIATION = 1e-3


class ResConv1d(nn.Module):
    """Two convolutions over time, the second added to the first (Table 6): [B, in, T] -> [B, out, T]."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int = 5, dilation: int = 1) -> None:
        super().__init__()
        padding = dilation * (kernel // 2)
        self.conv1 = nn.Conv1d(channels_in, channels_out, kernel, padding=padding, dilation=dilation)
        self.bn1 = nn.BatchNorm1d(channels_out)
        self.conv2 = nn.Conv1d(channels_out, channels_out, kernel, padding=padding, dilation=dilation)
        self.bn2 = nn.BatchNorm1d(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, T] -> [B, out, T]."""
        first: Tensor = self.bn1(leaky_relu(self.conv1(x), 0.01))
        second: Tensor = self.bn2(leaky_relu(self.conv2(first), 0.01))
        return second + first


class ImportanceNetwork(nn.Sequential):
    """Log-mel [B, F, T] -> one logit per frame [B, T]; with 128 bins 82,371 parameters.

    Args:
        bins: F. dilation: of every convolution; the context is 40 * dilation + 1 frames.

    >>> net = ImportanceNetwork()
    >>> sum(parameter.numel() for parameter in net.parameters())
    82371
    >>> net(torch.zeros(2, 128, 50)).shape
    torch.Size([2, 50])
    """

    def __init__(self, bins: int = CHANNELS[0], dilation: int = 1) -> None:
        widths = pairwise((bins, *CHANNELS[1:]))
        super().__init__(*(ResConv1d(i, o, dilation=dilation) for i, o in widths))

    def forward(self, log_mel: Tensor) -> Tensor:
        """[B, F, T] -> [B, T], before the sigmoid."""
        logits: Tensor = super().forward(log_mel)  # type: ignore[no-untyped-call]
        return logits.squeeze(1)


class NoveltyImportanceNetwork(ImportanceNetwork):
    """The paper's network plus w times how much each frame changes, w learned from 1 (see `novelty`).

    Where a steady background leaves no silence, the paper's network alone is close to flat.

    >>> net = NoveltyImportanceNetwork(64)
    >>> net(torch.zeros(2, 64, 50)).shape, net.novelty_weight.item()
    (torch.Size([2, 50]), 1.0)
    """

    def __init__(self, bins: int = CHANNELS[0], dilation: int = 1) -> None:
        super().__init__(bins, dilation)
        self.novelty_weight = nn.Parameter(torch.ones(()))

    def forward(self, log_mel: Tensor) -> Tensor:
        """[B, F, T] -> [B, T], before the sigmoid."""
        return super().forward(log_mel) + self.novelty_weight * novelty(log_mel)


def novelty(log_mel: Tensor) -> Tensor:
    """How much each frame differs from its neighbours, as clips go: [B, F, T] -> [B, T].

    The mean over bins of |L[j] - L[j - 1]| and |L[j + 1] - L[j]|, averaged over five frames, minus its mean
    over the clip, divided by its deviation. What lies beyond an edge is as at the edge. Padding is heard as
    silence. T is at least 2.

    >>> step = torch.cat([torch.zeros(1, 4, 20), torch.ones(1, 4, 20)], 2)
    >>> novelty(step)[0].argmax().item() in range(17, 23), novelty(torch.zeros(1, 4, 9)).abs().max().item()
    (True, 0.0)
    """
    change = (log_mel[:, :, 1:] - log_mel[:, :, :-1]).abs().mean(1, keepdim=True)
    around = avg_pool1d(pad(change, (1, 1), mode="replicate"), 2, 1)
    reach = _SMOOTHED // 2
    smooth = avg_pool1d(pad(around, (reach, reach), mode="replicate"), _SMOOTHED, 1).squeeze(1)
    centred = smooth - smooth.mean(1, keepdim=True)
    return centred / (centred.square().mean(1, keepdim=True).clamp_min(TINY).sqrt() + _LEAST_DEVIATION)


def rescale(scores: Tensor, output_frames: int, mask: Tensor | None = None) -> Tensor:
    """Scale scores so that they fill exactly `output_frames` output frames, none more than one (Eq. 3).

    s = s' / sum(s') * t, divided by max(max(s), 1), then refilled: what the division took is handed
    out again in proportion to the room below 1, s + (1 - s) (t - sum(s)) / sum(1 - s). So 0 <= s <= 1
    and sum(s) = t hold together, and at t = T every s is 1.

    Args:
        scores: [B, T], positive. output_frames: t, at most T.
        mask: [B, T], True where a frame holds sound. Padding gets no importance and takes no part.
            A clip with fewer real frames than its batch fills its share of the rows, so that every
            clip is seen at the same rate (see `shares`).

    Returns:
        importance: [B, T], float64: a rounding error moves every later edge, and a millionth of a
        loud frame leaking into a silent one is seen after the logarithm.

    >>> rescale(torch.tensor([[0.1, 0.1, 0.9, 0.1]]), 2).float()
    tensor([[0.3333, 0.3333, 1.0000, 0.3333]])
    """
    scores = scores.double()
    real = torch.ones_like(scores) if mask is None else mask.double()
    target = output_frames if mask is None else shares(real, output_frames)
    scores = scores * real
    scaled = scores / scores.sum(1, keepdim=True).clamp_min(TINY) * target
    scaled = scaled / scaled.amax(1, keepdim=True).clamp_min(1.0)
    room = (1.0 - scaled) * real
    missing = target - scaled.sum(1, keepdim=True)
    # There is no room only where every frame is full, and then nothing is missing.
    return scaled + room * (missing / room.sum(1, keepdim=True).clamp_min(TINY)).clamp(0.0, 1.0)


def shares(real: Tensor, output_frames: int) -> Tensor:
    """Rows each clip of a batch fills, [B, 1]: t for a clip without padding, else t * T_clip / T.

    Args:
        real: [B, T], 1 where a frame holds sound and 0 where it is padding. output_frames: t.

    >>> shares(torch.tensor([[1., 1., 1., 1.], [1., 1., 0., 0.]]), 2).flatten()
    tensor([2., 1.])
    """
    held = real.sum(1, keepdim=True)
    return torch.minimum((held * (output_frames / real.shape[1])).round().clamp_min(1.0), held)
