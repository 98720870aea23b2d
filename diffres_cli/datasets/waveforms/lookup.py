"""Which shard of a folder holds which clip."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffres_cli.datasets.waveforms.decoding import available_decoders
from diffres_cli.datasets.waveforms.shards import KEY_DIGITS, SUFFIX, Index, read_index

NO_SHARD = -1


@dataclass(frozen=True, eq=False)
class Locations:
    """Where clips are, arrays of [n] in the order their keys were asked for.

    Attributes:
        files: path and checksum of each shard. shards: index into `files`, NO_SHARD for clips in none.
        firsts, lengths: samples; lengths are 0 for clips that are in none.
        steps: see `shards.quantize`.
        failures: key -> why a clip cannot be decoded, as noted by whoever tried.
    """

    files: tuple[tuple[str, int], ...]
    shards: NDArray[np.int32]
    firsts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    steps: NDArray[np.float32]
    failures: dict[bytes, str]

    def select(self, rows: NDArray[np.intp]) -> Locations:
        """The locations of some of the clips, in the order of `rows`."""
        parts = (self.shards[rows], self.firsts[rows], self.lengths[rows], self.steps[rows])
        return Locations(self.files, *parts, self.failures)


def locate_clips(folder: Path, keys: Sequence[bytes]) -> Locations:
    """Where the shards of `folder` hold the clips with these keys.

    A failure counts only where what noted it had the decoders that are here. Damaged shards are left out.
    """
    wanted, inverse = np.unique(np.array(keys, f"S{KEY_DIGITS}"), return_inverse=True)
    count = len(wanted)
    shards, firsts, lengths = (
        np.full(count, NO_SHARD, np.int32),
        np.zeros(count, np.int64),
        np.zeros(count, np.int64),
    )
    found = Locations((), shards, firsts, lengths, np.ones(count, np.float32), {})
    files: list[tuple[str, int]] = []
    for path, index in _indices(folder) if count else ():
        files.append((path, index.checksum))
        _note_hits(found, wanted, index, len(files) - 1)
    return replace(found, files=tuple(files)).select(inverse.reshape(-1))


def _indices(folder: Path) -> Iterator[tuple[str, Index]]:
    with os.scandir(folder) as entries:
        paths = sorted(entry.path for entry in entries if entry.name.endswith(SUFFIX))
    for path in paths:
        index = read_index(path)
        if index is not None:
            yield path, index


def _note_hits(found: Locations, wanted: NDArray[np.bytes_], index: Index, shard: int) -> None:
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
    if index.failures and index.decoders == available_decoders():
        found.failures.update(index.failures)
