"""A formant synthesiser: a voice and its breath through a moving vocal tract (Klatt, 1980)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from examples.synthesis import RATE, Samples, finish, noise, place, room

HOP = 0.005  # seconds between the states of the tract
SIZE = 2048  # samples of one response: 64 ms, after which the slowest resonance has died away
HZ = np.fft.rfftfreq(SIZE, 1 / RATE)
S = 2j * np.pi * HZ  # the Laplace variable on the frequency axis

# Klatt, "Software for a cascade/parallel formant synthesizer" (JASA 67, 1980): formants above the third
# hardly move, and bandwidths grow with frequency. Hz.
HIGH_FORMANTS = (3400.0, 4300.0, 5400.0)
BANDWIDTHS = (60.0, 90.0, 130.0, 200.0, 250.0, 300.0)


class Phone(NamedTuple):
    """One speech sound: seconds, three formants (Hz), and the strength of each source.

    `voice` is the glottis, `breath` its aspiration; both pass the tract. `friction` is noise around
    `friction_hz` made at the lips or teeth, in front of it.
    """

    duration: float
    f1: float
    f2: float
    f3: float
    voice: float = 0.0
    breath: float = 0.01
    friction: float = 0.0
    friction_hz: float = 4500.0


# Formants of an adult man, after Peterson and Barney (1952); names are ARPAbet's.
PHONES = {
    "HH": Phone(0.08, 500, 1700, 2500, breath=0.25),
    "EH": Phone(0.10, 560, 1800, 2480, voice=1),
    "L": Phone(0.08, 360, 1050, 2700, voice=0.6),
    "OW": Phone(0.15, 520, 900, 2400, voice=1),
    "UH": Phone(0.11, 380, 850, 2300, voice=0.7),
    "W": Phone(0.09, 300, 620, 2200, voice=0.6),
    "AH": Phone(0.16, 660, 1190, 2400, voice=1),
    "N": Phone(0.12, 260, 1500, 2500, voice=0.35),
    "T-closure": Phone(0.07, 350, 1700, 2600, breath=0),
    "T-burst": Phone(0.02, 350, 1700, 2600, breath=0.1, friction=0.2),
    "T-release": Phone(0.04, 350, 1500, 2500, breath=0.25, friction=0.03),
    "UW": Phone(0.20, 320, 1050, 2250, voice=0.9),
    "TH": Phone(0.11, 320, 1300, 2500, breath=0.03, friction=0.05, friction_hz=6500),
    "R": Phone(0.08, 340, 1100, 1450, voice=0.6),
    "IY": Phone(0.23, 290, 2250, 2950, voice=0.9),
    "F": Phone(0.12, 340, 1000, 2300, breath=0.04, friction=0.06, friction_hz=5500),
    "AO": Phone(0.16, 570, 850, 2410, voice=1),
    "ER": Phone(0.14, 460, 1200, 1600, voice=0.7),
    "AA": Phone(0.16, 750, 1150, 2500, voice=1),
    "IH": Phone(0.11, 400, 1950, 2550, voice=0.8),
    "V": Phone(0.09, 300, 1100, 2300, voice=0.35, friction=0.02, friction_hz=5500),
}
# Start in seconds, phones, pitch at the first and the last of them in Hz.
WORDS = (
    (0.30, "HH EH L OW UH", (130, 105)),
    (1.45, "W AH N", (128, 112)),
    (2.05, "T-closure T-burst T-release UW", (125, 110)),
    (2.65, "TH R IY", (122, 105)),
    (3.90, "F AO ER", (125, 108)),
    (4.50, "F AA IH V", (118, 85)),
)


def spoken_words() -> Samples:
    """A man's voice, synthetic: "Hello. One, two, three. Four, five."

    The glottis gives a pulse per period, with 1.2 % jitter and a pitch that rises and falls; breath and
    friction give noise. Both are filtered by six formants, which glide from phone to phone. A small room
    answers, and its own noise lies 80 dB lower.
    """
    rng = np.random.default_rng(17)
    words = place(5.6, [(start, say(phones, pitch, rng)) for start, phones, pitch in WORDS])
    words = room(words / np.max(np.abs(words)), 0.2, 0.05, rng)
    return finish(words + 1e-4 * noise(5.6, np.ones_like, rng))


def say(phones: str, pitch: tuple[float, float], rng: np.random.Generator) -> Samples:
    """One word, [N]: the states of the tract, voiced and breathed through."""
    states = glide([PHONES[name] for name in phones.split()])
    return voiced(states, pitch, rng) + unvoiced(states, rng)


def glide(phones: list[Phone]) -> NDArray[np.float64]:
    """States of the tract, [frames, fields of Phone without duration], a frame every HOP seconds.

    Formants take about 60 ms from one phone to the next, the glottis 35, friction 15: the tongue is
    slower than the lips. Before and after the word the tract stands still and silent.
    """
    steps = np.repeat([phone[1:] for phone in phones], [round(phone[0] / HOP) for phone in phones], axis=0)
    states = np.pad(steps, ((4, 12), (0, 0)), "edge")
    states[:4, 3:6] = states[-12:, 3:6] = 0
    for column, frames in enumerate((11, 11, 11, 7, 7, 3)):
        weights = np.hanning(frames + 2)[1:-1]
        padded = np.pad(states[:, column], frames // 2, "edge")
        states[:, column] = np.convolve(padded, weights / weights.sum(), "valid")
    return states


def tract(formants: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Response of the vocal tract, [SIZE / 2 + 1]: one pair of poles a formant, gain 1 at 0 Hz."""
    response = np.ones_like(S)
    for hz, bandwidth in zip((*formants, *HIGH_FORMANTS), BANDWIDTHS, strict=True):
        pole = -np.pi * bandwidth + 2j * np.pi * hz
        response *= abs(pole) ** 2 / ((S - pole) * (S - np.conj(pole)))
    return response


