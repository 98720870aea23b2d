"""FLAC frame headers, found in real files of libsndfile and ffmpeg."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from audio_files import ffmpeg, noise, write

from diffres_cli.audio.flac import find_frames_after
from diffres_cli.audio.sources import spool


def frames(data: bytes, after: int) -> list[int]:
    file = spool([data], "a.flac")
    with file.stream:
        return find_frames_after(file, after)


@pytest.mark.parametrize(
    ("rate", "block"), [(22050, 4096), (44100, 4096), (96000, 4096), (12345, 4096), (8000, 2304)]
)
def test_every_frame_of_a_file_is_found(tmp_path: Path, rate: int, block: int) -> None:
    count = 100 * block + 100
    path = write(tmp_path / "a.wav", noise(count / rate, rate), rate)
    ffmpeg("-i", path, "-frame_size", str(block), tmp_path / "a.flac")
    found = frames((tmp_path / "a.flac").read_bytes(), after=-1)
    expected = list(range(0, count, block))
    assert [sample for sample in found if sample in expected] == expected
    assert len(found) < 1.02 * len(expected) + 2  # what looks like a header by chance


def test_only_frames_behind_a_sample_are_given() -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, noise(10), 22050, format="FLAC")
    assert frames(buffer.getvalue(), after=3 * 4096)[0] == 4 * 4096
    assert frames(buffer.getvalue(), after=10 * 22050) == []


def test_what_only_begins_like_a_header_is_none() -> None:
    """Sync, the longest block size and rate, and a number longer than any: found in a real file of 2 h."""
    buffer = io.BytesIO()
    soundfile.write(buffer, noise(10), 22050, format="FLAC")
    found = frames(buffer.getvalue(), after=-1)
    assert frames(buffer.getvalue() + bytes.fromhex("fff87da8ff") + bytes(20), after=-1) == found


def test_a_tag_in_front_is_skipped() -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, noise(2), 22050, format="FLAC")
    tagged = b"ID3\4\0\0\0\0\1\0" + bytes(128) + buffer.getvalue()
    assert frames(tagged, after=-1) == list(range(0, 2 * 22050, 4096))


def test_frames_are_found_at_the_size_that_an_encoder_varies() -> None:
    """A made-up frame that counts samples, 300000 of them before it, at its own block size and rate."""
    header = bytes([0xFF, 0xF9, 0x7C, 0x08, 0xF1, 0x89, 0x8F, 0xA0, 0x0F, 0xFF, 44])
    crc = 0
    for bit in np.unpackbits(np.frombuffer(header, np.uint8)):
        crc = (crc << 1 ^ (0x07 if (crc >> 7) ^ int(bit) else 0)) & 0xFF
    data = b"fLaC" + bytes(100) + header + bytes([crc]) + bytes(20)
    assert frames(data, after=0) == [300_000]
