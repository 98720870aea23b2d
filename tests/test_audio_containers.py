"""Headers that state fewer samples than there are: all are read, and nothing else is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from audio_containers import CONTAINERS, Container, as_read, au, stored
from audio_files import ffmpeg, noise, read, truth, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diffres_cli.audio import open_recording
from diffres_cli.audio.chunks import find_samples
from diffres_cli.audio.sources import OpenFile

NOISE = noise(0.5)[:11024]  # a number of samples that needs no padding in any format
EVERY = pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
many = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(autouse=True)
def _no_ffmpeg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))


def order(container: Container) -> str:
    return "little" if container.how.get("endian") == "LITTLE" else container.order


@EVERY
@pytest.mark.parametrize("before", [0, 70_000])
@pytest.mark.parametrize("part", [0, 0.1, 0.9])
def test_samples_that_a_header_leaves_out_are_read(
    tmp_path: Path, container: Container, before: int, part: float
) -> None:
    lead, samples = container.parts(tmp_path, NOISE)
    lead += container.chunk(b"JUNK", bytes(before)) if before else b""
    stated = round(len(NOISE) * part) * 2
    got, recording = read(container.file(lead, samples, stated))
    assert np.array_equal(got, as_read(samples, order(container)))
    if part:
        (warning,) = recording.warnings
        assert f"states {stated / 2 / 22050:.2f} s" in warning
        assert "0.50 s" in warning
        assert recording.frames == len(NOISE)
    else:
        assert recording.frames in (None, len(NOISE))
        assert recording.warnings == []


@EVERY
@pytest.mark.parametrize("before", [0, 70_000])
def test_a_size_that_means_unknown_is_none(tmp_path: Path, container: Container, before: int) -> None:
    lead, samples = container.parts(tmp_path, NOISE)
    lead += container.chunk(b"JUNK", bytes(before)) if before else b""
    got, recording = read(container.file(lead, samples, -1 - container.skipped - container.counted))
    assert np.array_equal(got, as_read(samples, order(container)))
    assert recording.warnings == []


@EVERY
@many
@given(data=st.data())
def test_what_follows_samples_in_good_order_is_not_read(
    tmp_path: Path, container: Container, data: st.DataObject
) -> None:
    lead, samples = container.parts(tmp_path, NOISE[: data.draw(st.integers(1, 3000))])
    names = st.sampled_from([b"LIST", b"id3 ", b"cue ", b"PEAK", b"elm1", b"zz 9"])
    contents = st.integers(0, 20_000).map(lambda n: (b"\x12\xf3\x80" * n)[:n])
    chunks = data.draw(st.lists(st.tuples(names, contents), max_size=3))
    strays = st.one_of(
        st.binary(max_size=40),
        st.sampled_from([bytes(4096), bytes(30_000), b"TAG" + bytes(range(125))]),
    )
    tail = b"".join(container.chunk(name, content) for name, content in chunks) + data.draw(strays)
    got, recording = read(container.file(lead, samples, behind=tail))
    assert np.array_equal(got, as_read(samples, order(container)))
    assert (recording.frames, recording.warnings) == (len(got), [])


@EVERY
@many
@given(
    stated=st.integers(0, 8000),
    count=st.integers(750, 2250).map(lambda n: 4 * n),
    junk=st.sampled_from([0, 100_001]),
)
def test_every_understatement_is_seen(
    tmp_path: Path, container: Container, stated: int, count: int, junk: int
) -> None:
    lead, samples = container.parts(tmp_path, NOISE[:count])
    lead += container.chunk(b"bext", bytes(junk)) if junk else b""
    whole = as_read(samples, order(container))
    got, _ = read(container.file(lead, samples, stated))
    if len(samples) - stated > 1024:
        assert np.array_equal(got, whole)
    assert abs(len(got) - len(whole)) <= 512  # what is taken for a tag or padding


@pytest.mark.parametrize("endian", ["little", "big"])
@pytest.mark.parametrize("note", [b"", bytes(5000), bytes(100_000)], ids=len)
@pytest.mark.parametrize("size", [0, 4410, -1])
def test_au_is_read_to_its_end(endian: str, note: bytes, size: int) -> None:
    samples = stored(NOISE, endian)
    got, recording = read(au(samples, size, endian, note))  # type: ignore[arg-type]
    assert np.array_equal(got, as_read(samples, endian))
    assert len(recording.warnings) == (size > 0)
    assert read(au(samples, len(samples), endian, note) + b"stray")[1].warnings == []  # type: ignore[arg-type]


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"])
@pytest.mark.parametrize(("extension", "width"), [("wav", 4), ("aiff", 4), ("caf", 8)])
def test_every_encoding_is_read_to_its_end(tmp_path: Path, extension: str, width: int, subtype: str) -> None:
    name = "PCM_S8" if (subtype, extension) == ("PCM_U8", "caf") else subtype
    path = write(tmp_path / f"a.{extension}", noise(0.5, channels=3), subtype=name)
    expected, data = truth(path), bytearray(path.read_bytes())
    size_offset = data.index(b"SSND" if extension == "aiff" else b"data") + 4
    skipped = {"wav": 0, "aiff": 8, "caf": 4}[extension]
    data[size_offset : size_offset + width] = (2400 + skipped).to_bytes(
        width, "little" if extension == "wav" else "big"
    )
    got, recording = read(bytes(data[: size_offset + width + skipped + _stored(path)]))
    assert np.abs(got - expected).max() < 1e-7
    assert "0.50 s" in recording.warnings[0]


def _stored(path: Path) -> int:
    import soundfile

    info = soundfile.info(path)
    width = {"16": 2, "24": 3, "32": 4, "T": 4, "E": 8}
    return info.frames * 3 * next((n for end, n in width.items() if info.subtype.endswith(end)), 1)


@pytest.mark.parametrize("subtype", ["IMA_ADPCM", "MS_ADPCM", "GSM610"])
def test_compressed_samples_are_read_to_their_end(tmp_path: Path, subtype: str) -> None:
    path = write(tmp_path / "a.wav", noise(2), subtype=subtype)
    expected, data = truth(path), bytearray(path.read_bytes())
    size_offset = data.index(b"data") + 4
    data[size_offset : size_offset + 4] = (2600).to_bytes(4, "little")
    got, recording = read(bytes(data))
    assert len(got) >= len(expected)
    assert np.array_equal(got[: len(expected)], expected)
    assert "fewer samples than are there" in recording.warnings[0]


@pytest.mark.parametrize("size", [None, 0, 3000])
def test_mp3_in_wav_is_read_to_its_end(tmp_path: Path, size: int | None) -> None:
    ffmpeg("-i", write(tmp_path / "a.wav", noise(4)), "-c:a", "libmp3lame", tmp_path / "mp3.wav")
    data = bytearray((tmp_path / "mp3.wav").read_bytes())
    if size is not None:
        at = data.index(b"data") + 4
        data[at : at + 4] = size.to_bytes(4, "little")
    got, recording = read(bytes(data))
    assert 4 * 22050 <= len(got) < 4 * 22050 + 4 * 576
    assert recording.warnings == []


def test_a_size_that_wrapped_at_4_gib_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    header = write(path, noise(0)).read_bytes()[:40]
    for tail in (b"", b"LIST\x04\0\0\0INFO"):
        path.write_bytes(header + (6 * 44100).to_bytes(4, "little"))
        os.truncate(path, 44 + 2**32 + 6 * 44100)
        with path.open("ab") as stream:
            stream.write(tail)
        with open_recording(path) as recording:
            assert recording.frames == 2**31 + 6 * 22050
            assert "states 6.00 s" in recording.warnings[0]
            assert len(next(recording.blocks(22050))) > 0


def test_a_pipe_of_more_than_4_gib_is_not_cut(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    path.write_bytes(write(path, noise(0)).read_bytes()[:40] + b"\xff" * 4)
    os.truncate(path, 44 + 2**32 + 6 * 44100)
    with path.open("rb") as stream:
        found = find_samples(OpenFile(str(path), stream, ""))
    assert found is not None
    assert (found.stated, found.length) == (None, 2**32 + 6 * 44100)
    with open_recording(path) as recording:
        assert recording.frames is None


KILLED = """
import os, signal, sys, wave
with wave.open(sys.argv[1], "wb") as out:
    out.setnchannels(1); out.setsampwidth(2); out.setframerate(22050)
    samples = open(sys.argv[2], "rb").read()
    for first in range(0, len(samples), 4410):
        out.writeframesraw(samples[first : first + 4410])
    out._file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_recorder_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "samples").write_bytes(stored(noise(8)))
    command = [sys.executable, "-c", KILLED, str(tmp_path / "a.wav"), str(tmp_path / "samples")]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    got, recording = read(tmp_path / "a.wav")
    assert np.array_equal(got, as_read(stored(noise(8))))
    assert "states 0.10 s" in recording.warnings[0]


