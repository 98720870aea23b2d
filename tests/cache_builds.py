"""Clips, what they hold by decoding each one alone, and cache builds in processes of their own."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import numpy as np
from audio_files import Samples, noise, write
from patience import PATIENCE

from diffres_cli.audio import open_recording
from diffres_cli.datasets.clip import Clip
from diffres_cli.datasets.waveforms.cache import WaveformCache, build_cache

BUILD = """
import json, sys
from pathlib import Path
from diffres_cli.datasets.waveforms.cache import build_cache
from diffres_cli.datasets.clip import Clip
from diffres_cli.errors import DiffresError
folder, rate, seconds, workers, *clips = json.loads(sys.argv[1])
clips = [Clip(name, Path(path), (), "train", start, end) for name, path, start, end in clips]
try:
    cache = build_cache(clips, rate, seconds, Path(folder), workers, lambda *told: print(*told, flush=True))
    print(json.dumps(cache.failures))
except DiffresError as error:
    print(error)
except KeyboardInterrupt:
    print("stopped")
"""


def clip_of(path: Path, start: float = 0.0, end: float | None = None, name: str = "") -> Clip:
    return Clip(name or path.name, path, (0,), "train", start, end)


def some(folder: Path, count: int, seconds: float = 0.3, rate: int = 8000) -> list[Clip]:
    """Clips 000.wav and so on in a new folder, no two alike."""
    folder.mkdir(parents=True, exist_ok=True)
    samples = noise(seconds + 0.01 * count, rate)
    length, step = round(seconds * rate), rate // 100
    parts = [samples[step * i : step * i + length] for i in range(count)]
    return [clip_of(write(folder / f"{i:03}.wav", part, rate)) for i, part in enumerate(parts)]


def direct(clip: Clip, rate: int, seconds: float | None = None) -> Samples:
    """A clip the slow way: all of the recording, then the stretch."""
    with open_recording(clip.path) as recording:
        whole = np.concatenate(list(recording.blocks(rate)))
    end = None if clip.end is None else round(clip.end * rate)
    return whole[round(clip.start * rate) : end][: None if seconds is None else round(seconds * rate)]


def whole(cache: WaveformCache, index: int) -> Samples:
    return cache.read([index], int(cache.lengths[index]))[0]


def assert_holds(cache: WaveformCache, clips: Sequence[Clip], seconds: float | None = None) -> None:
    """Every clip is in the cache as it is by decoding it alone, but for half a step of its 16 bits."""
    assert cache.names == tuple(clip.name for clip in clips)
    for index, clip in enumerate(clips):
        truth = direct(clip, cache.sample_rate, seconds)
        assert cache.lengths[index] == len(truth) > 0, clip
        error = np.abs(whole(cache, index) - truth).max()
        assert error <= 2.0**-15 * np.abs(truth).max(), clip


class Told(list[tuple[int, int]]):
    """What `on_progress` was told."""

    def __call__(self, done: int, total: int) -> None:
        self.append((done, total))

    @property
    def decoded(self) -> int:
        """How many clips were not in the cache before."""
        return self[-1][0] - self[0][0]


def build(
    clips: Sequence[Clip], folder: Path, rate: int = 8000, seconds: float | None = None, workers: int = 1
) -> tuple[WaveformCache, int]:
    """The cache, and how many clips were decoded for it."""
    told = Told()
    cache = build_cache(clips, rate, seconds, folder, workers, told)
    assert told[-1] == (len(clips), len(clips))
    return cache, told.decoded


def shards(folder: Path) -> dict[str, int]:
    """The finished shards by name, with their inodes: a shard that is written again has another."""
    return {path.name: path.stat().st_ino for path in folder.rglob("*.shard")}


def debris(folder: Path) -> list[Path]:
    """What is left of work that was not finished."""
    return list(folder.rglob(".diffres-*"))


def begin(
    clips: Sequence[Clip],
    folder: Path,
    rate: int = 8000,
    seconds: float | None = None,
    workers: int = 2,
    **how: Any,
) -> Popen[bytes]:
    """The same in a process of its own, which tells its progress line by line, then its failures."""
    stretches = ((clip.name, str(clip.path), clip.start, clip.end) for clip in clips)
    order = json.dumps([str(folder), rate, seconds, workers, *stretches])
    command = [sys.executable, "-c", BUILD, order]
    return Popen(command, stdout=PIPE, stderr=PIPE, start_new_session=True, **how)


def end(process: Popen[bytes]) -> list[str]:
    """What it said."""
    out, err = process.communicate(timeout=PATIENCE)
    assert err == b"", err.decode()
    return out.decode().splitlines()


def wait_for(process: Popen[bytes], progress: str) -> None:
    """Wait until a build says that it has come as far as `progress`."""
    assert process.stdout is not None
    assert f"{progress}\n".encode() in iter(process.stdout.readline, b"")
