"""Waveforms of clips at memory speed: decoded and resampled once, then read from memory-mapped shards.

A cache folder holds shards (shards.py), each named for the clips in it. Every clip has a key made of its
file's path, size and modification time, and of its stretch; what a list of clips needs is looked up by key
in the shards that are there, and what is not found is decoded into new ones. So splits and folds share their
clips, a changed or added file costs itself alone, and what a killed build finished stays. Each file is asked
for its state every time: a folder's modification time says nothing of a file overwritten in place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffres_cli.cores import available_cores
from diffres_cli.datasets.clip import Clip
from diffres_cli.datasets.folders import cache_folder
from diffres_cli.datasets.waveforms.decoding import CHANGED, WaveformFormat, clip_key
from diffres_cli.datasets.waveforms.lookup import Locations, locate_clips
from diffres_cli.datasets.waveforms.missing import check_room, plan_jobs
from diffres_cli.datasets.waveforms.shards import map_samples
from diffres_cli.datasets.waveforms.workers import write_shards
from diffres_cli.errors import DataError, UsageError
from diffres_cli.files import make_folder, sweep

VERSION = 1  # of the samples: to be raised when a recording would come out differently
MISSING = "there is no such file"
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class WaveformCache:
    """The waveforms of a list of clips. It can be pickled: another process maps the same files.

    Attributes:
        names: of the clips, in the order they were given.
        lengths: samples, [n]; 0 for what could not be decoded.
        failures: clip name -> why it could not be decoded.
        sample_rate: Hz.
    """

    names: tuple[str, ...]
    lengths: NDArray[np.int64]
    failures: dict[str, str]
    sample_rate: int
    _locations: Locations

    def read(
        self, indices: Sequence[int], samples: int, offsets: Sequence[int] | None = None
    ) -> NDArray[np.float32]:
        """Stretches of clips, [B, samples], full scale ±1, zero where a clip has ended or has failed.

        Args:
            indices: [B], which clips. offsets: [B], samples to leave out at a clip's start.

        Raises:
            DataError: the files of the cache are gone. ValueError: a negative offset, or not one for each.
        """
        locations = self._locations.select(np.asarray(indices, np.intp))
        starts = np.zeros_like(locations.firsts) if offsets is None else np.asarray(offsets, np.int64)
        if starts.shape != locations.firsts.shape or (starts < 0).any():
            raise ValueError(f"offsets must be {len(locations.firsts)} numbers >= 0, not {offsets!r}")
        counts = np.clip(locations.lengths - starts, 0, samples)
        firsts = locations.firsts + starts
        batch = np.zeros((len(counts), samples), np.float32)
        for i in np.flatnonzero(counts):
            stored = _stored(*locations.files[locations.shards[i]])
            batch[i, : counts[i]] = stored[firsts[i] : firsts[i] + counts[i]]
        batch *= locations.steps[:, None]
        return batch


def _stored(path: str, checksum: int) -> NDArray[np.int16]:
    try:
        return map_samples(path, checksum)
    except OSError as error:
        raise DataError(f"cached waveforms are gone: {path}; run again to decode them again") from error


def build_cache(
    clips: Sequence[Clip],
    sample_rate: int,
    seconds: float | None,
    folder: Path | None = None,
    workers: int = 0,
    on_progress: Progress | None = None,
) -> WaveformCache:
    """The waveforms of `clips`, mono at `sample_rate` Hz; what is not cached yet is decoded.

    A clip that cannot be decoded is among the `failures`, and never stops the others. That is remembered
    until its file changes; when the process died, or memory ran out, the next call tries again.
    Processes that build at the same time share the work.

    Args:
        seconds: the longest excerpt that is kept, None for all of a clip.
        folder: where caches are kept, `folders.cache_folder()` by default.
        workers: processes that decode; 0 for one on every core. They are spawned: a script that calls this
            needs `if __name__ == "__main__"`.
        on_progress: called with how many clips are done, and of how many.

    Raises:
        UsageError: a rate, a length or a number of workers that cannot be.
        OutputError: the cache cannot be written: the disk is full, or has too little room from the start.
    """
    format_ = _format(sample_rate, seconds, workers)
    name = f"{format_.sample_rate}hz-{format_.max_samples or 'whole'}-v{VERSION}"
    place = (folder or cache_folder()) / name
    make_folder(place)
    sweep([place])
    keys = [clip_key(clip) for clip in clips]
    locations = locate_clips(place, keys)
    jobs = plan_jobs(place, format_, clips, keys, locations)
    failures: dict[bytes, str] = {}
    if jobs:
        check_room(jobs)
        on_decoded = _count_up(len(clips), sum(len(job.clips) for job in jobs), on_progress)
        failures = write_shards(jobs, workers or available_cores(), on_decoded)
        locations = locate_clips(place, keys)
    elif on_progress is not None:
        on_progress(len(clips), len(clips))
    return _cache(clips, keys, locations, {**locations.failures, **failures}, sample_rate)


def _format(sample_rate: int, seconds: float | None, workers: int) -> WaveformFormat:
    if sample_rate < 1 or workers < 0 or (seconds is not None and not 0 < seconds < float("inf")):
        given = f"{sample_rate=}, {seconds=}, {workers=}"
        raise UsageError(f"a cache needs sample_rate >= 1 Hz, seconds > 0 or None, workers >= 0, not {given}")
    return WaveformFormat(sample_rate, None if seconds is None else max(1, round(seconds * sample_rate)))


def _count_up(total: int, missing: int, on_progress: Progress | None) -> Callable[[int], None]:
    """A function that adds newly decoded clips and calls `on_progress` with the total."""
    done = total - missing

    def add(count: int) -> None:
        nonlocal done
        done += count
        if on_progress is not None:
            on_progress(done, total)

    add(0)
    return add


def _cache(
    clips: Sequence[Clip],
    keys: Sequence[bytes],
    locations: Locations,
    failures: dict[bytes, str],
    sample_rate: int,
) -> WaveformCache:
    absent = (i for i, length in enumerate(locations.lengths.tolist()) if not length)
    why = {clips[i].name: failures.get(keys[i], CHANGED) if keys[i] else MISSING for i in absent}
    kept = replace(locations, failures={})
    return WaveformCache(tuple(clip.name for clip in clips), kept.lengths, why, sample_rate, kept)
