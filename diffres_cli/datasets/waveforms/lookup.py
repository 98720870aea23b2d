"""Which shard of a folder holds which clip."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffres_cli.datasets.waveforms.decoding import decoders
from diffres_cli.datasets.waveforms.shards import KEY_DIGITS, SUFFIX, Index, read_index

NOWHERE = -1


@dataclass(frozen=True, eq=False)
class Places:
    """Where clips are, arrays of [n] in the order their keys were asked for.

    Attributes:
        files: path and checksum of each shard. shards: index into `files`, NOWHERE for clips in none.
        firsts, lengths: samples; lengths are 0 for clips that are in none.
        steps: see `shards.quantized`.
        failures: key -> why a clip cannot be decoded, as noted by whoever tried.
    """

    files: tuple[tuple[str, int], ...]
    shards: NDArray[np.int32]
    firsts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    steps: NDArray[np.float32]
    failures: dict[bytes, str]

    def at(self, rows: NDArray[np.intp]) -> Places:
        """Those of some clips, in that order."""
        parts = (self.shards[rows], self.firsts[rows], self.lengths[rows], self.steps[rows])
        return Places(self.files, *parts, self.failures)


def look_up(folder: Path, keys: Sequence[bytes]) -> Places:
    """Where the shards of `folder` hold the clips with these keys.

    A failure counts only where what noted it had the decoders that are here. Damaged shards are left out.
    """
    wanted, inverse = np.unique(np.array(keys, f"S{KEY_DIGITS}"), return_inverse=True)
    count = len(wanted)
    shards, firsts, lengths = (
        np.full(count, NOWHERE, np.int32),
        np.zeros(count, np.int64),
        np.zeros(count, np.int64),
    )
    found = Places((), shards, firsts, lengths, np.ones(count, np.float32), {})
    files: list[tuple[str, int]] = []
    for path, index in _indices(folder) if count else ():
        files.append((path, index.checksum))
        _take(found, wanted, index, len(files) - 1)
    return Places(tuple(files), shards, firsts, lengths, found.steps, found.failures).at(inverse.reshape(-1))


def _indices(folder: Path) -> Iterator[tuple[str, Index]]:
    with os.scandir(folder) as entries:
        paths = sorted(entry.path for entry in entries if entry.name.endswith(SUFFIX))
    for path in paths:
        index = read_index(path)
        if index is not None:
            yield path, index


def _take(found: Places, wanted: NDArray[np.bytes_], index: Index, shard: int) -> None:
    """Note what a shard has of the `wanted` keys, which are sorted."""
    records = index.records
    rows = np.minimum(np.searchsorted(wanted, records["key"]), len(wanted) - 1)
    hits = wanted[rows] == records["key"]
    rows, records = rows[hits], records[hits]
    found.shards[rows] = shard
    found.firsts[rows], found.lengths[rows], found.steps[rows] = (
        records["offset"],
        records["length"],
        records["step"],
    )
    if index.failures and index.decoders == decoders():
        found.failures.update(index.failures)
