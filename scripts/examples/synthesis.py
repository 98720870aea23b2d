"""What the sounds share: placing events in time, noise of a given spectrum, struck modes, a room."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

RATE = 32000  # Hz, the model's own: nothing is resampled between here and it
Samples = NDArray[np.float64]


def instants(duration: float) -> Samples:
    """Sample times of `duration` seconds, [N], in seconds."""
    return np.arange(round(duration * RATE)) / RATE


def sine(hz: Samples) -> Samples:
    """A sine whose frequency moves: instantaneous frequency [N] in Hz -> samples [N]."""
    return np.sin(2 * np.pi * np.cumsum(hz) / RATE)


def place(duration: float, events: Iterable[tuple[float, Samples]]) -> Samples:
    """Sum (start in seconds, samples) into `duration` seconds, [N]; what reaches past the end is cut."""
    out = np.zeros(round(duration * RATE))
    for start, samples in events:
        spot = out[round(start * RATE) :][: len(samples)]
        spot += samples[: len(spot)]
    return out


def noise(duration: float, gain: Callable[[Samples], Samples], rng: np.random.Generator) -> Samples:
    """Gaussian noise, RMS 1, whose amplitude spectrum is `gain` of the frequency in Hz."""
    white = rng.standard_normal(round(duration * RATE))
    hz = np.fft.rfftfreq(len(white), 1 / RATE).astype(np.float64)
    shaped = np.fft.irfft(np.fft.rfft(white) * gain(hz), len(white))
    return np.asarray(shaped / np.sqrt(np.mean(shaped**2)))


def struck(
    duration: float, modes: Iterable[tuple[float, float, float]], rng: np.random.Generator, attack: float
) -> Samples:
    """A struck body: its modes (Hz, amplitude, decay to 1/e in seconds) ring on from one blow.

    `attack` is the seconds in which the blow rises. Phases are random, as the modes' positions are.
    """
    t = instants(duration)
    ringing = np.zeros_like(t)
    for hz, amplitude, decay in modes:
        ringing += amplitude * np.exp(-t / decay) * np.sin(2 * np.pi * hz * t + rng.uniform(0, 2 * np.pi))
    return ringing * np.minimum(1, t / attack)


def room(dry: Samples, reverberation: float, wet: float, rng: np.random.Generator) -> Samples:
    """`dry` heard in a room whose echo falls 60 dB in `reverberation` seconds; `wet` scales the echo.

    The impulse response is exponentially decaying noise, duller than white as air and walls make it
    (Schroeder, "Natural sounding artificial reverberation", 1962).
    """
    tail = noise(reverberation, lambda hz: 1 / (1 + hz / 4000), rng)
    tail *= 10 ** (-3 * instants(reverberation) / reverberation)
    tail /= np.sqrt(np.sum(tail**2))
    size = len(dry) + len(tail)
    echo = np.fft.irfft(np.fft.rfft(dry, size) * np.fft.rfft(tail, size), size)
    return dry + wet * echo[: len(dry)]


def finish(samples: Samples, fade: float = 0.02) -> Samples:
    """Peak 1, and `fade` seconds of fade at either end, so that no cut clicks."""
    ramp = np.minimum(1, instants(fade) / fade)
    samples = samples / np.max(np.abs(samples))
    samples[: len(ramp)] *= ramp
    samples[-len(ramp) :] *= ramp[::-1]
    return samples
