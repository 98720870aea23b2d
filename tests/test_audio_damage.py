"""Bad input: one clear line, what can be decoded is given, and what is missing is told in seconds."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from audio_files import noise, read, truth, write

from diffres_cli.audio import open_recording
from diffres_cli.errors import AudioError


@pytest.fixture(autouse=True)
def _no_ffmpeg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))


def refusal(path: str | Path) -> str:
    """The one line said about a file, the folder before its name left out."""
    with pytest.raises(AudioError) as caught:
        read(path)
    assert str(caught.value).isprintable()
    return str(caught.value).replace(f"{Path(path).parent}/", "")


@contextmanager
def not_as_root() -> Iterator[None]:
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_what_is_not_there_or_not_a_file_is_refused_at_once(tmp_path: Path) -> None:
    assert refusal(tmp_path / "a.wav") == "a.wav: no such file or folder"
    (tmp_path / "folder.wav").mkdir()
    assert refusal(tmp_path / "folder.wav") == "folder.wav: a folder, not a recording; name the files in it"
    os.mkfifo(tmp_path / "pipe.wav")
    assert "pipe.wav: a pipe, not a regular file; send it to standard input" in refusal(tmp_path / "pipe.wav")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s.wav"))
        assert refusal(tmp_path / "s.wav") == "s.wav: a device or socket, not a regular file"
    assert refusal("/dev/zero") == "zero: a device or socket, not a regular file"
    assert refusal("/dev/zero\0.wav").endswith("not a possible file name")
    assert refusal("\ud800.wav").endswith("not a possible file name")
    assert refusal("") == "'': not a possible file name"
    assert refusal(tmp_path / ("a" * 300)).endswith("cannot be opened (File name too long)")


def test_links_are_followed(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", noise(1))
    (tmp_path / "link.wav").symlink_to("a.wav")
    assert len(read(tmp_path / "link.wav")[0]) == 22050
    (tmp_path / "lost.wav").symlink_to("gone.wav")
    assert refusal(tmp_path / "lost.wav") == "lost.wav: no such file or folder"
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    assert refusal(tmp_path / "loop.wav").startswith("loop.wav: cannot be opened (")


def test_a_file_one_may_not_read_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and folder.name.startswith("pytest"):
            folder.chmod(0o755)
    path = write(tmp_path / "a.wav", noise(1))
    path.chmod(0)
    with not_as_root():
        assert refusal(path) == "a.wav: no permission to read it"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty (0 bytes)"),
        (b"Dear diary,\r\n\ttoday it rained.\n", "a text file, not audio"),
        ("Überraschung! 音".encode(), "a text file, not audio"),
        ("Latin £".encode("latin-1"), "a text file, not audio"),
        (b"#EXTM3U\nhttp://example.org/a.ts\n", "a text file, not audio"),
    ],
)
def test_a_file_without_audio_is_refused_in_few_words(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    assert refusal(tmp_path / "a.wav") == f"a.wav: {message}"


def test_what_is_left_of_a_wav_header_is_refused(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.wav", noise(1)).read_bytes()
    (tmp_path / "cut.wav").write_bytes(whole[:20])
    assert refusal(tmp_path / "cut.wav").startswith("cut.wav: libsndfile: Error in WAV")
    (tmp_path / "header.wav").write_bytes(whole[:44])
    assert refusal(tmp_path / "header.wav") == "header.wav: it holds no samples"
    assert refusal(write(tmp_path / "none.wav", noise(0))) == "none.wav: it holds no samples"


def test_a_sample_rate_of_nothing_is_named(tmp_path: Path) -> None:
    data = bytearray(write(tmp_path / "a.wav", noise(1)).read_bytes())
    data[24:28] = bytes(4)
    (tmp_path / "a.wav").write_bytes(data)
    assert "its header states a sample rate of 0 Hz" in refusal(tmp_path / "a.wav")


@pytest.mark.parametrize(
    "content", [bytes(10000), bytes(range(256)) * 40, b"\0\0\0\x18ftypM4A " + bytes(100)]
)
def test_a_format_for_ffmpeg_is_told_so_where_there_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.m4a").write_bytes(content)
    assert refusal(tmp_path / "a.m4a") == (
        "a.m4a: libsndfile: Format not recognised; WAV, FLAC, OGG, Opus, MP3, AIFF, AU and CAF are read "
        "directly, everything else (M4A, MP4, MKV, …) needs ffmpeg on the PATH, which is not there"
    )


# What may be missing at the cut: nothing of PCM (CAF has a header of 4 KiB), a block of FLAC, frames of MP3.
@pytest.mark.parametrize(
    ("extension", "kind", "lost"),
    [
        *[("wav", "WAV", 0), ("wav", "RF64", 0), ("wav", "WAVEX", 0), ("w64", "W64", 0), ("aiff", "AIFF", 0)],
        *[("au", "AU", 0), ("caf", "CAF", 2048), ("flac", "FLAC", 4096), ("mp3", "MP3", 3 * 1152)],
    ],
)
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_read_up_to_the_cut(
    tmp_path: Path, extension: str, kind: str, lost: int, part: float, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / f"a.{extension}", noise(6), format=kind)
    whole = truth(path)
    os.truncate(path, round(path.stat().st_size * part))
    got, recording = read(path)
    assert len(whole) * part * 0.97 - lost - 100 < len(got) < len(whole)  # 100: the header's share
    sure = len(got) - lost
    assert np.abs(got[:sure] - whole[:sure]).max() < 1e-6
    assert recording.duration == len(got) / 22050
    (warning,) = recording.warnings
    promised, found = (float(number) for number in re.findall(r"\d+\.\d+", warning)[:2])
    # W64 states the length of the whole file, so its promise is known to a header's length only.
    assert promised == pytest.approx(6, abs=0.02 if kind == "W64" else 0)
    assert found == round(recording.duration, 2)
    assert warning.startswith(f"the header promises {promised:.2f} s, {found:.2f} s could be read")
    assert capfd.readouterr().err == ""


def test_a_promise_is_kept_to_the_sample(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", noise(6))
    os.truncate(path, path.stat().st_size - 2)
    got, recording = read(path)
    assert len(got) == 6 * 22050 - 1
    assert recording.warnings == ["the header promises 6.000000 s, 5.999955 s could be read"]


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000, 0x7FFFF024, 0x80000000, 0x7FFFFFFF])
def test_the_length_a_pipe_could_not_know_is_no_promise(tmp_path: Path, size: int) -> None:
    path = write(tmp_path / "a.wav", noise(2), subtype="PCM_16")
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = size.to_bytes(4, "little")
    got, recording = read(bytes(data))
    assert np.array_equal(got, truth(path))
    assert (recording.frames, recording.warnings) == (None, [])


@pytest.mark.parametrize("whole", [0, 36, 0xFFFFFFFF, 0x7FFFF024], ids=hex)
@pytest.mark.parametrize("sound", [noise(2), np.zeros(9999)], ids=["noise", "silence"])
def test_a_size_of_nothing_in_front_of_samples_is_none(tmp_path: Path, whole: int, sound: np.ndarray) -> None:
    path = write(tmp_path / "a.wav", sound, subtype="PCM_16")
    expected = truth(path)
    data = bytearray(path.read_bytes())
    data[4:8], data[40:44] = whole.to_bytes(4, "little"), bytes(4)
    path.write_bytes(data)
    for source in (path, bytes(data)):
        got, recording = read(source)
        assert np.array_equal(got, expected)
        assert (recording.frames, recording.warnings) == (None, [])


def test_what_follows_no_samples_is_no_samples(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", np.zeros(0), subtype="PCM_16")
    note = b"LIST" + (16).to_bytes(4, "little") + b"INFOICMT" + (4).to_bytes(4, "little") + b"none"
    data = bytearray(path.read_bytes()[:44] + note)
    data[4:8] = (len(data) - 8).to_bytes(4, "little")
    path.write_bytes(data)
    assert refusal(path) == "a.wav: it holds no samples"


@pytest.mark.parametrize(("extension", "subtype"), [("mp3", None), ("ogg", "VORBIS")])
def test_damage_inside_other_formats_is_told(
    tmp_path: Path, extension: str, subtype: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / f"a.{extension}", noise(30, 48000), 48000, subtype=subtype)
    whole, data = truth(path), bytearray(path.read_bytes())
    middle, width = len(data) // 2, len(data) // 8
    data[middle : middle + width] = bytes(width)
    got, recording = read(bytes(data))
    sure = len(whole) // 3
    assert np.abs(got[:sure] - whole[:sure]).max() < 1e-6
    assert recording.warnings[0].startswith("the header promises 30.00 s, ")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
@pytest.mark.parametrize("lost", [1, 9_000, 40_000])
def test_an_ogg_file_that_breaks_off_is_told(tmp_path: Path, subtype: str, lost: int) -> None:
    data = write(tmp_path / "a.ogg", noise(8, 48000), 48000, subtype=subtype).read_bytes()
    _, recording = read(data[:-lost])
    where = "damaged: it breaks off before its last page; "
    assert recording.warnings == [f"{where}{recording.duration:.2f} s could be read"]
    assert read(data + b"TAG" + bytes(125))[1].warnings == []


def test_nothing_decodable_is_an_error(tmp_path: Path) -> None:
    data = write(tmp_path / "a.flac", noise(1)).read_bytes()
    first_frame = data.index(b"\xff\xf8")
    (tmp_path / "a.flac").write_bytes(data[:first_frame] + bytes(len(data) - first_frame))
    assert refusal(tmp_path / "a.flac") == "a.flac: nothing in it could be decoded (flac decoder lost sync)"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors the way Linux lists them")
@pytest.mark.filterwarnings("error")  # what is left to the garbage collector is a warning
def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    good = write(tmp_path / "a.flac", noise(1))
    mp3 = (
        write(tmp_path / "a.mp3", noise(1)).read_bytes().replace(b"Xing", bytes(4)).replace(b"Info", bytes(4))
    )
    slow = write(tmp_path / "slow.wav", noise(1), 1)
    (tmp_path / "text.wav").write_text("text")
    (tmp_path / "zeros.wav").write_bytes(bytes(999))
    before = len(list(Path("/proc/self/fd").iterdir()))
    read(good)
    read(good.read_bytes())
    assert read(mp3)[1].frames is None
    with open_recording(good) as recording:
        next(recording.blocks(32000))
    for bad in (slow, tmp_path / "text.wav", tmp_path / "zeros.wav"):
        refusal(bad)
    for data in (b"", b"text", slow.read_bytes()):
        with pytest.raises(AudioError):
            open_recording(data)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize(
    ("extension", "how"),
    [
        *[
            ("wav", {"format": "WAV"}),
            ("wav", {"format": "RF64"}),
            ("w64", {}),
            ("wav", {"subtype": "IMA_ADPCM"}),
        ],
        *[("aiff", {}), ("au", {}), ("caf", {}), ("flac", {}), ("ogg", {}), ("mp3", {})],
    ],
)
def test_any_damage_gives_a_recording_or_one_line(
    tmp_path: Path, extension: str, how: dict[str, str]
) -> None:
    good = write(tmp_path / f"a.{extension}", noise(0.5), **how).read_bytes()
    generator = np.random.default_rng(0)
    for _ in range(20):
        data = bytearray(good)
        place, width = int(generator.integers(100)), int(generator.integers(1, 20))
        data[place : place + width] = generator.bytes(width)
        del data[int(generator.integers(len(data))) :]
        try:
            samples, recording = read(bytes(data))
            lines = recording.warnings
            assert np.isfinite(samples).all()
        except AudioError as error:
            lines = [str(error)]
        assert all(line.isprintable() for line in lines)
