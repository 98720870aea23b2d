"""Recordings, sound and damaged, for the tests of diffres_cli.audio: real files, nothing shipped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import soundfile
from numpy.typing import NDArray
from patience import PATIENCE

from diffres_cli.audio import Recording, open_recording

Samples = NDArray[np.float32]


def noise(seconds: float, rate: int = 22050, channels: int = 1) -> Samples:
    """Hummed noise, [N, channels], that no two places of share: a misplaced block is seen."""
    generator = np.random.default_rng(0)
    count = round(seconds * rate)
    hum = 0.4 * np.sin(np.arange(count) / rate * 2 * np.pi * 220)
    return (hum[:, None] + 0.05 * generator.standard_normal((count, channels))).astype(np.float32)


def write(path: Path, samples: Samples, rate: int = 22050, **how: Any) -> Path:
    soundfile.write(path, samples, rate, **how)
    return path


def truth(path: Path) -> Samples:
    """The whole file in one piece, mono."""
    samples: Samples = soundfile.read(path, dtype="float32", always_2d=True)[0]
    return samples.mean(axis=1)


def read(source: Any, rate: int | None = None, **how: Any) -> tuple[Samples, Recording]:
    """Everything in a recording, at its own rate unless told, and the recording once it has ended."""
    with open_recording(source, **how) as recording:
        blocks = list(recording.blocks(rate or recording.sample_rate))
    return np.concatenate(blocks), recording


def ffmpeg(*arguments: str | Path, data: bytes | None = None) -> bytes:
    """What a real ffmpeg writes to standard output."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error", *map(str, arguments)]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


def python(code: str, *arguments: str | Path, **how: Any) -> subprocess.CompletedProcess[bytes]:
    """Run code in a fresh interpreter."""
    environment = {**os.environ, **how.pop("env", {})}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, env=environment, timeout=PATIENCE, **how)
