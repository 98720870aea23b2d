"""LEAF, a learnable front end (Zeghidour et al. 2021, arXiv 2101.08596), as its authors' leaf-audio has it.

Seven parameters a filter: a Gabor filter's centre and width, a pooling window's width, and sPCEN's
four. That makes the published 448 at 64 filters, the AudioSet setting; at 40 filters it is 280.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from diffres_cli.checkpoint.frontend import MelConfig
from diffres_cli.nn.frontends.base import FrontEnd
from diffres_cli.nn.frontends.filters import (
    FWHM,
    gabor,
    gabor_start,
    pool,
    respond,
    squared_modulus,
    taps,
)
from diffres_cli.nn.frontends.pcen import SmoothedPCEN

LEAST_ENERGY = 1e-5


class Leaf(FrontEnd):
    """Gabor filters, squared modulus, Gaussian pooling, sPCEN: [B, N] -> [B, F, T].

    sPCEN follows a channel over time, so it comes before frames are merged and is part of `forward`;
    there is no logarithm.

    >>> from diffres_cli.checkpoint.frontend import LEARNED
    >>> sum(parameter.numel() for parameter in Leaf(LEARNED).parameters())
    280
    """

    time: Tensor
    pool_time: Tensor

    def __init__(self, config: MelConfig) -> None:
        super().__init__(config)
        centres, widths = (torch.from_numpy(start).float() for start in gabor_start(config))
        self.centres = nn.Parameter(centres)
        self.widths = nn.Parameter(widths)
        self.pooling = nn.Parameter(torch.full((config.mel_bins, 1), 0.4))
        self.pcen = SmoothedPCEN(config.mel_bins)
        self.register_buffer("time", taps(config.window), persistent=False)
        across = torch.linspace(-1.0, 1.0, config.window)
        self.register_buffer("pool_time", across, persistent=False)

    def analyse(self, signal: Tensor) -> Tensor:
        """Prepared signal [B, N] -> sPCEN's output [B, F, N // hop + 1]."""
        power = squared_modulus(respond(signal, self.kernels()))
        normalised: Tensor = self.pcen(pool(power, self.windows(), self.config.hop).clamp_min(LEAST_ENERGY))
        return normalised

    def log(self, values: Tensor) -> Tensor:
        """The values themselves: sPCEN has compressed them."""
        return values

    def kernels(self) -> Tensor:
        """The Gabor filters, [2 F, window], real rows first (Section 3.1.1)."""
        low, high = self.width_bounds
        if self.training:
            # As Keras's constraint does after each step: a parameter beyond a bound would have no
            # gradient to come back by.
            self.centres.data.clamp_(0.0, math.pi)
            self.widths.data.clamp_(low, high)
        return gabor(self.centres.clamp(0.0, math.pi), self.widths.clamp(low, high), self.time)

    def windows(self) -> Tensor:
        """The pooling windows, [F, window]: their width is in halves of the window (Section 3.2)."""
        width = self.pooling.clamp(2.0 / self.config.window, 0.5)
        return (-0.5 * (self.pool_time / width) ** 2).exp()

    @property
    def width_bounds(self) -> tuple[float, float]:
        """A response at least one bin of the window's DFT wide at half maximum, at most a quarter circle."""
        return FWHM / (math.pi / 2), FWHM / (2 * math.pi / self.config.window)
