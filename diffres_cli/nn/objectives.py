"""What training asks of the importance beside the labels: guide loss (Eq. 7) and activeness (Eq. 4)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool1d, pad

from diffres_cli.checkpoint.frontend import MelConfig


def frame_rms(waveform: Tensor, config: MelConfig) -> Tensor:
    """RMS of the samples in each frame's window about their mean, so that a constant offset is silence.

    Taken from the waveform, it means the same for every front end: full scale is 1.

    Shape: [B, N] at the config's sample rate -> [B, T].
    """
    frames, before = config.frames(waveform.shape[1]), config.window // 2
    missing = (frames - 1) * config.hop + config.window - before - waveform.shape[1]
    # In float32 the difference of two squares would drown what lies 60 dB under an offset.
    padded = pad(waveform.double().unsqueeze(1), (before, max(missing, 0)), mode="replicate")
    mean, power = (avg_pool1d(each, config.window, config.hop) for each in (padded, padded.square()))
    return (power - mean.square()).clamp_min(0.0).sqrt()[:, 0, :frames].float()


def empty_frames(rms: Tensor, threshold: float = 1e-4, below: float = 50.0) -> Tensor:
    """Frames that hold no sound, [B, T] bool.

    Args:
        rms: [B, T], see `frame_rms`. threshold: the paper's epsilon; less is empty in any clip.
        below: dB under the clip's loudest frame from which a frame is empty too; 0: `threshold` alone.
    """
    empty = rms < threshold
    if below:
        empty = empty | (rms < rms.amax(1, keepdim=True) * 10 ** (-below / 20))
    return empty


def guide_loss(importance: Tensor, empty: Tensor, output_frames: int, tolerance: float = 0.5) -> Tensor:
    """Keep importance out of empty frames (Eq. 7): the mean of max(s_j / (1 - delta) - lambda, 0).

    Two departures from the printed equation. Its minus sign is a misprint: the loss would reward
    importance in silence. It divides by delta while the authors' code compares with
    (1 - delta) lambda; 1 - delta = t / T, the mean importance, is defined at full rate too.

    Args:
        importance: [B, T]. empty: [B, T] bool, see `empty_frames`, without the frames that are padding: they
            have no importance, and would thin the loss out. output_frames: t.
        tolerance: lambda, the share of the mean importance an empty frame may keep.

    Returns:
        Scalar over all empty frames of the batch; 0 without any.
    """
    counted = empty.to(importance.dtype)
    mean_importance = output_frames / importance.shape[1]
    excess = (importance / mean_importance - tolerance).clamp_min(0.0)
    return (excess * counted).sum() / counted.sum().clamp_min(1.0)


def activeness(importance: Tensor, empty: Tensor, output_frames: int) -> Tensor:
    """How unevenly importance is spread over the frames that hold sound (Eq. 4): std(s) / delta, [B].

    Shape: importance [B, T], empty [B, T] bool; padding counts as empty.

    0 means DiffRes has become average pooling. 0 at full rate, where every s is 1, and for a clip
    with fewer than two frames of sound.
    """
    real = (~empty).to(importance.dtype)
    count = real.sum(1)
    mean = (importance * real).sum(1) / count.clamp_min(1.0)
    variance = ((importance - mean.unsqueeze(1)) ** 2 * real).sum(1) / (count - 1.0).clamp_min(1.0)
    delta = 1.0 - output_frames / importance.shape[1]
    return variance.sqrt() / delta if delta > 0 else torch.zeros_like(mean)
