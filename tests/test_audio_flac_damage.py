"""Damaged FLAC: what is lost is silence and told in seconds, and all else keeps its time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from audio_files import noise, read, truth, write


def without_length(flac: bytes) -> bytes:
    """FLAC as `flac -` writes it: the 36 bits of STREAMINFO's total number of samples are 0."""
    return flac[:21] + bytes([flac[21] & 0xF0]) + bytes(4) + flac[26:]


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
