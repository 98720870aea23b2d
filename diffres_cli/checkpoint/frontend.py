"""A front end in numbers, without the code that runs it: mel, learned filters, STFT, constant Q."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffres_cli.arrays import Floats
from diffres_cli.text import shortened

Range = tuple[type, float, float]
"""(int or float, minimum, maximum) of a number that is read from a file."""

_RANGES: dict[str, Range] = {
    "sample_rate": (int, 100, 1_000_000),
    "window": (int, 1, 65_536),
    "hop": (int, 1, 65_536),
    "fft": (int, 1, 65_536),
    "mel_bins": (int, 1, 4096),
    "low": (float, 0, 500_000),
    "high": (float, 0, 500_000),
    "pre_emphasis": (float, -1, 1),
    "minimum_samples": (int, 1, 60_000_000),
    "log_offset": (float, 1e-30, 1e6),
    "log_shift": (float, -1e6, 1e6),
    "log_scale": (float, 1e-6, 1e6),
}


MAX_FPS = 10_000
"""Frames per second. A window of as many samples as frames would take gigabytes."""


def out_of_range(values: Mapping[str, Any], ranges: Mapping[str, Range]) -> Iterator[str]:
    """A message for each of `values` that is no number of its kind or outside its range.

    >>> list(out_of_range({"hop": True, "low": 20, "high": 10.0}, _RANGES))
    ['hop is True, expected a whole number from 1 to 65536']
    """
    for name, value in values.items():
        if name not in ranges:
            continue
        kind, least, most = ranges[name]
        is_number = isinstance(value, (int, kind)) and not isinstance(value, bool)
        if not (is_number and least <= value <= most):
            number = "a whole number" if kind is int else "a number"
            yield f"{name} is {shortened(value)}, expected {number} from {least:g} to {most:.9g}"


@dataclass(frozen=True)
class MelConfig:
    """A front end in numbers. `parts.FRONT_ENDS` names the classes that read them.

    `sample_rate`, `low` and `high` are in Hz; `window`, `hop`, `fft` and `minimum_samples` in samples.
    `mel_bins` is the number of filters or bins of any kind.
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

    def faults(self) -> Iterator[str]:
        """A message for each number, read from a file, that no front end can have."""
        wrong = list(out_of_range(asdict(self), _RANGES))
        yield from wrong
        if not isinstance(self.periodic, bool):
            yield f"periodic is {shortened(self.periodic)}, must be true or false"
        if wrong:
            return
        if not self.low < self.high <= self.sample_rate / 2:
            yield f"low and high are {self.low:g} and {self.high:g} Hz, must rise and not pass half the rate"
        if self.minimum_samples > 60 * self.sample_rate:
            yield f"minimum_samples is {self.minimum_samples}, must be at most a minute"
        if self.frame_rate > MAX_FPS:
            yield f"hop is {self.hop}: {self.frame_rate:g} frames per second, at most {MAX_FPS} are read"

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

    def log(self, power: Floats) -> Floats:
        """Mel power of any shape -> the logarithm the networks see, same shape."""
        logarithm = np.log(power + np.float32(self.log_offset))
        seen: Floats = (logarithm + np.float32(self.log_shift)) / np.float32(self.log_scale)
        return seen

    @property
    def mel_frequencies(self) -> Floats:
        """Centre of each mel bin in Hz, [F]: equally spaced on Kaldi's scale 1127 ln(1 + f / 700)."""
        centres: Floats = self.mel_edges[1:-1].astype(np.float32)
        return centres

    @property
    def mel_edges(self) -> NDArray[np.float64]:
        """Where mel triangle k begins, peaks and ends in Hz: [k], [k + 1] and [k + 2] of [F + 2]."""
        low, high = _mels(np.array([self.low, self.high]))
        return _hertz(np.linspace(low, high, self.mel_bins + 2))

    @property
    def mel_quarters(self) -> NDArray[np.float64]:
        """Where each mel triangle is above a quarter of its height: from, to in Hz, [F, 2]."""
        edges = _mels(self.mel_edges)
        reach = 0.75 * (edges[1] - edges[0])
        return _hertz(np.stack([edges[1:-1] - reach, edges[1:-1] + reach], axis=1))

    @property
    def bins_per_octave(self) -> float:
        """Of a constant-Q transform whose F bins lie from `low` up to, not including, `high`."""
        return float(self.mel_bins / np.log2(self.high / self.low))

    @property
    def pitches(self) -> NDArray[np.float64]:
        """Frequency of each bin of a constant-Q transform in Hz, [F]."""
        octaves: NDArray[np.float64] = np.arange(self.mel_bins) / self.bins_per_octave
        return self.low * np.exp2(octaves)


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

