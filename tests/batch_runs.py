"""Folders to tag, and batch runs in processes of their own, for the tests of diffres_cli.batch."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path
from subprocess import Popen
from typing import Any

import psutil
from audio_files import noise, write
from command import start
from patience import PATIENCE

RATE = 8000  # Hz, so that long recordings are small


def clips(folder: Path, count: int, seconds: float = 0.5) -> list[Path]:
    """Recordings 000.wav and so on in a new folder, no two alike."""
    folder.mkdir(parents=True)
    samples = noise(seconds + 0.01 * count, RATE)
    length = round(seconds * RATE)
    paths = [folder / f"{index:03}.wav" for index in range(count)]
    return [write(path, samples[80 * i : 80 * i + length], RATE) for i, path in enumerate(paths)]


def silence(path: Path, seconds: float, *, rf64: bool = False) -> Path:
    """A recording of any length that takes no room on the disk, and time to tag."""
    size = round(seconds * RATE) * 2
    layout = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    if rf64:  # EBU Tech 3306: the sizes stand in ds64, and where WAV has them all bits are set
        sizes = struct.pack("<4sIQQQI", b"ds64", 28, 72 + size, size, size // 2, 0)
        header = struct.pack("<4sI4s", b"RF64", 2**32 - 1, b"WAVE") + sizes + layout
        header += struct.pack("<4sI", b"data", 2**32 - 1)
    else:
        header = struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE") + layout
        header += struct.pack("<4sI", b"data", size)
    with path.open("wb") as stream:
        stream.write(header)
        stream.truncate(len(header) + size)
    return path


def results(folder: Path) -> dict[str, dict[str, Any]]:
    """Every result in a mirrored tree by its path in it, each of which must be whole."""
    found = (path for path in folder.rglob("*") if path.is_file() and ".diffres" not in str(path))
    return {str(path.relative_to(folder)): json.loads(path.read_bytes())[0] for path in found}


def leftovers(folder: Path) -> list[Path]:
    return list(folder.rglob(".diffres-*"))


def noted(ledger: Path) -> list[str]:
    """The recordings that a ledger calls done."""
    lines = (line for file in ledger.glob("*.jsonl") for line in file.read_bytes().splitlines())
    return [json.loads(line)["name"] for line in lines]


def workers_of(process: Popen[bytes]) -> list[psutil.Process]:
    """Its worker processes; multiprocessing's own helper is none."""
    return [child for child in psutil.Process(process.pid).children() if _is_worker(child)]


def _is_worker(process: psutil.Process) -> bool:
    try:
        return "spawn_main" in " ".join(process.cmdline())
    except psutil.Error:  # it just ended
        return False


def begin(*arguments: str | Path, **how: Any) -> Popen[bytes]:
    """`diffres tag` in a session of its own, as a terminal would start it."""
    return start("tag", *arguments, start_new_session=True, **how)


def end(process: Popen[bytes]) -> tuple[int, list[str]]:
    """Its exit code, and what it said."""
    out, err = process.communicate(timeout=PATIENCE)
    assert out == b"", out
    said = err.decode("utf-8", "surrogateescape").splitlines()
    assert all(line.startswith("diffres: ") for line in said), said
    return process.returncode, [line.removeprefix("diffres: ") for line in said]


def counted(line: str) -> tuple[int, int, int]:
    """Tagged, done before, failed, of the line that ends a run.

    >>> counted("3 tagged, 2 failed")
    (3, 0, 2)
    """
    tagged, *others = (re.search(rf"(\d+) {word}", line) for word in ("tagged", "done before", "failed"))
    assert tagged, line
    return (int(tagged[1]), *(int(other[1]) if other else 0 for other in others))  # type: ignore[return-value]
