"""Signal -> power spectrum of windows centred every hop, or wherever a larger hop wants them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from diffres_cli.checkpoint.frontend import MelConfig
from diffres_cli.nn.frontends.base import FrontEnd
from diffres_cli.nn.frontends.dft import PowerSpectrum, radices


class WindowedSpectrum(FrontEnd):
    """A front end that weighs the bins of a Hann-windowed power spectrum."""

    def __init__(self, config: MelConfig) -> None:
        super().__init__(config)
        window = np.hanning(config.window + config.periodic)[: config.window]
        self.spectrum = PowerSpectrum(window, radices(config.fft))

    def analyse(self, signal: Tensor) -> Tensor:
        """Prepared signal [B, N], N > window // 2 -> [B, F, N // hop + 1]."""
        return self.weigh(self.spectrum(self._frames(signal)))

    def at(self, waveform: Tensor, output_frames: int) -> Tensor:
        """The spectrogram at a larger hop: waveform [B, N] -> [B, F, t], one whole window per output frame.

        Output frame i's window is centred on sample i * T / t * hop, rounded: at t = T these are the
        frames of `forward`. Only the t windows asked for are computed.
        """
        with torch.autocast(waveform.device.type, enabled=False):
            return self.weigh(self.spectrum(self._frames_at(self.prepared(waveform), output_frames)))

    def weigh(self, power: Tensor) -> Tensor:
        """Power [B, groups, bands, T], ordered as `PowerSpectrum` has it -> [B, F, T]."""
        raise NotImplementedError

    def _frames(self, signal: Tensor) -> Tensor:
        """Prepared signal [B, N] -> frames [B, samples, T], frame i centred on sample i * hop."""
        hop, samples = self.config.hop, self.spectrum.samples
        frames = signal.shape[1] // hop + 1
        # A frame spans `spread` blocks of one hop: concatenating shifted blocks needs no gather.
        spread = -(-samples // hop)
        count = frames + spread - 1
        padded = self._padded(signal, spread * hop)
        blocks = padded.narrow(1, 0, count * hop).reshape(-1, count, hop).transpose(1, 2)
        shifted = [blocks[:, : samples - i * hop].narrow(2, i, frames) for i in range(spread)]
        return torch.cat(shifted, dim=1)

    def _frames_at(self, signal: Tensor, output_frames: int) -> Tensor:
        """Prepared signal [B, N] -> frames [B, samples, t]."""
        hop, samples, end = self.config.hop, self.spectrum.samples, signal.shape[1]
        row = torch.arange(output_frames, device=signal.device)
        centre = (2 * row * ((end // hop + 1) * hop) + output_frames) // (2 * output_frames)
        sample = torch.arange(samples, device=signal.device)
        places = centre.clamp_max(end) + sample.unsqueeze(1)
        return self._padded(signal, samples)[:, places]

    def _padded(self, signal: Tensor, beyond: int) -> Tensor:
        """The signal with half a window mirrored at both ends, and then zeros that only zeros weigh."""
        left, right = mirrored(signal, self.config.window // 2)
        return torch.cat([left, signal, right, signal.new_zeros(signal.shape[0], beyond)], dim=1)


def mirrored(signal: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """What lies left and right of a mirrored signal [B, N], the end samples not repeated: [B, width] each."""
    left, right = signal.narrow(1, 1, width), signal.narrow(1, signal.shape[1] - 1 - width, width)
    return left.flip(1), right.flip(1)