@pytest.mark.parametrize("kind", [["wav"], ["wav", "-rf64", "always"], ["w64"], ["aiff"], ["au"], ["caf"]])
def test_what_ffmpeg_writes_to_a_pipe_is_read_without_it(tmp_path: Path, kind: list[str]) -> None:
    path = write(tmp_path / "a.wav", noise(1))
    got, recording = read(ffmpeg("-i", path, "-f", *kind, "-"))
    assert np.array_equal(got, truth(path))
    assert recording.warnings == []


@pytest.mark.parametrize("container", ["wav", "rf64", "aiff"])
def test_a_second_recording_in_a_file_is_told(tmp_path: Path, container: str) -> None:
    kind = CONTAINERS[container]
    lead, samples = kind.parts(tmp_path, NOISE)
    one = kind.file(lead, samples)
    got, recording = read(one + one)
    assert len(got) == len(NOISE)
    assert f"another recording begins {len(one)} bytes" in recording.warnings[0]
    _, recording = read(kind.file(lead, samples, behind=kind.chunk(kind.name, samples)))
    assert "second chunk of samples" in recording.warnings[0]


@pytest.mark.parametrize("other", ["flac", "ogg"])
def test_a_recording_in_another_format_behind_is_no_samples(tmp_path: Path, other: str) -> None:
    lead, samples = CONTAINERS["wav"].parts(tmp_path, NOISE)
    one = CONTAINERS["wav"].file(lead, samples)
    got, recording = read(one + write(tmp_path / f"a.{other}", NOISE).read_bytes())
    assert len(got) == len(NOISE)
    assert f"another recording begins {len(one)} bytes" in recording.warnings[0]


