"""Waveforms of clips at memory speed: decoded and resampled once, then read from memory-mapped shards.

A cache folder holds shards (shards.py), each named for the clips in it. Every clip has a key made of its
file's path, size and modification time, and of its stretch; what a list of clips needs is looked up by key
in the shards that are there, and what is not found is decoded into new ones. So splits and folds share their
clips, a changed or added file costs itself alone, and what a killed build finished stays. Each file's
state is read every time: a folder's modification time does not change when a file is overwritten in place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffres_cli.cores import available_cores
from diffres_cli.datasets.clip import Clip
from diffres_cli.datasets.folders import cache_folder
from diffres_cli.datasets.waveforms.decoding import CHANGED, WaveformFormat, clip_key
from diffres_cli.datasets.waveforms.jobs import check_room, plan_jobs, write_shards
from diffres_cli.datasets.waveforms.shards import locate_clips, map_samples
from diffres_cli.errors import DataError, UsageError
from diffres_cli.files import make_folder, remove_abandoned

VERSION = 1  # of the samples: to be raised when a recording would come out differently
MISSING = "there is no such file"


@dataclass(frozen=True, eq=False)
class WaveformCache:
    """The waveforms of a list of clips. It can be pickled: another process maps the same files.

    Attributes:
        names: of the clips, in the order they were given.
        failures: clip name -> why it could not be decoded.
        sample_rate: Hz.
    """

    names: tuple[str, ...]
    failures: dict[str, str]
    sample_rate: int
    _shards: tuple[tuple[str, int], ...]
    _clips: NDArray[Any]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Samples of each clip, [n]; 0 for what could not be decoded."""
        lengths: NDArray[np.int64] = self._clips["length"]
        return lengths

    def read(
        self, indices: Sequence[int], samples: int, offsets: Sequence[int] | None = None
    ) -> NDArray[np.float32]:
        """Stretches of clips, [B, samples], full scale ±1, zero where a clip has ended or has failed.

        Args:
            indices: [B], which clips. offsets: [B], samples to leave out at a clip's start.

        Raises:
            DataError: the files of the cache are gone. ValueError: a negative offset, or not one for each.
        """
        clips = self._clips[np.asarray(indices, np.intp)]
        starts = np.zeros(len(clips), np.int64) if offsets is None else np.asarray(offsets, np.int64)
        if starts.shape != clips.shape or (starts < 0).any():
            raise ValueError(f"offsets must be {len(clips)} numbers >= 0, not {offsets!r}")
        counts = np.clip(clips["length"] - starts, 0, samples)
        firsts = clips["first"] + starts
        batch = np.zeros((len(clips), samples), np.float32)
        for i in np.flatnonzero(counts):
            path, checksum = self._shards[clips["shard"][i]]
            try:
                stored = map_samples(path, checksum)
            except OSError as error:
                raise DataError(
                    f"cached waveforms are gone: {path}; run again to decode them again"
                ) from error
            batch[i, : counts[i]] = stored[firsts[i] : firsts[i] + counts[i]]
        batch *= clips["step"][:, None]
        return batch


def build_cache(
    clips: Sequence[Clip],
    sample_rate: int,
    seconds: float | None,
    folder: Path | None = None,
    workers: int = 0,
    on_progress: Callable[[int, int], object] = lambda done, total: None,
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
    if sample_rate < 1 or workers < 0 or (seconds is not None and not 0 < seconds < float("inf")):
        given = f"{sample_rate=}, {seconds=}, {workers=}"
        raise UsageError(f"a cache needs sample_rate >= 1 Hz, seconds > 0 or None, workers >= 0, not {given}")
    format_ = WaveformFormat(sample_rate, None if seconds is None else max(1, round(seconds * sample_rate)))
    name = f"{format_.sample_rate}hz-{format_.max_samples or 'whole'}-v{VERSION}"
    place = (folder or cache_folder()) / name
    make_folder(place)
    remove_abandoned([place])
    keys = [clip_key(clip) for clip in clips]
    locations = locate_clips(place, keys)
    jobs = plan_jobs(place, format_, clips, keys, locations)
    done = len(clips) - sum(len(job.clips) for job in jobs)
    on_progress(done, len(clips))
    failures: dict[bytes, str] = {}
    if jobs:
        check_room(jobs)
        processes = workers or available_cores()
        failures = write_shards(jobs, processes, lambda decoded: on_progress(done + decoded, len(clips)))
        locations = locate_clips(place, keys)
    failures = locations.failures | failures
    absent = np.flatnonzero(locations.clips["length"] == 0).tolist()
    why = {clips[i].name: failures.get(keys[i], CHANGED) if keys[i] else MISSING for i in absent}
    names = tuple(clip.name for clip in clips)
    return WaveformCache(names, why, sample_rate, locations.shards, locations.clips)
