"""What libsndfile does not know, through a real ffmpeg found on the PATH."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import psutil
import pytest
from audio_files import ffmpeg, noise, python, read, truth, write
from patience import PATIENCE

from diffres_cli.audio import open_recording
from diffres_cli.errors import AudioError

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
FILM = ["-f", "lavfi", "-i", "testsrc=d=4"]
HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{}\n"
CONCAT = "ffconcat version 1.0\nfile {}\n"


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole PATH and holds ffmpeg."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "ffmpeg").symlink_to(FFMPEG)
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture(scope="module")
def wav(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("ffmpeg") / "a.wav", noise(4, channels=2))


@pytest.fixture(scope="module")
def m4a(wav: Path) -> Path:
    ffmpeg("-i", wav, "-c:a", "aac", "-b:a", "128k", wav.parent / "a.m4a")
    return wav.parent / "a.m4a"


def with_script(folder: Path, script: str) -> None:
    """Put a program of our own in ffmpeg's place."""
    (folder / "ffmpeg").unlink()
    (folder / "ffmpeg").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "ffmpeg").chmod(0o755)


@pytest.mark.usefixtures("on_path")
@pytest.mark.parametrize(
    ("extension", "options"),
    [
        ("m4a", ["-c:a", "alac"]),
        ("mkv", [*FILM, "-map", "1", "-c:v", "mpeg4", "-map", "0", "-c:a", "pcm_s16le"]),
        ("mov", ["-c:a", "pcm_s16le", "-metadata", "title=rain"]),
        ("wv", ["-c:a", "wavpack"]),
        ("tta", []),
    ],
)
def test_lossless_containers_give_the_samples_of_the_wav(
    wav: Path, tmp_path: Path, extension: str, options: list[str]
) -> None:
    ffmpeg("-i", wav, *options, tmp_path / f"a.{extension}")
    got, recording = read(tmp_path / f"a.{extension}")
    assert np.abs(got - truth(wav)).max() < 1e-6
    assert (recording.sample_rate, recording.channels, recording.frames) == (22050, 2, None)
    assert (recording.duration, recording.warnings) == (4, [])


@pytest.mark.usefixtures("on_path")
def test_packets_that_state_the_same_time_are_no_damage(wav: Path, tmp_path: Path) -> None:
    ffmpeg("-i", wav, "-c:a", "flac", "-bsf:a", "setts=ts=floor(N/2)*DURATION*2", tmp_path / "a.mka")
    got, recording = read(tmp_path / "a.mka")
    assert np.abs(got - truth(wav)).max() < 1e-6
    assert recording.warnings == []


