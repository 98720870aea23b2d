"""Damaged FLAC: what is lost is silence and told in seconds, and all else keeps its time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from audio_files import noise, read, truth, write


def stating(flac: bytes, total: int) -> bytes:
    """FLAC with another number of samples in STREAMINFO, 36 bits."""
    return flac[:21] + ((flac[21] & 0xF0) << 32 | total).to_bytes(5, "big") + flac[26:]


def without_length(flac: bytes) -> bytes:
    """FLAC as `flac -` writes it."""
    return stating(flac, 0)


def test_flac_from_a_pipe_is_read_to_its_last_sample(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", noise(6.1))
    got, recording = read(without_length(path.read_bytes()))
    assert np.array_equal(got, truth(path))
    assert (recording.frames, recording.warnings) == (None, [])


@pytest.mark.parametrize("place", [1 / 3, 0.999], ids=["inside", "last frame"])
def test_flac_from_a_pipe_tells_of_damage(tmp_path: Path, place: float) -> None:
    path = write(tmp_path / "a.flac", noise(30))
    whole, data = truth(path), bytearray(without_length(path.read_bytes()))
    data[round(len(data) * place)] ^= 0xFF
    got, recording = read(bytes(data))
    assert len(whole) - len(got) in ((0,) if place < 0.5 else range(1, 4097))
    assert len(np.flatnonzero(got != whole[: len(got)])) <= 4096
    assert recording.warnings[0].startswith("damaged: ")
    assert recording.warnings[0].endswith(f"; {recording.duration:.2f} s could be read")


@pytest.mark.parametrize("places", [[0.5], [0.2, 0.6], [0.001]])
@pytest.mark.parametrize("width", [1, 3000])
def test_damage_inside_flac_is_silence_and_all_else_keeps_its_time(
    tmp_path: Path, places: list[float], width: int
) -> None:
    path = write(tmp_path / "a.flac", noise(30))
    whole, data = truth(path), bytearray(path.read_bytes())
    for place in places:
        start = 8192 + round((len(data) - 8192) * place)
        data[start : start + width] = bytes(255 - byte for byte in data[start : start + width])
    got, recording = read(bytes(data))
    assert len(got) == len(whole)
    wrong = np.flatnonzero(got != whole)
    most = 1 if width == 1 else 2  # frames: 3000 bytes may reach into the next
    assert 4000 < len(wrong) <= most * 4096 * len(places)
    assert not got[wrong].any()
    (warning,) = recording.warnings
    where = f"in {len(places)} places, the first at " if len(places) > 1 else "at "
    assert f"s {where}{wrong[0] / 22050:.2f} s read as silence" in warning
    assert "30.00 s could be read" in warning


def test_wide_damage_inside_flac_costs_no_more_than_the_frames_it_touches(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", noise(60))
    whole, data = truth(path), bytearray(path.read_bytes())
    start, width = len(data) // 4, len(data) // 3
    data[start : start + width] = bytes(width)
    got, _ = read(bytes(data))
    wrong = np.flatnonzero(got != whole)
    assert len(got) == len(whole)
    assert len(whole) / 3 * 0.97 < len(wrong) < len(whole) / 3 * 1.03 + 2 * 4096  # frames differ in size


def test_damage_inside_flac_that_also_ends_early(tmp_path: Path) -> None:
    data = bytearray(write(tmp_path / "a.flac", noise(30)).read_bytes())
    data[len(data) // 3] ^= 0xFF
    got, recording = read(bytes(data[: len(data) // 2]))
    assert 14 * 22050 < len(got) < 16 * 22050
    assert recording.warnings[0].startswith("the header promises 30.00 s, ")
    assert recording.warnings[0].endswith(" s read as silence; flac decoder lost sync)")


def test_damage_too_wide_to_search_ends_flac(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", noise(60, 48000, 2), 48000)
    whole, data = truth(path), path.read_bytes()
    start, width = len(data) // 4, 2**21
    got, recording = read(data[:start] + bytes(width) + data[start + width :])
    assert len(whole) / 4 * 0.97 < len(got) < len(whole) / 4 * 1.03
    assert np.array_equal(got, whole[: len(got)])
    assert recording.warnings[0].startswith("the header promises 60.00 s, ")


@pytest.mark.parametrize("total", [1, 4096, 22050, 6 * 22050 - 1])
@pytest.mark.parametrize("tag", [b"", b"TAG" + bytes(125)], ids=["", "tagged"])
def test_a_length_that_is_too_small_is_not_believed(tmp_path: Path, total: int, tag: bytes) -> None:
    path = write(tmp_path / "a.flac", noise(6))
    whole, data = truth(path), stating(path.read_bytes(), total)
    got, recording = read(data + tag)
    assert np.array_equal(got, whole)
    assert (recording.frames, recording.duration) == (6 * 22050, 6)
    (note,) = recording.warnings
    assert note == f"the header states {total / 22050:.2f} s, but 6.00 s are there; all are read"


def test_a_length_that_is_too_small_keeps_no_damage_quiet(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", noise(6))
    whole, data = truth(path), bytearray(stating(path.read_bytes(), 22050))
    got, recording = read(bytes(data[:-300]))  # the last frame is cut short
    assert np.array_equal(got, whole[: len(got)])
    assert 0 < len(whole) - len(got) <= 4096
    assert recording.warnings[-1].startswith("the header promises 6.00 s, ")
    data[len(data) // 2] ^= 0xFF
    got, recording = read(bytes(data))
    assert 0 < len(np.flatnonzero(got != whole)) <= 4096
    assert "read as silence" in recording.warnings[-1]


@pytest.mark.parametrize("tag", [b"TAG" + bytes(125), b"APETAGEX" + bytes([0, 0, 0, 0, 32]) + bytes(19)])
def test_a_tag_behind_the_last_frame_is_no_damage(tmp_path: Path, tag: bytes) -> None:
    path = write(tmp_path / "a.flac", noise(3))
    for data in (path.read_bytes(), without_length(path.read_bytes())):
        got, recording = read(data + tag)
        assert np.array_equal(got, truth(path))
        assert recording.warnings == []


def test_a_few_damaged_bytes_become_no_hours_of_silence(tmp_path: Path) -> None:
    """Frames 0 and, as it says, 7030 of silence, with damage between: an hour at 8 kHz in 200 bytes."""
    path = write(tmp_path / "a.flac", np.zeros((2 * 4096, 1), np.float32), 8000)
    data = path.read_bytes()
    first = data.index(b"\xff\xf8")
    frame = data[first : (len(data) + first) // 2]
    hour = 3600 * 8000
    far = numbered(frame, hour // 4096 - 1)
    got, recording = read(stating(data[:first] + frame + bytes(50) + far, hour))
    assert 4096 <= len(got) < 60 * 8000
    assert recording.warnings[0].startswith("the header promises 3600.00 s, ")


def numbered(frame: bytes, number: int) -> bytes:
    """A frame whose number is below 128 with a number of four bytes, and right checksums."""
    coded = [0xF0 | number >> 18, *(0x80 | number >> shift & 0x3F for shift in (12, 6, 0))]
    header = frame[:4] + bytes(coded)
    body = header + bytes([checksum(header, 0x07, 8)]) + frame[6:-2]
    return body + checksum(body, 0x8005, 16).to_bytes(2, "big")


def checksum(data: bytes, polynomial: int, bits: int) -> int:
    crc = 0
    for bit in np.unpackbits(np.frombuffer(data, np.uint8)):
        crc = (crc << 1 ^ (polynomial if (crc >> bits - 1) ^ int(bit) else 0)) & (1 << bits) - 1
    return crc
