"""Healthy recordings: every format, rate, channel count and kind of source gives the right samples."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from audio_files import Samples, noise, python, read, truth, write
from patience import PATIENCE

from diffres_cli.audio import open_recording
from diffres_cli.audio.sndfile import SndfileDecoder
from diffres_cli.audio.sources import open_file
from diffres_cli.errors import AudioError, UsageError

# (extension, format, subtype, largest error: half a step of the sample type, or what the codec loses)
LOSSLESS = [
    ("wav", "WAV", "PCM_U8", 2**-7),
    ("wav", "WAV", "PCM_16", 2**-15),
    ("wav", "WAV", "PCM_24", 2**-23),
    ("wav", "WAV", "PCM_32", 2**-24),
    ("wav", "WAV", "FLOAT", 0),
    ("wav", "WAV", "DOUBLE", 0),
    ("wav", "WAV", "ALAW", 2**-5),
    ("wav", "WAV", "ULAW", 2**-5),
    ("wav", "WAVEX", "PCM_16", 2**-15),
    ("wav", "RF64", "PCM_16", 2**-15),
    ("w64", "W64", "PCM_16", 2**-15),
    ("flac", "FLAC", "PCM_16", 2**-15),
    ("flac", "FLAC", "PCM_24", 2**-23),
    ("aiff", "AIFF", "PCM_16", 2**-15),
    ("aiff", "AIFF", "FLOAT", 0),
    ("au", "AU", "PCM_16", 2**-15),
    ("caf", "CAF", "PCM_16", 2**-15),
]


@pytest.mark.parametrize(("extension", "kind", "subtype", "error"), LOSSLESS)
def test_reads_the_samples_that_were_written(
    tmp_path: Path, extension: str, kind: str, subtype: str, error: float
) -> None:
    samples = noise(seconds=4, channels=2)
    path = write(tmp_path / f"a.{extension}", samples, format=kind, subtype=subtype)
    got, recording = read(path)
    assert got.dtype == np.float32
    assert np.abs(got - samples.mean(axis=1)).max() <= error + 1e-7  # float32 mean of two channels
    assert (recording.frames, recording.channels, recording.sample_rate) == (len(samples), 2, 22050)
    assert recording.duration == 4
    assert recording.warnings == []


@pytest.mark.parametrize(
    ("extension", "subtype", "rate"), [("ogg", "VORBIS", 22050), ("ogg", "OPUS", 48000), ("mp3", None, 44100)]
)
def test_lossy_formats_are_read_to_the_end(
    tmp_path: Path, extension: str, subtype: str, rate: int, capfd: pytest.CaptureFixture[str]
) -> None:
    samples = noise(seconds=4, rate=rate, channels=2)
    path = write(tmp_path / f"a.{extension}", samples, rate, subtype=subtype)
    got, recording = read(path)
    expected = truth(path)
    assert len(got) == len(samples)
    assert np.abs(got - expected).max() < 1e-6
    assert np.corrcoef(got, samples.mean(axis=1))[0, 1] > 0.9
    assert recording.warnings == []
    assert capfd.readouterr().err == ""  # libmpg123 has opinions on files that libsndfile wrote


@pytest.mark.parametrize("rate", [8000, 22050, 44100])
def test_an_mp3_has_the_same_samples_however_it_is_cut_into_blocks(tmp_path: Path, rate: int) -> None:
    path = write(tmp_path / "a.mp3", noise(4, rate), rate)

    def decoded(frames: int) -> Samples:
        file = open_file(path, "a.mp3")
        decoder = SndfileDecoder(file)
        blocks = list(decoder.blocks(frames))
        decoder.close()
        file.stream.close()
        return np.concatenate(blocks)

    assert np.array_equal(decoded(1000), decoded(10**6))


def test_channels_are_averaged(tmp_path: Path) -> None:
    levels = np.linspace(-0.5, 0.9, 64, dtype=np.float32)
    path = write(tmp_path / "a.wav", np.tile(levels, (1000, 1)), subtype="FLOAT")
    got, recording = read(path)
    assert recording.channels == 64
    assert np.allclose(got, levels.mean(), atol=1e-6)
    assert len(got) == 1000


@pytest.mark.parametrize("rate", [100, 8000, 384_000, 1_000_000])
def test_unusual_rates_are_read(tmp_path: Path, rate: int) -> None:
    path = write(tmp_path / "a.wav", noise(2, rate), rate)
    got, recording = read(path, rate=32000)
    assert (recording.sample_rate, recording.duration) == (rate, 2)
    assert len(got) == 64000


@pytest.mark.parametrize("rate", [1, 99, 1_000_001])
def test_impossible_rates_are_refused(tmp_path: Path, rate: int) -> None:
    path = write(tmp_path / "a.wav", noise(0.1), rate)
    with pytest.raises(AudioError, match=f"sample rate is {rate} Hz; allowed: 100 to 1000000 Hz"):
        open_recording(path)


def test_three_samples_and_silence_are_recordings(tmp_path: Path) -> None:
    assert len(read(write(tmp_path / "three.wav", noise(1)[:3]))[0]) == 3
    assert not read(write(tmp_path / "silence.wav", np.zeros((22050, 1), np.float32)))[0].any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
@pytest.mark.parametrize("channel", [0, 1])
def test_samples_that_are_no_sound_are_refused_with_their_time(
    tmp_path: Path, bad: float, channel: int
) -> None:
    samples = noise(20, channels=2)
    samples[15 * 22050, channel] = bad
    path = write(tmp_path / "a.wav", samples, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"a\.wav: a sample is (nan|-?inf|5e\+29) at 15\.000 s"):
        read(path)


@pytest.mark.filterwarnings("error")
def test_infinities_that_cancel_are_refused_without_a_numpy_warning(tmp_path: Path) -> None:
    samples = np.tile(np.array([np.inf, -np.inf], np.float32), (10, 1))
    path = write(tmp_path / "a.wav", samples, subtype="FLOAT")
    with pytest.raises(AudioError, match="a sample is"):
        read(path)


def test_bytes_and_streams_are_read_like_files(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", noise(3))
    expected = truth(path)
    assert np.array_equal(read(path.read_bytes())[0], expected)
    assert np.array_equal(read(io.BytesIO(path.read_bytes()))[0], expected)
    with path.open("rb") as stream:
        got, recording = read(stream)
    assert np.array_equal(got, expected)
    assert recording.name == str(path)
    assert read(path.read_bytes(), name="spoken")[1].name == "spoken"


@pytest.mark.parametrize(
    "name", ["-dash.wav", "new\nline.wav", b"caf\xe9.wav", "file:a.wav", "é 100%s {0}.wav"]
)
@pytest.mark.parametrize("absolute", [True, False])
def test_any_name_can_be_opened(
    tmp_path: Path, name: str | bytes, absolute: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(write(tmp_path / "plain.wav", noise(1)).read_bytes())
    monkeypatch.chdir(tmp_path)
    assert len(read(path if absolute else path.name)[0]) == 22050


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("new\nline.wav", r"new\nline.wav"),
        (b"caf\xe9.wav", r"caf\xe9.wav"),
        ("\x1b[2J\u202e", r"\x1b[2J\u202e"),
    ],
)
def test_any_name_is_shown_on_one_readable_line(tmp_path: Path, name: str | bytes, shown: str) -> None:
    with pytest.raises(AudioError) as caught:
        open_recording(tmp_path / os.fsdecode(name))
    assert f"/{shown}: no such file" in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("dtype", "zero", "full"),
    [("u1", 128, 128), ("i1", 0, 2**7), ("i2", 0, 2**15), (">i2", 0, 2**15), ("i4", 0, 2**31)],
)
def test_integer_arrays_are_scaled_to_full_scale_one(dtype: str, zero: int, full: int) -> None:
    array = (noise(1, channels=2) * full + zero).astype(dtype)
    got, recording = read(array, sample_rate=22050)
    assert np.allclose(got, (array.astype(float) - zero).mean(axis=1) / full, atol=1e-7)
    assert (recording.name, recording.duration) == ("array", 1)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4"])
@pytest.mark.parametrize("shape", [(22050,), (22050, 1), (22050, 3)])
def test_float_arrays_are_taken_as_they_are(dtype: str, shape: tuple[int, ...]) -> None:
    array = np.linspace(-1, 1, int(np.prod(shape))).reshape(shape).astype(dtype)
    got, _ = read(array, sample_rate=22050)
    expected = array.astype(np.float32).reshape(22050, -1).mean(axis=1)
    assert np.allclose(got, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 48000)), r"shape \(2, 48000\) would be 48000 channels.*transpose"),
        (np.zeros((2, 2, 2)), r"not of shape \(2, 2, 2\)"),
        (np.zeros(()), r"not of shape \(\)"),
        (np.zeros(9, np.int64), "samples of type int64 are not read; allowed: float, or PCM"),
        (np.zeros(9, np.complex64), "samples of type complex64"),
        (np.zeros(9, bool), "samples of type bool"),
        (np.zeros(0), "it holds no samples"),
        (np.zeros((0, 2)), "it holds no samples"),
        (np.full(9, np.nan), "a sample is nan at 0.000 s"),
    ],
)
def test_arrays_that_are_no_sound_are_refused(array: Any, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        read(array, sample_rate=48000)


def test_requests_that_make_no_sense_are_usage_errors(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", noise(1))
    with pytest.raises(UsageError, match="pass sample_rate, in Hz"):
        open_recording(np.zeros(9))
    with pytest.raises(UsageError, match="only an array needs one"):
        open_recording(path, sample_rate=8000)
    with pytest.raises(UsageError, match="not of type list"):
        open_recording([0.1, 0.2], sample_rate=8000)  # type: ignore[arg-type]
    with path.open(errors="replace") as text, pytest.raises(UsageError, match="not of type TextIOWrapper"):
        open_recording(text)  # type: ignore[arg-type]


def test_a_closed_standard_error_is_left_alone(tmp_path: Path) -> None:
    # What is opened next becomes descriptor 2: the recording itself.
    script = "import sys; from audio_files import read; print(len(read(sys.argv[1])[0]))"
    script = f"import os\nassert os.open('/dev/null', os.O_RDONLY) == 2\nos.close(2)\n{script}"
    path = write(tmp_path / "a.mp3", noise(1, 44100), 44100)
    command = ["sh", "-c", 'exec "$0" "$@" 2>&-', sys.executable, "-c", script, str(path)]
    result = subprocess.run(
        command, stdout=subprocess.PIPE, check=True, cwd=Path(__file__).parent, timeout=PATIENCE
    )
    assert result.stdout == b"44100\n"


LAZY = """
import sys
import diffres_cli.audio