@pytest.mark.usefixtures("on_path")
@pytest.mark.parametrize(
    "name", ["-dash.m4a", "new\nline.m4a", b"caf\xe9.m4a", "http:x.m4a", "concat:a|b.m4a"]
)
def test_any_name_is_safe(
    m4a: Path, tmp_path: Path, name: str | bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(os.fsdecode(name)).write_bytes(m4a.read_bytes())
    got, recording = read(os.fsdecode(name))
    assert np.corrcoef(got[:80000], truth(m4a.with_suffix(".wav"))[:80000])[0, 1] > 0.9
    assert recording.name == os.fsdecode(name)


@pytest.mark.parametrize("rate", [8000, 12000, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("tag", [b"", 2 * (b"ID3\4\0\0\0\0\x4e\x10" + bytes(10000))])
def test_an_mp3_that_does_not_state_its_length_is_read_to_its_end(
    tmp_path: Path, rate: int, channels: int, tag: bytes
) -> None:
    wav = write(tmp_path / "a.wav", noise(2, rate, channels), rate)
    # Noise, then silence, at a varying bit rate: a guess from the first frame is several times too short.
    varying = ["-af", "apad=pad_dur=10", "-q:a", "2", "-write_xing", "0", "-id3v2_version", "0"]
    ffmpeg("-i", wav, *varying, tmp_path / "a.mp3")
    got, recording = read(tag + (tmp_path / "a.mp3").read_bytes())
    raw = ffmpeg("-i", tmp_path / "a.mp3", "-f", "f32le", "-")
    expected = np.frombuffer(raw, np.float32).reshape(-1, channels).mean(axis=1)
    delay = 529  # samples at the start that a decoder of MP3 makes up; libmpg123 leaves them out
    assert np.abs(got - expected[delay:]).max() < 1e-5
    assert (recording.frames, recording.warnings) == (None, [])


def test_an_mp3_that_states_its_length_is_held_to_it(wav: Path, tmp_path: Path) -> None:
    varying = ["-af", "apad=pad_dur=10", "-q:a", "2", "-metadata", "comment=" + "x" * 3000]
    ffmpeg("-i", wav, *varying, tmp_path / "a.mp3")
    got, recording = read(tmp_path / "a.mp3")
    assert (len(got), recording.frames, recording.warnings) == (14 * 22050, 14 * 22050, [])


@pytest.mark.usefixtures("on_path")
def test_many_channels_and_bytes(wav: Path) -> None:
    surround = ffmpeg("-i", wav, "-ac", "6", "-c:a", "alac", "-f", "matroska", "-")
    got, recording = read(surround)
    assert recording.channels == 6
    assert len(got) == 4 * 22050


@pytest.mark.usefixtures("on_path")
def test_what_holds_no_sound_is_refused_with_ffmpegs_reason(tmp_path: Path, m4a: Path) -> None:
    ffmpeg(*FILM, "-c:v", "mpeg4", tmp_path / "film.mp4")
    ffmpeg(*FILM, "-frames:v", "1", tmp_path / "picture.png")
    (tmp_path / "cut.m4a").write_bytes(m4a.read_bytes()[:20000])
    (tmp_path / "bytes.bin").write_bytes(bytes(range(256)) * 9)
    (tmp_path / "text.m4a").write_bytes(b"text")
    reasons = {}
    for path in tmp_path.glob("*.*"):
        with pytest.raises(AudioError) as caught:
            open_recording(path)
        reasons[path.stem] = str(caught.value).removeprefix(f"{path}: ")
    start = "neither libsndfile nor ffmpeg finds sound in it"
    assert reasons == {
        "film": f"{start} (Output file does not contain any stream)",
        "picture": f"{start} (not a format for recordings)",
        "cut": f"{start} (moov atom not found)",
        "bytes": f"{start} (Invalid data found when processing input)",
        "text": "a text file, not audio",
    }


@pytest.mark.usefixtures("on_path")
@pytest.mark.parametrize("stray", [b"", b"\0"])
@pytest.mark.parametrize("list_", [HLS, CONCAT])
def test_a_playlist_is_not_followed(wav: Path, tmp_path: Path, list_: str, stray: bytes) -> None:
    # Left to itself ffmpeg reads the HLS one again and again: a live stream might grow.
    (tmp_path / "list.m3u8").write_bytes(list_.format(wav).encode() + stray)
    with pytest.raises(AudioError, match=r"a text file|not a format for recordings"):
        open_recording(tmp_path / "list.m3u8")


@pytest.mark.usefixtures("on_path")
def test_a_damaged_file_is_read_as_far_as_it_goes(wav: Path, tmp_path: Path) -> None:
    ffmpeg("-i", wav, "-c:a", "aac", "-movflags", "+faststart", tmp_path / "a.m4a")
    os.truncate(tmp_path / "a.m4a", (tmp_path / "a.m4a").stat().st_size // 2)
    got, recording = read(tmp_path / "a.m4a")
    assert 30000 < len(got) < 60000
    (warning,) = recording.warnings
    assert warning.startswith("damaged: stream 0, offset ")
    assert warning.endswith(f"{recording.duration:.2f} s could be read")


@pytest.mark.usefixtures("on_path")
def test_a_child_that_is_killed_fails_its_recording(wav: Path, tmp_path: Path) -> None:
    ffmpeg("-stream_loop", "30", "-i", wav, "-c:a", "pcm_s16le", tmp_path / "long.mov")
    with open_recording(tmp_path / "long.mov") as recording:
        blocks = recording.blocks(22050)
        next(blocks)
        (child,) = psutil.Process().children()
        child.kill()
        with pytest.raises(AudioError, match="ffmpeg was stopped by signal 9") as caught:
            list(blocks)
    assert isinstance(caught.value.__cause__, OSError)  # which a cache takes for passing


@pytest.mark.usefixtures("on_path")
def test_no_child_outlives_its_recording(m4a: Path, tmp_path: Path) -> None:
    with open_recording(m4a):
        assert len(psutil.Process().children()) == 1
    assert psutil.Process().children() == []
    with open_recording(m4a) as recording:
        next(recording.blocks(32000))
    (tmp_path / "zeros.m4a").write_bytes(bytes(9999))
    with pytest.raises(AudioError):
        open_recording(tmp_path / "zeros.m4a")
    assert psutil.Process().children() == []


def test_a_program_that_is_not_ffmpeg(m4a: Path, on_path: Path) -> None:
    with_script(on_path, "exit 3")
    with pytest.raises(AudioError, match=r"finds sound in it \(ffmpeg ended with code 3\)"):
        open_recording(m4a)
    with_script(on_path, r"printf '.snd\0\0\0\30\377\377\377\377\0\0\0\6\0\0\254D\0\0\0\0rest'")
    with pytest.raises(AudioError, match="sound of 0 channels"):
        open_recording(m4a)
    (on_path / "ffmpeg").write_bytes(b"\x7fELF broken")
    with pytest.raises(AudioError, match=r"bin/ffmpeg cannot be started \(Exec format error\)"):
        open_recording(m4a)
    (on_path / "ffmpeg").chmod(stat.S_IRUSR)
    with pytest.raises(AudioError, match="needs ffmpeg on the PATH, which is not there"):
        open_recording(m4a)


def test_a_talkative_child_does_not_stop_the_stream(m4a: Path, on_path: Path) -> None:
    with_script(
        on_path, f'i=0; while [ $i -lt 20000 ]; do echo line $i >&2; i=$((i+1)); done; exec {FFMPEG} "$@"'
    )
    got, recording = read(m4a)  # 200 kB on a pipe of 64
    assert len(got) >= 4 * 22050
    assert recording.warnings[0].startswith("damaged: line 0;")


# Standard input: a real pipe, a real terminal.

READ = """
import os, sys
from diffres_cli.audio import open_recording
from diffres_cli.errors import AudioError
try:
    with open_recording("-") as recording:
        count = sum(len(block) for block in recording.blocks(recording.sample_rate))
    print(recording.name, count, recording.warnings, os.listdir(os.environ["TMPDIR"]))
except AudioError as error:
    print(error, os.listdir(os.environ["TMPDIR"]))
"""


def through_pipe(data: bytes, tmp_path: Path, **environment: str) -> str:
    spool = tmp_path / "spool"
    spool.mkdir(exist_ok=True)
    return python(READ, input=data, env={"TMPDIR": str(spool), **environment}).stdout.decode().strip()


@pytest.mark.usefixtures("on_path")
@pytest.mark.parametrize("kind", ["wav", "flac", "au", "aiff", "w64", "caf", "ogg", "matroska"])
def test_standard_input_takes_what_ffmpeg_writes_to_a_pipe(wav: Path, tmp_path: Path, kind: str) -> None:
    data = ffmpeg("-i", wav, "-f", kind, "-")
    assert through_pipe(data, tmp_path) == f"- {4 * 22050} [] []"


@pytest.mark.usefixtures("on_path")
def test_standard_input_takes_mp4(m4a: Path, tmp_path: Path) -> None:
    assert through_pipe(m4a.read_bytes(), tmp_path).startswith("- 88")


def test_standard_input_that_brings_nothing(tmp_path: Path) -> None:
    assert through_pipe(b"", tmp_path) == "standard input: it is empty (0 bytes) []"
    assert through_pipe(b"text", tmp_path) == "standard input: a text file, not audio []"
    closed = python(f"import sys; sys.stdin.close()\n{READ}", env={"TMPDIR": str(tmp_path / "spool")})
    assert b"standard input: it is closed" in closed.stdout


def test_standard_input_that_is_a_terminal(tmp_path: Path) -> None:
    controller, terminal = os.openpty()
    result = python(READ, stdin=terminal, env={"TMPDIR": str(tmp_path)})
    os.close(controller)
    os.close(terminal)
    assert b"standard input: it is a terminal; send audio through a pipe" in result.stdout


def test_standard_input_without_room_to_spool(tmp_path: Path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))"
    result = python(f"{limit}\n{READ}", input=bytes(9999), env={"TMPDIR": str(tmp_path)})
    assert b"failed (File too large); TMPDIR can name another folder" in result.stdout


def test_reading_starts_before_ffmpeg_is_done(m4a: Path, on_path: Path) -> None:
    with_script(on_path, f'{FFMPEG} "$@"; exec sleep {2 * PATIENCE}')
    begun = time.monotonic()
    with open_recording(m4a) as recording:
        next(recording.blocks(22050))
    assert time.monotonic() - begun < PATIENCE


@pytest.mark.usefixtures("on_path")
def test_another_file_behind_the_first_is_read_or_told(m4a: Path, wav: Path) -> None:
    alone = len(read(m4a)[0])
    got, recording = read(m4a.read_bytes() * 2)
    assert len(got) == alone
    (warning,) = recording.warnings
    assert f"another recording begins {m4a.stat().st_size} bytes into the file" in warning
    ffmpeg("-i", wav, "-c:a", "aac", wav.parent / "a.aac")
    got, recording = read((wav.parent / "a.aac").read_bytes() * 2)
    assert len(got) >= 2 * alone
    assert recording.warnings == []
