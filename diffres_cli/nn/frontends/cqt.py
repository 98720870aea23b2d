"""Constant Q in the time domain, after nnAudio's CQT1992v2: one windowed wave for each bin.

A bin's window holds the same number of periods at every pitch, Q = 1 / (2^(1 / bins per octave) - 1),
so low bins are slow and high bins are fast. Waves have unit area and are scaled by the root of their
length (nnAudio's and librosa's scaling); the value is the power, which adds up where frames merge.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import conv1d

from diffres_cli.checkpoint.frontend import MelConfig, wave_lengths
from diffres_cli.nn.frontends.base import FrontEnd
from diffres_cli.nn.frontends.filters import squared_modulus
from diffres_cli.nn.frontends.windowed import mirrored


class ConstantQ(FrontEnd):
    """Power at pitches of equal ratio: [B, N] -> [B, F, T].

    Bins are taken together with those up to an octave shorter, so that a short window costs little.

    >>> from diffres_cli.checkpoint.frontend import CQT
    >>> ConstantQ(CQT)(torch.zeros(1, 16_000)).shape
    torch.Size([1, 84, 101])
    """

    def __init__(self, config: MelConfig) -> None:
        super().__init__(config)
        lengths = wave_lengths(config)
        octave = np.floor(np.log2(lengths[0] / lengths)).astype(int)
        self.groups = [np.flatnonzero(octave == each) for each in np.unique(octave)]
        for i, bins in enumerate(self.groups):
            rows = waves(config, bins)
            kernels = torch.from_numpy(np.concatenate([rows.real, rows.imag])).float()
            self.register_buffer(f"kernels{i}", kernels.unsqueeze(1), persistent=False)

    def analyse(self, signal: Tensor) -> Tensor:
        """Prepared signal [B, N] -> power [B, F, N // hop + 1]."""
        left, right = mirrored(signal, self.config.window // 2)
        padded = torch.cat([left, signal, right], dim=1).unsqueeze(1)
        last = signal.shape[1] // self.config.hop * self.config.hop
        groups = range(len(self.groups))
        return torch.cat([self._power(self.get_buffer(f"kernels{i}"), padded, last) for i in groups], dim=1)

    def _power(self, kernels: Tensor, padded: Tensor, last: int) -> Tensor:
        """One group's bins, centred on every hop from sample 0 to sample `last`."""
        size = kernels.shape[2]
        span = padded.narrow(2, self.config.window // 2 - size // 2, last + size)
        return squared_modulus(conv1d(span, kernels, stride=self.config.hop))


def waves(config: MelConfig, bins: NDArray[np.int64]) -> NDArray[np.complex128]:
    """Hann-windowed waves of some bins around tap size // 2, [bins, size], size even."""
    lengths, pitches = wave_lengths(config)[bins], config.pitches[bins]
    middle = (int(lengths.max()) + 1) // 2
    rows = np.zeros((len(bins), 2 * middle), dtype=np.complex128)
    for row, length, pitch in zip(rows, lengths.tolist(), pitches, strict=True):
        time = np.arange(length) - (length + 1) // 2  # an odd window starts a sample early, as nnAudio's
        window = np.hanning(length + 1)[:length]
        wave = window * np.exp(2j * np.pi * pitch / config.sample_rate * time)
        row[middle + time] = np.sqrt(length) * wave / window.sum()
    return rows
