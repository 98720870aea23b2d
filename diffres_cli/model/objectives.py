"""What training asks of the importance beside the labels: guide loss (Eq. 7) and activeness (Eq. 4)."""

from __future__ import annotations

import torch
from torch import Tensor


def empty_frames(mel: Tensor, threshold: float = 1e-4) -> Tensor:
    """Frames that hold no sound: root of the mean mel power below `threshold` (the paper's epsilon).

    Shape: [B, F, T] linear power -> [B, T] bool.
    """
    return mel.mean(1).sqrt() < threshold


def guide_loss(
    importance: Tensor, mel: Tensor, slots: int, tolerance: float = 0.5, mask: Tensor | None = None
) -> Tensor:
    """Keep importance out of empty frames (Eq. 7): the mean of max(s_j / (1 - delta) - lambda, 0).

    Two departures from the printed equation. Its minus sign is a misprint: the loss would reward
    importance in silence. It divides by delta while the authors' code compares with
    (1 - delta) lambda; 1 - delta = t / T, the mean importance, is defined at full rate too.

    Args:
        importance: [B, T]. mel: [B, F, T], linear power. slots: t. tolerance: lambda, the share of
            the mean importance an empty frame may keep. mask: [B, T], True where a frame is not padding;
            padding has no importance, and counting it would thin the loss out.

    Returns:
        Scalar over all empty frames of the batch; 0 without any.
    """
    silent = empty_frames(mel) if mask is None else empty_frames(mel) & mask
    empty = silent.to(importance.dtype)
    mean_importance = slots / importance.shape[1]
    excess = (importance / mean_importance - tolerance).clamp_min(0.0)
    return (excess * empty).sum() / empty.sum().clamp_min(1.0)


def activeness(importance: Tensor, mel: Tensor, slots: int) -> Tensor:
    """How unevenly importance is spread over the frames that hold sound (Eq. 4): std(s) / delta, [B].

    0 means DiffRes has become average pooling. 0 at full rate, where every s is 1, and for a clip
    with fewer than two frames of sound.
    """
    real = (~empty_frames(mel)).to(importance.dtype)
    count = real.sum(1)
    mean = (importance * real).sum(1) / count.clamp_min(1.0)
    variance = ((importance - mean.unsqueeze(1)) ** 2 * real).sum(1) / (count - 1.0).clamp_min(1.0)
    delta = 1.0 - slots / importance.shape[1]
    return variance.sqrt() / delta if delta > 0 else torch.zeros_like(mean)
