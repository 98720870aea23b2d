"""Channels: one, each or their mean, and whether the mean loses what they hold."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from audio_files import Samples, ffmpeg, noise, write

from diffres_cli.audio import open_recording
from diffres_cli.audio.mixdown import Channel
from diffres_cli.errors import AudioError

RATE = 8000


def stereo(left: Samples, right: Samples) -> Samples:
    return np.stack([left, right], 1).astype(np.float32)


def warnings(samples: Samples, rate: int = RATE, channel: Channel = "mix") -> list[str]:
    with open_recording(samples, rate) as recording:
        for _ in recording.blocks(32000, channel):
            pass
        return recording.warnings


def independent(seconds: float, count: int) -> Samples:
    return np.random.default_rng(1).normal(0, 0.1, (round(seconds * RATE), count)).astype(np.float32)


TONE = noise(20, RATE)[:, 0]
LONG = noise(60, RATE)[:, 0]
PART = np.where(np.arange(len(LONG)) // RATE == 30, -1, 1)  # the 31st second


@pytest.mark.parametrize(
    ("samples", "seconds"),
    [
        (stereo(TONE, -TONE), 20),
        (stereo(TONE, -0.7 * TONE), 20),
        (stereo(TONE + 0.5, -TONE + 0.5), 20),
        (stereo(LONG, LONG * PART), 1),
        (stereo(TONE[:900], -TONE[:900]), 900 / RATE),
        (stereo(TONE * 1e-3, -TONE * 1e-3), 20),
        (np.stack([TONE, -TONE, 0 * TONE, 0 * TONE], 1), 20),
    ],
    ids=["opposite", "nearly", "with an offset", "one second of sixty", "short", "quiet", "four channels"],
)
def test_a_mix_that_loses_sound_is_warned_of(samples: Samples, seconds: float) -> None:
    (warning,) = warnings(samples)
    assert f"for {seconds:.2f} s their mix is over 10 dB quieter" in warning
    assert "choose one channel, or each" in warning
    assert warnings(samples, channel="each") == warnings(samples, channel=2) == []


@pytest.mark.parametrize(
    "samples",
    [
        stereo(TONE, TONE),
        stereo(TONE, 0 * TONE),
        stereo(TONE, -0.4 * TONE),
        stereo(0.2 * TONE + 0.5, 0.2 * TONE - 0.5),
        stereo(0 * TONE, 0 * TONE),
        stereo(TONE * 1e-5, -TONE * 1e-5),
        independent(20, 2),
        independent(20, 6),
        np.stack([TONE, *[0 * TONE] * 5], 1),
        TONE[:, None],
    ],
    ids=[
        "same",
        "one silent",
        "weaker",
        "offsets",
        "silence",
        "dither",
        "unrelated",
        "six",
        "one of six",
        "mono",
    ],
)
def test_a_mix_that_keeps_its_sound_is_not(samples: Samples) -> None:
    assert warnings(samples) == []


def test_it_is_found_however_the_stream_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.wav", stereo(LONG, LONG * PART), RATE, subtype="FLOAT")
    expected = warnings(stereo(LONG, LONG * PART))
    for values in (100, 4097, 2**22):
        monkeypatch.setattr("diffres_cli.audio.recording._BLOCK_VALUES", values)
        with open_recording(path) as recording:
            assert sum(map(len, recording.blocks(RATE))) == len(LONG)
            assert recording.warnings == expected


def test_what_is_not_read_to_the_end_is_warned_of_as_well() -> None:
    with open_recording(stereo(LONG, -LONG), RATE) as recording:
        blocks = recording.blocks(RATE)
        next(blocks)
        assert len(recording.warnings) == 1


@pytest.mark.parametrize("rate", [RATE, 32000])
def test_one_channel_or_each_is_what_the_file_holds(tmp_path: Path, rate: int) -> None:
    samples = independent(40, 3)
    path = write(tmp_path / "three.wav", samples, RATE, subtype="FLOAT")
    alone = [np.concatenate(list(open_recording(column, RATE).blocks(rate))) for column in samples.T]
    with open_recording(path) as recording:
        each = np.concatenate(list(recording.blocks(rate, "each")))
    assert each.shape == (40 * rate, 3)
    np.testing.assert_array_equal(each.T, alone)
    for number in (1, 2, 3):
        with open_recording(path) as recording:
            np.testing.assert_array_equal(
                np.concatenate(list(recording.blocks(rate, number))), alone[number - 1]
            )


@pytest.mark.parametrize(("count", "has"), [(1, "1 channel,"), (3, "3 channels,")])
@pytest.mark.parametrize("channel", [4, 1000, 0, -1])
def test_a_channel_that_is_not_there(count: int, has: str, channel: int) -> None:
    with (
        open_recording(independent(1, count), RATE) as recording,
        pytest.raises(AudioError, match=f"array: it has {has} and no channel {channel}"),
    ):
        recording.blocks(RATE, channel)


def test_every_kind_of_source_has_its_channels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ffmpeg").symlink_to(imageio_ffmpeg.get_ffmpeg_exe())
    monkeypatch.setenv("PATH", str(tmp_path))
    samples = stereo(TONE, -TONE)
    path = write(tmp_path / "a.wav", samples, RATE)
    ffmpeg("-i", path, "-c:a", "alac", tmp_path / "a.m4a")
    for source in (path, path.read_bytes(), io.BytesIO(path.read_bytes()), tmp_path / "a.m4a"):
        with open_recording(source) as recording:
            second = np.concatenate(list(recording.blocks(RATE, 2)))
        np.testing.assert_allclose(second, -TONE, atol=2**-14)
        if hasattr(source, "seek"):
            source.seek(0)
        with open_recording(source) as recording:
            for _ in recording.blocks(RATE):
                pass
            assert len(recording.warnings) == 1


def test_a_bad_sample_counts_where_its_channel_does() -> None:
    samples = stereo(TONE, TONE)
    samples[RATE * 3, 1] = np.nan
    assert warnings(samples, channel=1) == []
    for channel in ("mix", "each", 2):
        with pytest.raises(AudioError, match=r"a sample is nan at 3\.000 s"):
            warnings(samples, channel=channel)


def test_channels_take_constant_memory(tmp_path: Path) -> None:
    path = write(tmp_path / "long.wav", np.tile(independent(100, 2), (6, 1)), RATE)
    with open_recording(path) as recording:
        tracemalloc.start()
        for _ in recording.blocks(32000, "each"):
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 40e6  # of 154 MB
