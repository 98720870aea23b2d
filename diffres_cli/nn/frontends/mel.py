"""Waveform [B, N] -> mel power [B, F, T]: windowed frames, power spectrum, Kaldi's mel filters.

Every constant is a non-persistent buffer: a checkpoint holds no mel weights, and the exported graph
carries them. `bench/frontend.py` measures this form against the others.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchaudio.compliance.kaldi import get_mel_banks

from diffres_cli.checkpoint.frontend import MelConfig
from diffres_cli.nn.frontends.windowed import WindowedSpectrum


class MelSpectrogram(WindowedSpectrum):
    """Mel power spectrogram, differentiable, exportable with dynamic batch and length.

    >>> from diffres_cli.checkpoint.frontend import AUDIOSET_SMALL
    >>> MelSpectrogram(AUDIOSET_SMALL)(torch.zeros(2, 32000)).shape
    torch.Size([2, 128, 100])
    """

    def __init__(self, config: MelConfig) -> None:
        super().__init__(config)
        self.groups = filter_groups(mel_filters(config).numpy(), self.spectrum.bins)
        for i, group in enumerate(self.groups):
            self.register_buffer(f"filters{i}", torch.from_numpy(group.weights), persistent=False)

    def weigh(self, power: Tensor) -> Tensor:
        """Power [B, groups, bands, T] -> mel power [B, F, T]."""
        return torch.cat([self._mel(i, power) for i in range(len(self.groups))], dim=1)

    def _mel(self, i: int, power: Tensor) -> Tensor:
        """Power [B, groups, bands, T] -> the mel bins of filter group i, [B, bins, T]."""
        group = self.groups[i]
        bands = power[:, :, group.first : group.last].reshape(power.shape[0], -1, power.shape[3])
        return self.get_buffer(f"filters{i}") @ bands


class FilterGroup(NamedTuple):
    """Neighbouring mel filters that end in the same band of the spectrum, and the bands they span.

    Shape:
        weights: [filters, groups * (last - first)], for the bins of bands `first` to `last`.
    """

    first: int
    last: int
    weights: NDArray[np.float32]


def mel_filters(config: MelConfig) -> Tensor:
    """Kaldi's triangular mel filters without normalisation, [F, fft / 2]: the Nyquist bin is left out."""
    vocal_tract_warp = (100.0, -500.0, 1.0)  # a factor of 1: none
    filters: Tensor = get_mel_banks(
        config.mel_bins, config.fft, float(config.sample_rate), config.low, config.high, *vocal_tract_warp
    )[0]
    return filters


def filter_groups(filters: NDArray[np.float32], bins: NDArray[np.int64]) -> list[FilterGroup]:
    """Filters are narrow: skipping the bands outside a group saves four multiplications in five."""
    inside = filters > 0
    first = inside.argmax(1) // len(bins)
    end = np.where(inside.any(1), filters.shape[1] - 1 - inside[:, ::-1].argmax(1), 0) // len(bins) + 1
    end = np.maximum.accumulate(end)  # an empty filter goes with the one before it
    groups = []
    for last in np.unique(end):
        chosen = end == last
        begin = int(first[chosen].min())
        groups.append(FilterGroup(begin, int(last), filters[chosen][:, bins[:, begin:last].flatten()]))
    return groups
