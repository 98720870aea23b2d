"""The linear power spectrum: every DFT bin below Nyquist."""

from __future__ import annotations

import torch
from torch import Tensor

from diffres_cli.checkpoint.frontend import MelConfig
from diffres_cli.nn.frontends.windowed import WindowedSpectrum


class LinearSpectrogram(WindowedSpectrum):
    """Power of a Hann-windowed DFT: [B, N] -> [B, fft / 2, T]; bin k is k * sample_rate / fft Hz.

    >>> from diffres_cli.checkpoint.frontend import STFT
    >>> LinearSpectrogram(STFT)(torch.zeros(1, 16_000)).shape
    torch.Size([1, 256, 101])
    """

    order: Tensor

    def __init__(self, config: MelConfig) -> None:
        super().__init__(config)
        order = torch.from_numpy(self.spectrum.bins.flatten()).argsort()
        self.register_buffer("order", order, persistent=False)

    def weigh(self, power: Tensor) -> Tensor:
        """Power [B, groups, bands, T] -> the same by ascending frequency, [B, F, T]."""
        return power.flatten(1, 2).index_select(1, self.order)