@pytest.mark.parametrize("off", [-24, -4, 2, 6, 24])
def test_a_size_that_is_off_by_some_bytes_adds_no_sound(tmp_path: Path, off: int) -> None:
    wav = CONTAINERS["wav"]
    lead, samples = wav.parts(tmp_path, NOISE)
    behind = wav.chunk(b"LIST", b"INFO" + bytes(range(256)) * 20)
    got, recording = read(wav.file(lead, samples, len(samples) + off, behind))
    assert np.array_equal(got, as_read(samples))
    assert recording.warnings == []


def test_frames_of_two_sizes_are_told(tmp_path: Path) -> None:
    data = bytearray(write(tmp_path / "a.wav", NOISE, subtype="PCM_32").read_bytes())
    at = data.index(b"fmt ") + 22
    data[at : at + 2] = (24).to_bytes(2, "little")  # bits a sample, in frames of 4 bytes
    assert "a frame takes 4 bytes or 3" in read(bytes(data))[1].warnings[0]


def test_padding_that_a_program_left_out_is_not_missed(tmp_path: Path) -> None:
    wav = CONTAINERS["wav"]
    lead, samples = wav.parts(tmp_path, NOISE)
    odd = b"bext" + (5).to_bytes(4, "little") + b"abcde"
    got, recording = read(wav.file(lead + odd, samples))
    assert np.array_equal(got, as_read(samples))
    assert recording.warnings == []
