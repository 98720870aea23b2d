"""Resampling against signals whose true answer at the new rate is known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from diffres_cli.audio.resample import resample

RATES = [8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000, 192000, 384000]


def sine(rate: int, frequency: float, seconds: float = 1.0) -> np.ndarray:
    time = np.arange(round(rate * seconds)) / rate
    return (0.9 * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


def at(rate: int, target: int, samples: np.ndarray, block: int = 4096) -> np.ndarray:
    blocks = (samples[start : start + block] for start in range(0, len(samples), block))
    return np.concatenate(list(resample(blocks, rate, target)))


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("frequency", [50.0, 440.0, 3000.0])
def test_a_sine_becomes_the_sine_at_the_new_rate(rate: int, frequency: float) -> None:
    got = at(rate, 32000, sine(rate, frequency))
    assert len(got) == 32000
    # The filter rings where the sine starts and stops. Between: HQ promises 20 bits, float32 holds 24.
    middle = slice(3200, -3200)
    assert np.abs(got - sine(32000, frequency))[middle].max() < 2e-6


@pytest.mark.parametrize("rate", [44100, 48000, 96000])
@pytest.mark.parametrize("frequency", [16500.0, 19000.0])
def test_what_the_new_rate_cannot_hold_is_gone_instead_of_folded(rate: int, frequency: float) -> None:
    got = at(rate, 32000, sine(rate, frequency))
    assert np.abs(got[3200:-3200]).max() < 1e-5  # -100 dB


@settings(max_examples=20)
@given(st.sampled_from(RATES), st.lists(st.integers(0, 9000), max_size=8), st.integers(0, 2**32 - 1))
def test_how_a_stream_is_cut_makes_no_difference(rate: int, lengths: list[int], seed: int) -> None:
    samples = np.random.default_rng(seed).standard_normal(sum(lengths)).astype(np.float32)
    ends = np.cumsum([0, *lengths])
    blocks = [samples[a:b] for a, b in pairwise(ends)]
    got = list(resample(blocks, rate, 32000))
    assert all(len(block) for block in got)
    whole = soxr.resample(samples, rate, 32000) if len(samples) else samples
    assert np.array_equal(np.concatenate([*got, whole[:0]]), whole)


def test_the_same_rate_changes_nothing() -> None:
    samples = sine(32000, 440)
    assert np.array_equal(at(32000, 32000, samples), samples)
