"""Bells: bodies whose partials are not multiples of one another."""

from __future__ import annotations

import numpy as np

from examples.synthesis import Samples, finish, instants, noise, place, room, struck

# Ratio to the prime, amplitude, decay to 1/e in seconds. The ratios are those of a tuned church bell
# (Fletcher and Rossing, "The Physics of Musical Instruments"): hum, prime, tierce, quint, nominal, and those
# above; amplitudes and decays are ours.
_CHURCH = (
    (0.5, 0.5, 3.5),
    (1.0, 0.6, 2.2),
    (1.183, 0.8, 1.8),
    (1.506, 0.35, 1.2),
    (2.0, 1.0, 1.2),
    (2.514, 0.45, 0.8),
    (2.662, 0.4, 0.7),
    (3.011, 0.5, 0.6),
    (4.166, 0.35, 0.4),
    (5.433, 0.25, 0.25),
    (6.796, 0.15, 0.15),
    (8.215, 0.1, 0.1),
)
RINGS = ((0.5, 1.7), (4.1, 5.3))  # the telephone's: first and last blow, in seconds
# The same for a telephone's gong, the size of a cup.
_GONG = ((1.0, 1.0, 0.57), (2.15, 0.45, 0.46), (2.5, 1.05, 0.34), (5.1, 0.75, 0.23), (8.1, 0.375, 0.14))


def church_bell() -> Samples:
    """A small church bell, struck three times at uneven intervals.

    Each partial is a pair 0.2 % apart, because no cast bell is quite round: the two beat, and the tone
    warbles. The clapper adds a metallic click, the churchyard a long echo.
    """
    rng = np.random.default_rng(1)
    blows = [(0.4, _blow(7.0, rng)), (3.6, _blow(5.0, rng)), (5.3, 0.8 * _blow(4.0, rng))]
    return finish(room(place(8.0, blows), 2.1, 0.65, rng))


def _blow(duration: float, rng: np.random.Generator) -> Samples:
    prime = 720.0  # Hz
    modes = [
        (prime * ratio * side, amplitude * ratio**0.3, 0.8 * decay)
        for ratio, amplitude, decay in _CHURCH
        for side in (0.999, 1.001)
    ]
    click = noise(duration, lambda hz: (hz > 1000) / (1 + (hz / 4000) ** 2), rng)
    click *= np.exp(-instants(duration) / 0.015)
    return struck(duration, modes, rng, attack=0.003) + 1.8 * click


def telephone() -> Samples:
    """An old telephone: two rings and the silence between them.

    A clapper swings between two gongs, 23 blows a second, no two equally hard or quite on time, and each
    gong keeps ringing under the next blows and after the last one.
    """
    rng = np.random.default_rng(2)
    rings = [(start, _ring(end - start, rng)) for start, end in RINGS]
    return finish(room(place(6.8, rings), 0.4, 0.25, rng))


def _ring(duration: float, rng: np.random.Generator) -> Samples:
    blows = []
    for blow in range(int(duration * 23)):
        prime = (980.0, 830.0)[blow % 2]  # Hz, of the two gongs
        modes = [
            (prime * ratio * side, level * amplitude, decay)
            for ratio, amplitude, decay in _GONG
            for side, level in ((1.0, 1.0), (1.004, 0.5))
        ]
        start = (blow + rng.uniform(0.0, 0.2)) / 23
        blows.append((start, rng.uniform(0.8, 1.1) * struck(0.9, modes, rng, attack=0.0006)))
    return place(duration + 0.9, blows)
