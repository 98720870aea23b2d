"""What is done to a batch before it reaches the network: shift, mixup, noise, SpecAugment.

It is done on the batch's device. What is random about a clip, but for the samples of noise, is drawn by NumPy
for the whole batch and cut to this process's part: one process or several, CPU or GPU, the same clip gets the
same treatment.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffres_cli.recipes.recipe import Augment

_QUIETEST_NOISE = 30.0  # dB under the clip
_FLAT_BELOW = 1 / 160  # of the band: 100 Hz at 32 kHz. Brown noise would otherwise be inaudible rumble


def mixup_partners(count: int, device: torch.device) -> Tensor:
    """Each clip's neighbour, [count]: 1, 0, 3, 2, ...; the last of an odd number stays alone.

    Clips come in random order, so a neighbour is a random clip, and it is one of the same process.
    """
    partners = torch.arange(count, device=device) ^ 1
    return torch.where(partners < count, partners, torch.arange(count, device=device))


def mixup_weights(random: np.random.Generator, count: int, augment: Augment) -> NDArray[np.float32]:
    """What each clip keeps of itself, [count] in 0.5 to 1; 1 where it is not mixed."""
    shares = random.beta(augment.mixup_alpha, augment.mixup_alpha, count)
    shares = np.maximum(shares, 1 - shares)  # the label a clip was drawn for stays the larger part
    return np.where(random.random(count) < augment.mixup, shares, 1.0).astype(np.float32)


def mix(values: Tensor, shares: Tensor) -> Tensor:
    """Each row with its neighbour: [B, ...], shares [B] -> [B, ...]."""
    shares = shares.view(-1, *[1] * (values.dim() - 1))
    return shares * values + (1 - shares) * values[mixup_partners(len(values), values.device)]


def mask_edges(random: np.random.Generator, count: int, augment: Augment) -> NDArray[np.float32]:
    """SpecAugment's masks, one band of mel bins and one stretch of frames a clip.

    Returns:
        [count, 4]: where the band begins and ends, and where the stretch does, as shares in 0 to 1.
        Widths are uniform up to the largest share, and lie anywhere they fit.
    """
    widths = random.random((count, 2)) * np.array([augment.frequency_mask, augment.time_mask])
    starts = random.random((count, 2)) * (1 - widths)
    return np.stack([starts, starts + widths], 2).reshape(count, 4).astype(np.float32)


def mask_spectrogram(mel: Tensor, edges: Tensor) -> Tensor:
    """Mel power [B, F, T] with what lies between `edges` [B, 4] silent."""
    bins, frames = _covered(edges[:, :2], mel.shape[1]), _covered(edges[:, 2:], mel.shape[2])
    return mel.masked_fill(bins.unsqueeze(2) | frames.unsqueeze(1), 0.0)


def shift_waveform(waveform: Tensor, shifts: Tensor) -> Tensor:
    """Each clip [B, N] later by shifts [B] samples, earlier where negative; silence comes in."""
    count = waveform.shape[1]
    source = torch.arange(count, device=waveform.device) - shifts.unsqueeze(1)
    inside = (source >= 0) & (source < count)
    return waveform.gather(1, source.clamp(0, count - 1)) * inside


def gains(random: np.random.Generator, count: int, augment: Augment) -> NDArray[np.float32]:
    """What each clip is multiplied by, [count]."""
    return (10 ** (random.uniform(-augment.gain, augment.gain, count) / 20)).astype(np.float32)


def noise_floors(random: np.random.Generator, count: int, augment: Augment) -> NDArray[np.float32]:
    """The noise each clip gets, [count, 2]: its RMS as a share of the clip's, and its tilt.

    The power of noise with tilt k falls with the frequency's k-th power: 0 is white, 1 pink, 2 brown.
    """
    shares = 10 ** (random.uniform(-_QUIETEST_NOISE, 0, count) / 20) * (random.random(count) < augment.noise)
    return np.stack([shares, random.uniform(0, 2, count)], 1).astype(np.float32)


def add_noise(waveform: Tensor, floors: Tensor) -> Tensor:
    """Clips [B, N] with the noise that floors [B, 2] describe; torch draws it."""
    spectrum = torch.fft.rfft(torch.randn_like(waveform))
    bins = torch.arange(spectrum.shape[1], device=waveform.device, dtype=waveform.dtype)
    frequency = bins.clamp_min(_FLAT_BELOW * len(bins))
    noise: Tensor = torch.fft.irfft(spectrum * frequency ** (-floors[:, 1:] / 2), waveform.shape[1])
    return waveform + floors[:, :1] * noise * (_rms(waveform) / _rms(noise))


def _rms(waveform: Tensor) -> Tensor:
    mean: Tensor = waveform.square().mean(1, keepdim=True)
    return mean.sqrt()


def _covered(edges: Tensor, size: int) -> Tensor:
    """Which of `size` bins or frames have their centre between edges [B, 2], [B, size]."""
    centres = (torch.arange(size, device=edges.device) + 0.5) / size
    return (centres >= edges[:, :1]) & (centres < edges[:, 1:])
