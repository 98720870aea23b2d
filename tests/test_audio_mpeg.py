"""MPEG audio whose first frame states too few frames, and what is before, between and after frames."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from audio_files import Samples, ffmpeg, noise, read, write

from diffres_cli.errors import AudioError

ID3V1 = b"TAG" + bytes(125)
PICTURE = b"ID3\4\0\0" + bytes([0, 0x20, 0, 0]) + b"\xff\xfb\x90\x64" * (0x20 << 12)
APE_HEADER = b"APETAGEX" + struct.pack("<4I8x", 2000, 1032, 1, 0xA0000000) + bytes(1000)
APE = APE_HEADER + b"APETAGEX" + struct.pack("<4I8x", 2000, 1032, 1, 0x80000000)


@pytest.fixture(autouse=True)
def _no_ffmpeg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))


def sound(seconds: float, rate: int) -> Samples:
    """Loud, then silent: a varying bit rate varies by much."""
    samples = noise(seconds, rate)
    samples[len(samples) // 3 :] *= 0.001
    return samples


def mp3(folder: Path, *how: str, seconds: float = 6, rate: int = 44100) -> bytes:
    wav = write(folder / "source.wav", sound(seconds, rate), rate)
    ffmpeg("-i", wav, "-id3v2_version", "0", *how, folder / "encoded.mp3")
    return (folder / "encoded.mp3").read_bytes()


def counted(data: bytes, count: int) -> bytes:
    """With another number of frames in the Xing header."""
    place = max(data.find(b"Xing"), data.find(b"Info")) + 8
    return data[:place] + struct.pack(">I", count) + data[place + 4 :]


KINDS = {
    "varying": (("-q:a", "5"), 44100),
    "constant": (("-b:a", "128k"), 44100),
    "mpeg 2": (("-q:a", "5"), 22050),
    "mpeg 2.5": (("-q:a", "5"), 8000),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [0, 1, 40])
def test_a_count_that_is_too_small_is_not_believed(tmp_path: Path, kind: str, count: int) -> None:
    how, rate = KINDS[kind]
    data = mp3(tmp_path, *how, rate=rate)
    expected = read(data)[0]
    assert len(expected) == 6 * rate
    got, recording = read(counted(data, count))
    assert np.array_equal(got, expected)
    assert recording.frames == (len(expected) if count else None)
    assert recording.duration == 6
    assert [note.endswith("are there; all are read") for note in recording.warnings] == [True] * (count > 0)


def test_every_count_that_is_too_small_is_told_with_its_stream(tmp_path: Path) -> None:
    data = counted(mp3(tmp_path, "-q:a", "5"), 40)
    _, recording = read(data + data)
    starts = (
        "stream 1, at 0.00 s: the header states 1.04 s",
        "stream 2, at 6.00 s: the header states 1.04 s",
    )
    assert [note.startswith(start) for note, start in zip(recording.warnings, starts, strict=True)] == [
        True
    ] * 2


def test_a_count_that_is_marked_absent_is_counted(tmp_path: Path) -> None:
    data = bytearray(mp3(tmp_path, "-q:a", "5"))
    flags = data.index(b"Xing") + 7
    data[flags] &= 0xFE
    got, recording = read(bytes(data))
    assert 6 * 44100 <= len(got) < 6.1 * 44100
    assert recording.warnings == []


def test_a_count_in_a_vbri_header_is_not_believed_either(tmp_path: Path) -> None:
    data = mp3(tmp_path, "-q:a", "5", "-write_xing", "0")
    expected = read(data)[0]
    for count in (0, 10, len(expected) // 1152 + 1):
        vbri = b"VBRI" + struct.pack(">HHHII", 1, 0, 75, len(data), count)
        frame = (b"\xff\xfb\x90\xc0" + bytes(32) + vbri).ljust(417, b"\0")
        got, recording = read(frame + data)
        assert np.array_equal(got, expected)
        assert len(recording.warnings) == (count == 10)


def test_an_encoder_that_writes_to_a_pipe_or_is_killed_is_read_to_its_end(tmp_path: Path) -> None:
    wav = write(tmp_path / "a.wav", sound(6, 44100), 44100)
    data = ffmpeg("-i", wav, "-q:a", "5", "-f", "mp3", "pipe:1")
    got, recording = read(data)
    assert 6 * 44100 <= len(got) < 6.1 * 44100
    got, recording = read(data[: len(data) * 9 // 10])
    assert 4 * 44100 < len(got) < 6 * 44100
    assert recording.warnings == []


@pytest.mark.parametrize("how", [(), ("-write_xing", "0")], ids=["counted", "uncounted"])
@pytest.mark.parametrize(
    ("before", "behind"),
    [
        (PICTURE, ID3V1),
        (PICTURE + PICTURE, APE + ID3V1),
        (APE, APE),
        (bytes(3000), b""),
        (bytes(3000) + PICTURE, bytes(3000)),
        (b"", APE + b"LYRICSBEGIN" + b"la " * 100 + b"000311LYRICS200" + ID3V1),
    ],
    ids=["picture", "pictures", "ape", "zeros", "zeros and picture", "lyrics"],
)
def test_tags_cost_no_sample(tmp_path: Path, how: tuple[str, ...], before: bytes, behind: bytes) -> None:
    data = mp3(tmp_path, *how, seconds=2)
    expected = read(data)[0]
    got, recording = read(before + data + behind)
    assert np.array_equal(got, expected)
    assert recording.warnings == []


@pytest.mark.parametrize("how", [(), ("-write_xing", "0")], ids=["counted", "uncounted"])
@pytest.mark.parametrize("tag", [PICTURE, APE, ID3V1], ids=["picture", "ape", "id3v1"])
def test_tags_between_streams_cost_no_sample(tmp_path: Path, how: tuple[str, ...], tag: bytes) -> None:
    data = mp3(tmp_path, *how, seconds=2)
    once = read(data)[0]
    got, recording = read(data + tag + data)
    assert len(got) == pytest.approx(2 * len(once), abs=1152)
    assert np.array_equal(got[: len(once) - 1152], once[:-1152])
    assert recording.warnings == []


@pytest.mark.parametrize("damage", [bytes(4), b"\xff\xfb\xff\x64", bytes(300)])
def test_a_first_frame_that_is_damaged_costs_no_other(tmp_path: Path, damage: bytes) -> None:
    data = mp3(tmp_path, "-b:a", "128k", "-write_xing", "0", seconds=2)
    got, recording = read(damage + data[len(damage) :])
    assert len(got) >= 2 * 44100 - 1152
    assert [warning.startswith("damaged: its first ") for warning in recording.warnings] == [True]


@pytest.mark.parametrize("how", [(), ("-write_xing", "0")], ids=["counted", "uncounted"])
@pytest.mark.parametrize("width", [500, 9000])
def test_what_follows_a_damaged_stretch_keeps_its_time(
    tmp_path: Path, how: tuple[str, ...], width: int
) -> None:
    wav = write(tmp_path / "a.wav", noise(6, 44100), 44100)
    ffmpeg("-i", wav, "-b:a", "128k", *how, tmp_path / "a.mp3")
    data = bytearray((tmp_path / "a.mp3").read_bytes())
    whole = read(bytes(data))[0]
    middle = len(data) // 2
    data[middle : middle + width] = bytes(width)
    got, recording = read(bytes(data))
    assert len(got) == len(whole)
    wrong = np.flatnonzero(np.abs(got - whole) > 1e-4)
    assert 2.5 * 44100 < wrong[0] < wrong[-1] < (3.5 + width / 16000) * 44100
    assert np.abs(got).max() < 1.2 * np.abs(whole).max()
    (warning,) = recording.warnings
    assert "read as silence" in warning


def test_an_end_that_is_no_sound_is_told(tmp_path: Path) -> None:
    data = mp3(tmp_path, "-b:a", "128k", "-write_xing", "0")
    half = len(data) // 2
    got, recording = read(data[:half] + bytes(len(data) - half))
    assert 2.9 * 44100 < len(got) < 3.1 * 44100
    (warning,) = recording.warnings
    assert warning.startswith("damaged: ")


@pytest.mark.parametrize("other", ["wav", "flac", "ogg"])
def test_another_recording_behind_a_right_count_is_told(tmp_path: Path, other: str) -> None:
    data = mp3(tmp_path, "-q:a", "5", seconds=2)
    got, recording = read(data + ID3V1 + write(tmp_path / f"a.{other}", noise(1)).read_bytes())
    assert np.array_equal(got, read(data)[0])
    place = len(data) + len(ID3V1)
    assert recording.warnings == [f"another recording begins {place} bytes into the file, which is not read"]


def test_layer_2_is_read_to_its_end_and_promises_nothing(tmp_path: Path) -> None:
    wav = write(tmp_path / "a.wav", noise(3, 44100), 44100)
    parts = []
    for rate in ("256k", "64k"):
        ffmpeg("-i", wav, "-b:a", rate, tmp_path / "a.mp2")
        parts.append((tmp_path / "a.mp2").read_bytes())
    got, recording = read(b"".join(parts))
    assert 6 * 44100 <= len(got) < 6.2 * 44100
    assert (recording.frames, recording.warnings) == (None, [])


def test_frames_of_free_format_are_left_to_libsndfile(tmp_path: Path) -> None:
    data = bytearray(mp3(tmp_path, "-b:a", "128k", "-write_xing", "0", seconds=2))
    place = 0
    while place < len(data):
        length = 417 + (data[place + 2] >> 1 & 1)
        data[place + 2] &= 0x0F
        place += length
    got, recording = read(bytes(data))
    assert 2 * 44100 <= len(got) < 2.1 * 44100
    assert (recording.frames, recording.warnings) == (None, [])


def test_a_piece_of_a_frame_is_not_taken_for_a_missing_file(tmp_path: Path) -> None:
    piece = write(tmp_path / "a.mp3", noise(0.5)).read_bytes()[:100]
    with pytest.raises(AudioError) as caught:
        read(piece)
    assert "not recognised" in str(caught.value)
    assert "does not exist" not in str(caught.value)
