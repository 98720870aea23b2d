"""Floats on the scale of integers are read at full scale 1, or it is said that they are odd."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from audio_files import Samples, noise, read, write
from command import EXAMPLES, invoke

from diffres_cli.audio import open_recording
from diffres_cli.errors import AudioError


@pytest.mark.parametrize("bits", [16, 24, 32])
@pytest.mark.parametrize("rounded", [True, False])
@pytest.mark.parametrize("channels", [1, 2])
def test_integers_stored_as_floats_are_divided(
    tmp_path: Path, bits: int, rounded: bool, channels: int
) -> None:
    sound = noise(1, channels=channels)
    stored = (sound * np.float64(2) ** (bits - 1)).astype(np.float32)
    stored = np.rint(stored) if rounded else stored
    path = write(tmp_path / "a.wav", stored, subtype="FLOAT")
    for source, how in ((path, {}), (stored.astype("f8"), {"sample_rate": 22050})):
        got, recording = read(source, **how)
        assert np.abs(got - sound.mean(axis=1)).max() < 2**-15
        (warning,) = recording.warnings
        assert f"{bits}-bit integers stored as floats" in warning


def test_quiet_integers_are_seen_by_being_whole() -> None:
    quiet = np.rint(noise(1) * 8)
    got, recording = read(quiet, sample_rate=22050)
    assert np.array_equal(got, quiet[:, 0] / np.float32(32768))
    assert len(recording.warnings) == 1


@pytest.mark.parametrize("silence", [1, 30])
def test_silence_at_the_start_decides_nothing(silence: int) -> None:
    sound = np.concatenate([np.zeros((silence * 22050, 1)), noise(1) * 20_000])
    got, recording = read(sound, sample_rate=22050)
    assert np.abs(got).max() < 1
    assert len(recording.warnings) == 1


@pytest.mark.parametrize(
    "sound",
    [
        noise(1) * 12,  # mixed far too hot
        np.sign(noise(1)),
        np.round(noise(1)),
        noise(1) + 3000 * (np.arange(22050) == 9000)[:, None],  # a click
        np.where(np.arange(22050) % 100, noise(1)[:, 0], 0.0)[:, None],
        noise(1) * 1e-6,
    ],
)
def test_floats_are_left_as_they_are(sound: Samples) -> None:
    got, recording = read(sound, sample_rate=22050)
    assert np.array_equal(got, sound[:, 0].astype(np.float32))
    assert recording.warnings == []


def test_what_is_far_beyond_full_scale_is_told_and_where() -> None:
    sound = noise(20)
    sound[15 * 22050 :] *= 3000
    got, recording = read(sound, sample_rate=22050)
    assert np.array_equal(got, sound[:, 0])
    (warning,) = recording.warnings
    assert "at 15.00 s, where full scale is 1" in warning


def test_the_note_is_there_when_reading_stops_early() -> None:
    with open_recording(noise(60) * 20_000, sample_rate=22050) as recording:
        next(recording.blocks(32000))
        assert "16-bit integers" in recording.warnings[0]


def test_a_siren_on_an_integer_scale_is_a_siren(tmp_path: Path) -> None:
    samples, recording = read(EXAMPLES / "siren.ogg")
    rate = recording.sample_rate
    write(tmp_path / "a.wav", samples[:, None] * 32768, rate, subtype="FLOAT")
    result = invoke("tag", tmp_path / "a.wav", "--top-k", "1")
    assert "(siren)" in result.out.splitlines()[-1]
    assert "16-bit integers stored as floats" in result.err


@pytest.mark.filterwarnings("error")
def test_a_signalling_nan_is_refused_without_a_numpy_warning(tmp_path: Path) -> None:
    data = write(tmp_path / "a.wav", noise(1), subtype="FLOAT").read_bytes()
    with pytest.raises(AudioError, match="a sample is nan"):
        read(data[:-400] + b"\x01\x00\x80\x7f" * 100)