def read(rate):
    with diffres_cli.audio.open_recording(sys.argv[1]) as recording:
        list(recording.blocks(rate))

assert not {"soundfile", "soxr"} & set(sys.modules)
read(22050)
assert "soxr" not in sys.modules
read(32000)
assert "soxr" in sys.modules
"""


def test_libraries_are_loaded_when_a_file_needs_them(tmp_path: Path) -> None:
    result = python(LAZY, write(tmp_path / "a.wav", noise(1)))
    assert result.returncode == 0, result.stderr.decode()


PEAK = """
import resource, sys
from diffres_cli.audio import open_recording, windows
with open_recording(sys.argv[1]) as recording:
    count = sum(1 for _ in windows(recording.blocks(16000), 160000, 160000, 16000))
print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_recording(tmp_path: Path) -> None:
    short = write(tmp_path / "short.wav", np.zeros((8000 * 10, 1), np.float32), 8000, subtype="PCM_16")
    long = tmp_path / "long.wav"
    hour = 8000 * 3600 * 2  # bytes
    header = bytearray(short.read_bytes()[:44])
    header[4:8], header[40:44] = (hour + 36).to_bytes(4, "little"), hour.to_bytes(4, "little")
    long.write_bytes(header)
    os.truncate(long, 44 + hour)
    (one, small), (many, large) = (
        [int(word) for word in python(PEAK, p).stdout.split()] for p in (short, long)
    )
    assert (one, many) == (1, 360)
    assert large < 1.1 * small  # the streamed blocks are 1 MiB; the whole hour would add 440 MiB