LEARNED = MelConfig(
    sample_rate=16_000, window=401, hop=160, fft=512, mel_bins=40, low=60.0, high=7_800.0,
    pre_emphasis=0.0, periodic=True, minimum_samples=8_000,
)  # fmt: skip
"""What LEAF and time-domain filterbanks start from (Zeghidour et al. 2021); 40 filters (DiffRes, Table 3).

The window has an odd number of samples, 25 ms and one, so that a filter has a middle.
"""

SINCNET = replace(LEARNED, low=50.0, high=8_000.0)
"""SincNet's (Ravanelli and Bengio 2018): bands from 100 Hz, its least cut-off above `low`, to Nyquist."""

STFT = replace(PAPER, fft=512, mel_bins=256, log_offset=1e-6, log_shift=6.8)
"""The linear spectrum of the paper's windows: a bin every 31.25 Hz, Nyquist's left out.

A bin holds about a tenth of a mel bin's power; the logarithm makes up for it.
"""

TRAINABLE_STFT = replace(STFT, log_offset=1e-4)
"""The same with learned waves, whose response float32 computes to about 100 dB below a full tone.

The offset hides what lies less than 20 dB above that.
"""

CQT = replace(
    PAPER, window=4_486, fft=8_192, mel_bins=84, low=60.0, high=7_680.0, log_offset=1e-7, log_shift=9.1
)
"""Constant Q: seven octaves of 12 bins; the lowest bin's window is 280 ms, the highest's 2.4 ms.

A bin holds about a hundredth of a mel bin's power; the logarithm makes up for it.
"""

SINC_MIN_HZ = 50.0
"""Hz that SincNet adds to every low cut-off and to every band's width, so that neither vanishes."""


def wave_lengths(config: MelConfig) -> NDArray[np.int64]:
    """Samples of the window of each bin of a constant-Q transform, [F], descending."""
    quality = 1 / (2 ** (1 / config.bins_per_octave) - 1)
    return np.ceil(quality * config.sample_rate / config.pitches).astype(np.int64)


def cqt_window(config: MelConfig) -> int:
    """Samples, an even number, of the longest window of a constant-Q transform."""
    longest = int(wave_lengths(config)[0])
    return longest + longest % 2


def sinc_bands(config: MelConfig) -> NDArray[np.float64]:
    """Low cut-off and width of SincNet's first bands in Hz, [F, 2]: equal steps of the mel scale.

    >>> bands = sinc_bands(SINCNET)
    >>> bands[0].round(1).tolist(), bands[-1].sum().round(1).item()
    ([100.0, 97.2], 8000.0)
    """
    low, high = _mels(np.array([config.low, config.high - 2 * SINC_MIN_HZ]))
    edges = _hertz(np.linspace(low, high, config.mel_bins + 1))
    return np.stack([edges[:-1], np.diff(edges)], axis=1) + SINC_MIN_HZ


def stft_faults(config: MelConfig) -> Iterator[str]:
    """A linear spectrum has a bin for every two points of its DFT."""
    if 2 * config.mel_bins != config.fft:
        yield f"{config.mel_bins} bins of {config.fft} points; it has {config.fft // 2} (bins 0: its own)"


def cqt_faults(config: MelConfig) -> Iterator[str]:
    """The longest wave has to fit the window, and half the window the shortest signal."""
    if not 0 < config.low < config.high <= config.sample_rate / 2:
        yield (
            f"{config.low:g} to {config.high:g} Hz at {config.sample_rate} Hz; give 0 < low < high, up to "
            "half the sample rate"
        )
        return
    wanted = cqt_window(config)
    if config.window < wanted or config.minimum_samples - 1 <= config.window // 2:
        yield (
            f"window {config.window}, at least {config.minimum_samples} samples; {config.mel_bins} bins from "
            f"{config.low:g} Hz want a window of {wanted} and more samples than half (bins 0: its own)"
        )


def _mels(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Kaldi's mel scale, which is HTK's and TensorFlow's too."""
    return 1127 * np.log1p(hertz / 700)


def _hertz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    return 700 * np.expm1(mels / 1127)
