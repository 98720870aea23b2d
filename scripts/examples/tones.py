"""Tones: siren, smoke alarm, whistling."""

from __future__ import annotations

import numpy as np

from examples.synthesis import Samples, finish, instants, noise, place, room, sine


def siren() -> Samples:
    """A police siren, wailing up and down every five seconds.

    A sawtooth (harmonics at 1/k, as far as 12 kHz) glides between 700 and 1400 Hz; the street answers
    with a long echo.
    """
    t = instants(8.0)
    hz = 700 + 700 * (0.5 - 0.5 * np.cos(2 * np.pi * t / 5)) ** 0.8
    wail = np.sum([sine(k * hz) / k * (k * hz < 12000) for k in range(1, 12)], axis=0)
    return finish(room(wail, 1.5, 1.0, np.random.default_rng(3)))


def smoke_alarm() -> Samples:
    """A smoke alarm: two groups of three beeps, silence between.

    A piezo disc in resonance near 3 kHz is all but a sine; its driver adds a little second and
    third harmonic. Three beeps and a pause are the rhythm of the evacuation signal, ISO 8201.
    """
    t = instants(0.5)
    harmonics = ((1, 1.0), (2, 0.1), (3, 0.18))  # number, amplitude
    beep = np.sum([level * np.sin(2 * np.pi * 3030 * k * t) for k, level in harmonics], axis=0)
    beep *= np.minimum(1, np.minimum(t, 0.5 - t) / 0.005)
    groups = place(8.0, [(start + 0.95 * k, beep) for start in (0.3, 3.95) for k in range(3)])
    return finish(room(groups, 0.85, 0.25, np.random.default_rng(13)))


def whistling() -> Samples:
    """Someone whistling three phrases.

    The mouth is a resonator driven by breath: one partial that glides and trembles at 5.5 Hz, and a
    breath of noise around it.
    """
    t = instants(4.0)
    hz = 1200 + 500 * np.interp(t, (0, 0.8, 1.2, 2, 2.5, 4), (0, 1.2, 0.3, 0.9, 1.5, 0))
    hz += 15 * np.sin(2 * np.pi * 5.5 * t)
    breath = np.interp(t, (0, 0.1, 0.9, 1, 1.1, 2.2, 2.3, 2.4, 3.8, 4), (0, 1, 1, 0, 1, 1, 0, 1, 1, 0))
    hiss = noise(4.0, lambda f: ((f > 1000) & (f < 4000)).astype(float), np.random.default_rng(14))
    return finish(breath * (sine(hz) + 0.02 * hiss))
