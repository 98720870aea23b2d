"""Several streams in one file: all of them are read, one after the other, or a warning names what is not."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from audio_files import Samples, ffmpeg, noise, read, write

from diffres_cli.audio.sources import open_file
from diffres_cli.audio.streams import open_decoder
from diffres_cli.errors import AudioError

CODECS = {
    "ogg": "libvorbis",
    "opus": "libopus",
    "oga": "flac",
    "flac": "flac",
    "mp3": "libmp3lame",
    "mp2": "mp2",
}
KINDS = sorted(CODECS)


@pytest.fixture(autouse=True)
def _no_ffmpeg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))


def encoded(folder: Path, kind: str, seconds: float, rate: int = 48000, channels: int = 2) -> bytes:
    """A recording of noise. Each length is noise of its own, so that what is misplaced is seen."""
    samples = noise(seconds, rate, channels)[::-1] * 0.5
    wav = write(folder / "source.wav", samples, rate)
    path = folder / f"encoded.{kind}"
    ffmpeg("-i", wav, "-c:a", CODECS[kind], path)
    return path.read_bytes()


def each(*files: bytes) -> Samples:
    return np.concatenate([read(file)[0] for file in files])


@pytest.mark.parametrize("kind", KINDS)
def test_streams_behind_one_another_are_all_read(tmp_path: Path, kind: str) -> None:
    first, second = encoded(tmp_path, kind, 1.5), encoded(tmp_path, kind, 2.0)
    got, recording = read(first + second + second)
    expected = each(first, second, second)
    assert recording.warnings == []
    assert recording.duration == len(expected) / 48000
    # Frames of layer 2 that follow one another are one stream, which begins without the filter's silence.
    assert np.abs(got - expected).max() < (0.2 if kind == "mp2" else 1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [(1, 2), (2, 1)])
def test_a_stream_at_another_rate_follows_at_the_first_ones(
    tmp_path: Path, kind: str, channels: tuple[int, int]
) -> None:
    first = encoded(tmp_path, kind, 1.0, 24000, channels[0])
    second = encoded(tmp_path, kind, 1.5, 48000, channels[1])
    got, recording = read(first + second)
    whole, there = read(first)[0], read(second, rate=24000)[0]
    assert (recording.sample_rate, recording.channels, recording.warnings) == (24000, channels[0], [])
    assert np.array_equal(got[: len(whole)], whole)
    assert abs(len(got) - len(whole) - len(there)) <= 1
    rest = got[len(whole) :]
    least = min(len(rest), len(there))
    assert np.corrcoef(rest[:least], there[:least])[0, 1] > 0.999


@pytest.mark.parametrize("kind", KINDS)
def test_a_chain_has_the_same_samples_however_it_is_cut_into_blocks(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"chain.{kind}"
    path.write_bytes(encoded(tmp_path, kind, 1.0, 24000, 1) + encoded(tmp_path, kind, 1.5))

    def decoded(frames: int) -> Samples:
        file = open_file(path, "chain")
        decoder = open_decoder(file)
        blocks = list(decoder.blocks(frames))
        decoder.close()
        file.stream.close()
        return np.concatenate(blocks)

    assert np.array_equal(decoded(1000), decoded(10**6))


@pytest.mark.parametrize("kind", ["ogg", "opus", "oga", "mp3", "flac"])
def test_a_stream_that_breaks_off_is_told_and_the_next_is_read(tmp_path: Path, kind: str) -> None:
    first, second = encoded(tmp_path, kind, 3.0), encoded(tmp_path, kind, 2.0)
    cut = first[: len(first) * 2 // 3]
    got, recording = read(cut + second)
    expected = read(second)[0]
    assert np.abs(got[-len(expected) :] - expected).max() < 1e-6
    assert 0.8 * 48000 < len(got) - len(expected) < 2.5 * 48000
    (warning,) = recording.warnings
    assert "stream 1, at 0.00 s: " in warning


def test_a_stream_whose_beginning_is_lost_is_told(tmp_path: Path) -> None:
    first, second = encoded(tmp_path, "ogg", 1.0), encoded(tmp_path, "ogg", 1.5)
    got, recording = read(first + bytes(100) + second[100:])
    assert np.array_equal(got, read(first)[0])
    (warning,) = recording.warnings
    assert "of a stream whose beginning is missing" in warning


def test_a_stream_that_cannot_be_decoded_is_told_and_the_next_is_read(tmp_path: Path) -> None:
    first, second = encoded(tmp_path, "ogg", 1.0), bytearray(encoded(tmp_path, "ogg", 1.5))
    head = second.index(b"\x05vorbis")
    second[head : head + 2000] = bytes(2000)
    got, recording = read(first + bytes(second) + first)
    assert np.array_equal(got, each(first, first))
    (warning,) = recording.warnings
    assert "stream 2, at 1.00 s: cannot be decoded" in warning


def test_what_is_no_ogg_behind_ogg_is_told(tmp_path: Path) -> None:
    ogg, wav = (write(tmp_path / name, noise(0.5)).read_bytes() for name in ("a.ogg", "a.wav"))
    got, recording = read(ogg + wav)
    assert np.array_equal(got, read(ogg)[0])
    assert f"{len(wav)} bytes after its last page" in recording.warnings[0]
    for harmless in (b"TAG" + bytes(125), bytes(5000), b"stray"):
        assert read(ogg + ogg + harmless)[1].warnings == []


def test_sound_between_the_pages_of_pictures_is_read(tmp_path: Path) -> None:
    wav = write(tmp_path / "a.wav", noise(2, 48000), 48000)
    pictures = ("-f", "lavfi", "-i", "testsrc=duration=2:size=64x64:rate=10")
    ffmpeg(*pictures, "-i", wav, "-c:v", "libtheora", "-c:a", "libvorbis", tmp_path / "film.ogv")
    film = (tmp_path / "film.ogv").read_bytes()
    alone = encoded(tmp_path, "ogg", 1.0, 48000, 1)
    sound, recording = read(film)
    assert (len(sound), recording.warnings) == (2 * 48000, [])
    assert np.corrcoef(sound, noise(2, 48000)[:, 0])[0, 1] > 0.9
    got, recording = read(alone + film + alone)
    assert np.array_equal(got, each(alone, film, alone))
    assert recording.warnings == []


@pytest.mark.parametrize("kind", ["ogg", "opus"])
@pytest.mark.parametrize("granule", [-1, 0, 1000])
def test_a_last_page_that_states_too_little_is_not_believed(tmp_path: Path, kind: str, granule: int) -> None:
    data = encoded(tmp_path, kind, 5.0)
    whole = read(data)[0]
    last = data.rindex(b"OggS")
    page = data[last : last + 6] + granule.to_bytes(8, "little", signed=True) + data[last + 14 : last + 22]
    rest = data[last + 26 :]
    page += ogg_checksum(page + bytes(4) + rest).to_bytes(4, "little") + rest
    got, recording = read(data[:last] + page)
    assert np.array_equal(got[: len(whole)], whole)
    assert len(got) < len(whole) + 4800
    (note,) = recording.warnings
    assert note.endswith("fewer samples than are there; all are read")


def ogg_checksum(data: bytes) -> int:
    crc = 0
    for bit in np.unpackbits(np.frombuffer(data, np.uint8)):
        crc = (crc << 1 ^ (0x04C11DB7 if (crc >> 31) ^ int(bit) else 0)) & 0xFFFFFFFF
    return crc


def test_flac_in_ogg_is_read_whatever_length_it_states(tmp_path: Path) -> None:
    data = bytearray(encoded(tmp_path, "oga", 1.5))
    total = data.index(b"fLaC") + 21
    for stated in (0, 1000, 10**9):
        data[total : total + 5] = (stated | (data[total] & 0xF0) << 32).to_bytes(5, "big")
        got, recording = read(bytes(data))
        assert len(got) == 1.5 * 48000
        assert recording.warnings == []


def test_several_streams_without_sound_are_refused(tmp_path: Path) -> None:
    pictures = ("-f", "lavfi", "-i", "testsrc=duration=1:size=64x64:rate=10")
    ffmpeg(*pictures, "-c:v", "libtheora", tmp_path / "film.ogv")
    with pytest.raises(AudioError, match="needs ffmpeg"):
        read((tmp_path / "film.ogv").read_bytes() * 2)


def test_many_streams_open_no_more_files_than_one(tmp_path: Path) -> None:
    link = encoded(tmp_path, "ogg", 0.1)
    with_copies = tmp_path / "chain.ogg"
    with_copies.write_bytes(link * 50)
    file = open_file(with_copies, "chain")
    decoder = open_decoder(file)
    open_files = []
    for _ in decoder.blocks(4800):
        open_files.append(len(list(Path("/proc/self/fd").iterdir())))
    decoder.close()
    file.stream.close()
    assert len(open_files) == 50
    assert max(after - before for before, after in pairwise(open_files)) <= 0
