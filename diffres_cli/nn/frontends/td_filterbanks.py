"""Time-domain filterbanks (Zeghidour et al. 2018, arXiv 1711.01161): every tap of the filters is learned.

A filter has a real and an imaginary part of `window` taps: 51,328 parameters at 64 filters of 401
samples, the published 51 k (51,200 of 400).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from diffres_cli.checkpoint.frontend import MelConfig
from diffres_cli.nn.frontends.base import FrontEnd
from diffres_cli.nn.frontends.filters import gabor, gabor_start, pool, respond, squared_modulus, taps


class TimeDomainFilterbanks(FrontEnd):
    """Filters that start as Gabors, squared modulus, a fixed squared Hann window, log: [B, N] -> [B, F, T].

    At the start each filter has unit energy, as leaf-audio's have.

    >>> from diffres_cli.checkpoint.frontend import LEARNED
    >>> sum(parameter.numel() for parameter in TimeDomainFilterbanks(LEARNED).parameters())
    32080
    """

    weights: Tensor

    def __init__(self, config: MelConfig) -> None:
        super().__init__(config)
        centres, widths = (torch.from_numpy(start) for start in gabor_start(config))
        real, imaginary = gabor(centres, widths, taps(config.window).double()).chunk(2)
        energy = (real * real + imaginary * imaginary).sum(1, keepdim=True)
        self.kernels = nn.Parameter((torch.cat([real, imaginary]) / energy.sqrt().repeat(2, 1)).float())
        window = np.hanning(config.window | 1)[: config.window] ** 2  # of an even window, tap N / 2 is 1
        weights = torch.from_numpy(window).float().expand(config.mel_bins, -1)
        self.register_buffer("weights", weights.clone(), persistent=False)

    def analyse(self, signal: Tensor) -> Tensor:
        """Prepared signal [B, N] -> pooled power [B, F, N // hop + 1]."""
        return pool(squared_modulus(respond(signal, self.kernels)), self.weights, self.config.hop)
