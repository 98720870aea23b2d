"""SincNet (Ravanelli and Bengio 2018, arXiv 1808.00158) as a front end, as leaf-audio compares it.

Four parameters a filter: a band's low cut-off and width, and the layer norm's scale and shift. That
makes the published 256 at 64 filters. Cut-offs are in Hz, as in both: a step of Adam moves one by
about the learning rate, which is why SincNet hardly leaves the mel scale it starts from.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from diffres_cli.checkpoint.frontend import SINC_MIN_HZ, MelConfig, sinc_bands
from diffres_cli.nn.frontends.base import FrontEnd
from diffres_cli.nn.frontends.filters import largest, respond, taps

LEAST = 1e-5
EPSILON = 1e-3


class SincNet(FrontEnd):
    """Hamming-windowed band-pass filters, max pooling, layer norm over the filters: [B, N] -> [B, F, T].

    Values are the largest response around a frame's centre, an amplitude. leaf-audio's leaky ReLU
    before the pooling keeps the order of numbers, and its floor of 1e-5 after it undoes what the
    ReLU changes: it is left out. The layer norm looks at one frame at a time: it is the `log`.

    >>> from diffres_cli.checkpoint.frontend import SINCNET
    >>> sum(parameter.numel() for parameter in SincNet(SINCNET).parameters())
    160
    """

    time: Tensor
    hamming: Tensor

    def __init__(self, config: MelConfig) -> None:
        super().__init__(config)
        low, band = torch.from_numpy(sinc_bands(config) - SINC_MIN_HZ).float().T.contiguous()
        self.low = nn.Parameter(low)
        self.band = nn.Parameter(band)
        self.scale = nn.Parameter(torch.ones(config.mel_bins, 1))
        self.shift = nn.Parameter(torch.zeros(config.mel_bins, 1))
        self.register_buffer("time", taps(config.window) / config.sample_rate, persistent=False)
        hamming = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(config.window) / config.window)
        self.register_buffer("hamming", torch.from_numpy(hamming).float(), persistent=False)

    def analyse(self, signal: Tensor) -> Tensor:
        """Prepared signal [B, N] -> largest responses [B, F, N // hop + 1], at least 1e-5."""
        response = respond(signal, self.kernels())
        return largest(response, self.config.window, self.config.hop).clamp_min(LEAST)

    def log(self, values: Tensor) -> Tensor:
        """Each frame of [B, F, T] to mean 0 and variance 1 over its filters, scaled and shifted."""
        centred = values - values.mean(-2, keepdim=True)
        variance = (centred * centred).mean(-2, keepdim=True)
        return centred / (variance + EPSILON).sqrt() * self.scale + self.shift

    def kernels(self) -> Tensor:
        """The band-pass filters, [F, window], 1 at their middle.

        The difference of two low-pass filters, 2 h sinc(2 h t) - 2 l sinc(2 l t), over its value at
        0, is sinc(b t) cos(2 pi c t) with b = h - l, c = (h + l) / 2 and sinc(x) = sin(pi x) / (pi x).
        """
        low = SINC_MIN_HZ + self.low.abs()
        high = (low + SINC_MIN_HZ + self.band.abs()).clamp_max(self.config.sample_rate / 2)
        band, centre = (high - low).unsqueeze(1), ((high + low) / 2).unsqueeze(1)
        wave: Tensor = (2 * torch.pi * centre * self.time).cos()
        return torch.sinc(band * self.time) * wave * self.hamming
