"""Waveform [B, N] -> mel power [B, F, T]: windowed frames, power spectrum, Kaldi's mel filters.

Every constant is a non-persistent buffer: a checkpoint holds no mel weights, and the exported graph
carries them.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torchaudio.compliance.kaldi import get_mel_banks

from diffres_cli.melconfig import MelConfig


class MelSpectrogram(nn.Module):
    """Mel power spectrogram, differentiable, exportable with dynamic batch and length."""

    kernels: Tensor
    filters: Tensor

    def __init__(self, config: MelConfig) -> None:
        super().__init__()
        self.config = config
        window = np.hanning(config.window + config.periodic)[: config.window]
        phase = 2 * np.pi / config.fft * np.outer(np.arange(config.window), np.arange(config.fft // 2))
        kernels = window[:, None] * np.concatenate([np.cos(phase), np.sin(phase)], axis=1)
        self.register_buffer("kernels", torch.from_numpy(kernels).float(), persistent=False)
        self.register_buffer("filters", _mel_banks(config), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveform [B, N], N >= 2 samples at `config.sample_rate` -> mel power [B, F, T]."""
        real, imaginary = (self._frames(waveform) @ self.kernels).chunk(2, dim=-1)
        power = real.square() + imaginary.square()
        return self.filters @ power.transpose(1, 2)

    def log(self, power: Tensor) -> Tensor:
        """Mel power of any shape -> the logarithm the networks see, same shape."""
        config = self.config
        return ((power + config.log_offset).log() + config.log_shift) / config.log_scale

    def _frames(self, waveform: Tensor) -> Tensor:
        """Waveform [B, N] -> frames [B, T, window], frame i centred on sample i * hop."""
        window, hop = self.config.window, self.config.hop
        signal = self._emphasised(waveform)
        batch, frames = signal.shape[0], signal.shape[1] // hop + 1
        # A frame spans `spread` blocks of one hop: concatenating shifted blocks needs no gather.
        spread = -(-window // hop)
        signal = torch.cat([_reflected(signal, window // 2), signal.new_zeros(batch, spread * hop)], dim=1)
        count = frames + spread - 1
        blocks = signal[:, : count * hop].reshape(batch, count, hop)
        return torch.cat([blocks[:, i : i + frames] for i in range(spread)], dim=2)[:, :, :window]

    def _emphasised(self, waveform: Tensor) -> Tensor:
        """Waveform [B, N] -> padded to `minimum_samples` and pre-emphasised (then one sample shorter)."""
        # sym_max keeps the padding a function of the shape, so that one exported graph takes any length.
        missing = torch.sym_max(self.config.minimum_samples - waveform.shape[1], 0)  # type: ignore[no-untyped-call]
        waveform = pad(waveform, (0, missing))
        if not self.config.pre_emphasis:
            return waveform
        return waveform[:, 1:] - self.config.pre_emphasis * waveform[:, :-1]


def _reflected(signal: Tensor, width: int) -> Tensor:
    """Signal [B, N] with `width` mirrored samples on each side, the end samples not repeated."""
    left, right = signal[:, 1 : width + 1], signal[:, -width - 1 : -1]
    return torch.cat([left.flip(1), signal, right.flip(1)], dim=1)


def _mel_banks(config: MelConfig) -> Tensor:
    """Kaldi's triangular mel filters without normalisation, [F, fft / 2]: the Nyquist bin is left out."""
    vocal_tract_warp = (100.0, -500.0, 1.0)  # a factor of 1: none
    filters: Tensor = get_mel_banks(
        config.mel_bins, config.fft, float(config.sample_rate), config.low, config.high, *vocal_tract_warp
    )[0]
    return filters