def voiced(states: NDArray[np.float64], pitch: tuple[float, float], rng: np.random.Generator) -> Samples:
    """Glottal pulses, each filtered by the tract of its moment, one a period.

    A pulse falls 12 dB an octave above 120 Hz, and 6 more above 5 kHz; the lips, which radiate the
    derivative, give 6 back.
    """
    pulse = S / (2 * np.pi * 500) / (1 + S / (2 * np.pi * 120)) ** 2 / (1 + HZ / 5000)
    duration = len(states) * HOP
    responses, start = [], 0.0
    while start < duration:
        state, elapsed = states[int(start / HOP)], start / duration
        hz = pitch[0] + (pitch[1] - pitch[0]) * elapsed + 12 * np.sin(np.pi * elapsed)
        hz *= 1 + 0.012 * rng.standard_normal()
        level = state[3] * hz / 100 * (1 + 0.06 * rng.standard_normal())
        responses.append((start, level * np.fft.irfft(pulse * tract(state[:3]), SIZE)))
        start += 1 / hz
    return place(duration + SIZE / RATE, responses)


def unvoiced(states: NDArray[np.float64], rng: np.random.Generator) -> Samples:
    """Overlapping bursts of noise: breath through the whole tract, friction around its own frequency."""
    window = np.hanning(round(4 * HOP * RATE))
    bursts = []
    for frame, state in enumerate(states):
        breath = 0.012 * state[4] * tract(state[:3]) * S / (S + 2 * np.pi * 800)
        friction = 0.03 * state[5] / (1 + ((HZ - state[6]) / 2500) ** 2)
        burst = np.fft.rfft(rng.standard_normal(len(window)) * window, SIZE)
        bursts.append((frame * HOP, np.fft.irfft(burst * (breath + friction), SIZE)))
    return place(len(states) * HOP + SIZE / RATE, bursts)
