"""Outdoors: birdsong, rain."""

from __future__ import annotations

import numpy as np

from examples.synthesis import Samples, finish, instants, noise, place, room, sine


def birdsong() -> Samples:
    """A songbird: four short phrases, uneven pauses between.

    A syrinx whistles: a syllable is one partial, 50 to 120 ms long, which glides somewhere between 3 and
    6.5 kHz and is modulated 40 times a second. Trees blur it a little.
    """
    rng = np.random.default_rng(11)
    syllables = []
    for start in (0.3, 1.9, 2.6, 4.3):
        for _ in range(rng.integers(3, 7)):
            duration = rng.uniform(0.05, 0.12)
            level, low, high = rng.uniform(0.5, 1), rng.uniform(3000, 5500), rng.uniform(3000, 6500)
            syllables.append((start, level * _syllable(duration, low, high)))
            start += duration + rng.uniform(0.03, 0.06)
    return finish(room(place(6.0, syllables), 0.8, 0.2, rng))


def _syllable(duration: float, first: float, last: float) -> Samples:
    t = instants(duration)
    hz = np.linspace(first, last, len(t)) + 300 * np.sin(2 * np.pi * 40 * t)
    return sine(hz) * np.sin(np.pi * t / duration) ** 0.8


def rain() -> Samples:
    """Rain on a roof: a hiss, and the drops that fall near enough to be heard one by one.

    Distant drops add up to noise between 0.6 and 6 kHz. Near ones, 460 a second, are clicks of 0.4 to
    1 ms, at independent times (Poisson), some much stronger than most (log-normal).
    """
    rng = np.random.default_rng(4)
    hiss = noise(6.0, lambda hz: (hz > 580) / (1 + (hz / 5800) ** 2.2), rng)
    drops = place(6.0, [(start, _drop(rng)) for start in rng.uniform(0, 6, 6 * 460)])
    return finish(0.6 * hiss + drops)


def _drop(rng: np.random.Generator) -> Samples:
    decay = rng.uniform(0.0004, 0.001)
    t = instants(6 * decay)
    return rng.standard_normal(len(t)) * np.exp(-t / decay) * rng.lognormal(-1, 1.1)
