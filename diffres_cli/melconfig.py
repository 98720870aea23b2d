"""A mel front end in numbers, without the code that runs it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffres_cli.prediction import Floats


@dataclass(frozen=True)
class MelConfig:
    """A mel front end in numbers.

    `sample_rate`, `low` and `high` are in Hz; `window`, `hop`, `fft` and `minimum_samples` in samples.
    A waveform shorter than `minimum_samples` is zero-padded at its end. `pre_emphasis` is the
    coefficient a of y[n] = x[n+1] - a x[n], 0.0 for none. The Hann window is `periodic` or symmetric.
    The classifier sees (ln(power + log_offset) + log_shift) / log_scale.
    """

    sample_rate: int
    window: int
    hop: int
    fft: int
    mel_bins: int
    low: float
    high: float
    pre_emphasis: float
    periodic: bool
    minimum_samples: int
    log_offset: float = 1e-5
    log_shift: float = 4.5
    log_scale: float = 5.0

    @property
    def frame_rate(self) -> float:
        """Input frames per second (fps), before DiffRes."""
        return self.sample_rate / self.hop

    def frames(self, samples: int) -> int:
        """Input frames T of a waveform of that many samples.

        >>> AUDIOSET_SMALL.frames(320_000), PAPER.frames(160_000)
        (1000, 1001)
        """
        padded = max(samples, self.minimum_samples)
        return (padded - bool(self.pre_emphasis)) // self.hop + 1

    @property
    def mel_frequencies(self) -> Floats:
        """Centre of each mel bin in Hz, [F]: equally spaced on Kaldi's scale 1127 ln(1 + f / 700)."""
        low, high = 1127 * np.log1p(np.array([self.low, self.high]) / 700)
        centres = np.linspace(low, high, self.mel_bins + 2)[1:-1]
        return (700 * np.expm1(centres / 1127)).astype(np.float32)


AUDIOSET_SMALL = MelConfig(
    sample_rate=32_000, window=800, hop=320, fft=1024, mel_bins=128, low=0.0, high=15_000.0,
    pre_emphasis=0.97, periodic=False, minimum_samples=16_000,
)  # fmt: skip
"""The shipped model's front end (EfficientAT's): 25 ms windows every 10 ms at 32 kHz."""

PAPER = MelConfig(
    sample_rate=16_000, window=400, hop=160, fft=1024, mel_bins=128, low=0.0, high=8_000.0,
    pre_emphasis=0.0, periodic=True, minimum_samples=8_000,
)  # fmt: skip
"""The DiffRes paper's front end (Section 4.1): 25 ms windows every 10 ms at 16 kHz.

1,024 points rather than 512: with fewer, some of the 128 lowest filters would hold no bin at all.
"""
