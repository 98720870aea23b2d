"""A drive, share or pipe that fails is no damaged file: the recording fails, and the next run tries again."""

from __future__ import annotations

import errno
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from audio_files import ffmpeg, noise, python, read, write
from command import spawn
from failing_reads import failing_reads

from diffres_cli.audio import open_recording
from diffres_cli.errors import AudioError

ROOT = Path(__file__).resolve().parent.parent

READ = """
import json, sys
from diffres_cli.audio import open_recording
from diffres_cli.errors import AudioError
for path in sys.argv[1:]:
    try:
        with open_recording(path) as recording:
            count = sum(map(len, recording.blocks(recording.sample_rate)))
        print(json.dumps([path, count, recording.warnings]))
    except AudioError as error:
        print(json.dumps([path, str(error), type(error.__cause__).__name__]))
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return failing_reads(tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One of every kind that is read in a way of its own."""
    folder = tmp_path_factory.mktemp("recordings")
    sound = noise(20, 24000)
    kinds = [("wav", {}), ("adpcm.wav", {"subtype": "MS_ADPCM"}), ("flac", {}), ("mp3", {}), ("aiff", {})]
    kinds += [("ogg", {}), ("opus.ogg", {"subtype": "OPUS"})]
    paths = [write(folder / f"a.{end}", sound, 24000, **how) for end, how in kinds]
    killed = bytearray(paths[0].read_bytes())
    killed[40:44] = bytes(4)
    (folder / "killed.wav").write_bytes(killed)
    for name, codec in (("a.m4a", "aac"), ("a.mkv", "aac"), ("a.wv", "wavpack")):
        ffmpeg("-i", paths[0], "-c:a", codec, folder / name)
    return [*paths, folder / "killed.wav", folder / "a.m4a", folder / "a.mkv", folder / "a.wv"]


@pytest.mark.parametrize("place", [30, 30_000])
@pytest.mark.parametrize("with_ffmpeg", [True, False])
def test_a_medium_that_fails_fails_the_recording(
    recordings: list[Path], library: Path, place: int, with_ffmpeg: bool, tmp_path: Path
) -> None:
    import imageio_ffmpeg

    if with_ffmpeg:
        (tmp_path / "ffmpeg").symlink_to(imageio_ffmpeg.get_ffmpeg_exe())
    else:
        recordings = [path for path in recordings if path.suffix not in (".m4a", ".mkv", ".wv")]
    failing = {"LD_PRELOAD": str(library), "FAILING_NAME": "/recordings", "FAILING_FROM": str(place)}
    done = python(READ, *recordings, env={"PATH": str(tmp_path), **failing})
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert [path for path, *_ in said] == [str(path) for path in recordings]
    for path, message, cause in said:
        assert message == (
            f"{path}: reading it failed (Input/output error): "
            "the drive, share or pipe it comes from failed; try again"
        )
        assert cause == "OSError"  # which a cache takes for passing


def test_a_run_tries_again_what_could_not_be_read(tmp_path: Path, library: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in ("bad.wav", "good.wav"):
        write(folder / name, noise(20, 8000), 8000)
    command = ("tag", folder, "-o", out, "-j", "1")
    failing = {"LD_PRELOAD": str(library), "FAILING_NAME": "/in/bad.wav", "FAILING_FROM": "200000"}
    first = spawn(*command, env={**os.environ, **failing})
    assert first.code == 1
    assert "bad.wav: reading it failed (Input/output error)" in first.err
    assert [path.name for path in out.glob("*.wav*")] == ["good.wav.json"]
    second = spawn(*command)
    assert second.code == 0
    assert json.loads((out / "bad.wav.json").read_text())[0]["duration"] == 20


class Failing(io.RawIOBase):
    """A stream that gives a part of its bytes, and then fails as a pipe from a broken drive does."""

    def __init__(self, data: bytes) -> None:
        self._rest = data

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if not self._rest:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        part, self._rest = self._rest[:size], self._rest[size:]
        return part


def test_a_stream_that_fails_is_not_called_a_full_disk(tmp_path: Path) -> None:
    data = write(tmp_path / "a.wav", noise(1)).read_bytes()
    with pytest.raises(AudioError, match="in: reading it failed") as caught:
        open_recording(Failing(data[:20_000]), name="in")  # type: ignore[arg-type]
    assert "TMPDIR" not in str(caught.value)


def test_a_file_of_which_every_read_fails() -> None:
    path = Path("/sys/devices/platform/power/autosuspend_delay_ms")  # 4096 bytes, says Linux
    try:
        path.read_bytes()
    except OSError as error:
        if error.errno == errno.EIO:
            with pytest.raises(AudioError, match="ms: reading it failed"):
                read(path)
            return
    pytest.skip("no such file here")


def test_what_ffmpeg_could_not_read_is_not_a_short_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.m4a").write_bytes(b"\0\0\0\x18ftypM4A " + bytes(99))
    header = np.array([0x2E736E64, 24, 2**32 - 1, 6, 44100, 1], ">u4").tobytes()
    (tmp_path / "sound").write_bytes(header + bytes(44100 * 4))
    script = f"#!/bin/sh\n/bin/cat {tmp_path}/sound\necho 'Error during demuxing: Input/output error' >&2\n"
    (tmp_path / "ffmpeg").write_text(script)
    (tmp_path / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AudioError, match="reading it failed"):
        read(tmp_path / "a.m4a")
