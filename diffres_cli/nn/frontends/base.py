"""What every front end is: waveform [B, N] -> [B, F, T] that grows with the sound, and its logarithm."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from diffres_cli.checkpoint.frontend import MelConfig


class FrontEnd(nn.Module):
    """Base of all front ends: pads, then leaves the analysis to `analyse`.

    Frame i is centred on sample i * hop, so that T is `config.frames(N)` for every kind. Values are
    not negative, and DiffRes merges them as they are; `log` comes after.
    """

    def __init__(self, config: MelConfig) -> None:
        super().__init__()
        self.config = config

    @property
    def bins(self) -> int:
        """F: how many filters or bins a frame has."""
        return self.config.mel_bins

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveform [B, N] at `config.sample_rate` -> [B, F, T]."""
        # Half precision, which mixed-precision training would choose here, drowns the quiet bins.
        with torch.autocast(waveform.device.type, enabled=False):
            return self.analyse(self.prepared(waveform))

    def analyse(self, signal: Tensor) -> Tensor:
        """Prepared signal [B, N] -> [B, F, N // hop + 1]."""
        raise NotImplementedError

    def log(self, values: Tensor) -> Tensor:
        """Values [B, F, T] of `forward`, merged or not -> what the networks see, same shape."""
        config = self.config
        return ((values + config.log_offset).log() + config.log_shift) / config.log_scale

    def prepared(self, waveform: Tensor) -> Tensor:
        """Waveform [B, N] -> padded to `minimum_samples` and pre-emphasised (then one sample shorter)."""
        # sym_max keeps the padding a function of the shape, so that one exported graph takes any
        # length, and narrow, unlike a slice, keeps the length known to the exporter.
        missing = torch.sym_max(self.config.minimum_samples - waveform.shape[1], 0)  # type: ignore[no-untyped-call]
        waveform = pad(waveform, (0, missing))
        if not self.config.pre_emphasis:
            return waveform
        length = waveform.shape[1] - 1
        return waveform.narrow(1, 1, length) - self.config.pre_emphasis * waveform.narrow(1, 0, length)
