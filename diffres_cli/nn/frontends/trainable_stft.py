"""A trainable Fourier basis, after nnAudio's STFT(trainable=True) (Cheuk et al. 2020, arXiv 1912.12055).

It starts as the Hann-windowed DFT of `stft.py`, written as one convolution, and every tap is learned:
2 x 256 x 400 parameters for its usual numbers.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d

from diffres_cli.checkpoint.frontend import MelConfig
from diffres_cli.nn.frontends.base import FrontEnd
from diffres_cli.nn.frontends.filters import squared_modulus
from diffres_cli.nn.frontends.windowed import mirrored


class TrainableSTFT(FrontEnd):
    """Power of learned waves, at first the DFT's: [B, N] -> [B, fft / 2, T].

    >>> from diffres_cli.checkpoint.frontend import STFT
    >>> TrainableSTFT(STFT)(torch.zeros(1, 16_000)).shape
    torch.Size([1, 256, 101])
    """

    def __init__(self, config: MelConfig) -> None:
        super().__init__(config)
        self.kernels = nn.Parameter(fourier_kernels(config))

    def analyse(self, signal: Tensor) -> Tensor:
        """Prepared signal [B, N], N > window / 2 + 1 -> power [B, F, N // hop + 1]."""
        hop, window = self.config.hop, self.config.window
        width = (window + 1) // 2
        left, right = mirrored(signal, width)
        padded = torch.cat([left, signal, right], dim=1).unsqueeze(1)
        span = padded.narrow(2, width - window // 2, signal.shape[1] // hop * hop + window)
        return squared_modulus(conv1d(span, self.kernels.unsqueeze(1), stride=hop))


def fourier_kernels(config: MelConfig) -> Tensor:
    """The Hann window times cosines and sines of each bin, [2 F, window], cosines first."""
    time = np.arange(config.window)
    window = np.hanning(config.window + config.periodic)[: config.window]
    phase = 2 * np.pi / config.fft * np.outer(np.arange(config.mel_bins), time)
    return torch.from_numpy(np.concatenate([np.cos(phase), np.sin(phase)]) * window).float()
