"""A shard: the waveforms of some hundreds of clips as 16 bit integers, and the index to them, in one file.

    samples   int16, little-endian, one clip after the other
    index     one `RECORD` for each clip
    failures  JSON: {"decoders": what read them, "failures": {key: reason}}
    footer    magic, how many samples, records and bytes of JSON, and the checksum of index and failures

The samples stand first so that they are written as they are decoded, in constant memory, and aligned.

16 bits are half of float32 and lose next to nothing: a clip's samples are multiples of a step, the smallest
power of two with which the largest sample fits. So nothing is ever clipped, also where a float file or the
resampler goes above 1; a 16 bit recording at its own rate comes back bit for bit; and no error exceeds half
a step, which is 90 dB below the clip's own peak, however quiet it is.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

SUFFIX = ".shard"
KEY_DIGITS = 32
NO_SHARD = -1
Samples = NDArray[np.float32]

_PLACE = [("first", "<i8"), ("length", "<i8"), ("step", "<f4")]
RECORD = np.dtype([("key", f"S{KEY_DIGITS}"), *_PLACE])
_LOCATION = np.dtype([("shard", "<i8"), *_PLACE])
_PCM = np.dtype("<i2")
_FOOTER = struct.Struct("<8sQQQI")
_MAGIC = b"diffres1"
_MAPS = 100  # each holds a file descriptor, of which a process has few, 256 on macOS
_SMALLEST = -100  # the exponent of what is called silence: steps stay normal float32 numbers


@dataclass
class ShardWriter:
    """Writes a shard to `file`, opened by `files.atomic_file`: it is complete only after `finish`."""

    file: IO[bytes]
    _records: list[tuple[bytes, int, int, float]] = field(default_factory=list)
    _failures: dict[str, str] = field(default_factory=dict)
    _samples: int = 0

    def add(self, key: bytes, samples: Samples) -> None:
        """Append a clip, [n] with n >= 1."""
        pcm, step = quantize(samples)
        self.file.write(pcm.tobytes())
        self._records.append((key, self._samples, len(pcm), step))
        self._samples += len(pcm)

    def fail(self, key: bytes, reason: str) -> None:
        """Note that a clip cannot be decoded."""
        self._failures[key.decode()] = reason

    def finish(self) -> None:
        """Write the index. It names the decoders that failed: others may do better."""
        records = np.array(self._records, RECORD).tobytes()
        failures = json.dumps({"decoders": _decoders(), "failures": self._failures}).encode()
        counts = self._samples, len(self._records), len(failures), zlib.crc32(records + failures)
        self.file.write(records + failures + _FOOTER.pack(_MAGIC, *counts))


class Index(NamedTuple):
    """What is in a shard.

    Attributes:
        records: [n] of RECORD.
        failures: key -> why a clip cannot be decoded, as far as it was tried with the decoders that are here.
        checksum: differs from that of any other index that may have stood at the same path.
    """

    records: NDArray[Any]
    failures: dict[bytes, str]
    checksum: int


def read_index(path: Path | str) -> Index | None:
    """The index of a shard; None where there is none or it is damaged, as a power cut may leave it."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 (thousands of these count)
            size = file.seek(0, 2)
            file.seek(max(0, size - _FOOTER.size))
            magic, samples, count, note_size, checksum = _FOOTER.unpack(file.read())
            tail = count * RECORD.itemsize + note_size
            if magic != _MAGIC or samples * _PCM.itemsize + tail + _FOOTER.size != size:
                return None
            file.seek(samples * _PCM.itemsize)
            data = file.read(tail)
    except (OSError, struct.error):
        return None
    if zlib.crc32(data) != checksum:
        return None
    notes = json.loads(data[count * RECORD.itemsize :])
    failures = {key.encode(): reason for key, reason in notes["failures"].items()}
    if failures and notes["decoders"] != _decoders():
        failures = {}
    return Index(np.frombuffer(data, RECORD, count), failures, checksum)


def _decoders() -> str:
    """Names of what decodes on this machine. A recording that fails now may not fail with ffmpeg."""
    return "libsndfile, ffmpeg" if shutil.which("ffmpeg") else "libsndfile"


class Locations(NamedTuple):
    """Where clips are.

    Attributes:
        shards: path and checksum of each shard.
        clips: [n] with the fields shard (index into `shards`, NO_SHARD for a clip in none), first and length
            (samples, length 0 for a clip in none) and step (see `quantize`).
        failures: key -> why a clip cannot be decoded, as recorded when decoding failed.
    """

    shards: tuple[tuple[str, int], ...]
    clips: NDArray[Any]
    failures: dict[bytes, str]


def locate_clips(folder: Path, keys: Sequence[bytes]) -> Locations:
    """Where the shards of `folder` hold the clips with these keys. Damaged shards are left out."""
    wanted, inverse = np.unique(np.array(keys, f"S{KEY_DIGITS}"), return_inverse=True)
    clips = np.zeros(len(wanted), _LOCATION)
    clips["shard"], clips["step"] = NO_SHARD, 1
    shards: list[tuple[str, int]] = []
    failures: dict[bytes, str] = {}
    for path in _shard_paths(folder) if keys else ():
        index = read_index(path)
        if index is None:
            continue
        rows = np.minimum(np.searchsorted(wanted, index.records["key"]), len(wanted) - 1)
        hits = wanted[rows] == index.records["key"]
        clips["shard"][rows[hits]] = len(shards)
        for name in ("first", "length", "step"):
            clips[name][rows[hits]] = index.records[name][hits]
        shards.append((path, index.checksum))
        failures |= index.failures
    return Locations(tuple(shards), clips[inverse.reshape(-1)], failures)


def _shard_paths(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.path for entry in entries if entry.name.endswith(SUFFIX))


@lru_cache(maxsize=_MAPS)
def map_samples(path: str, checksum: int) -> NDArray[np.int16]:
    """All samples in a shard, mapped into memory.

    Args:
        checksum: of the index the caller has: another file in its place would give samples of other clips.

    Raises:
        OSError: it is gone, or it is another file by now.
    """
    with open(path, "rb") as file:  # noqa: PTH123 (one for each clip read from a large cache)
        file.seek(-_FOOTER.size, 2)
        _, count, _, _, found = _FOOTER.unpack(file.read())
        if found != checksum:
            raise FileNotFoundError(2, os.strerror(2), path)
        return np.asarray(np.memmap(file, _PCM, "r", shape=(count,)))


def quantize(samples: Samples) -> tuple[NDArray[np.int16], float]:
    """(int16 multiples, step): the step is the smallest power of two with which nothing is clipped.

    >>> quantize(np.array([0.5, -1, 0.25], np.float32))
    (array([ 16384, -32768,   8192], dtype=int16), 3.0517578125e-05)
    >>> quantize(np.array([3, 0], np.float32))[1] * 2**15
    4.0
    """
    low, high = float(samples.min()), float(samples.max())
    exponent = max(int(np.frexp(max(-low, high))[1]) - 1, _SMALLEST)
    while not -32768 <= round(low * 2.0 ** (15 - exponent)) <= round(high * 2.0 ** (15 - exponent)) <= 32767:
        exponent += 1
    step = 2.0 ** (exponent - 15)
    return np.rint(samples * np.float32(1 / step)).astype(_PCM), step
