"""Waveforms of clips at memory speed: decoded and resampled once, then read from memory-mapped shards.

A cache folder holds shards (shards.py), each named for the clips in it. Every clip has a key made of its
file's path, size and modification time, and of its stretch; what a list of clips needs is looked up by key
in the shards that are there, and what is not found is decoded into new ones. So splits and folds share their
clips, a changed or added file costs itself alone, and what a killed build finished stays. Each file is asked
for its state every time: a folder's modification time says nothing of a file overwritten in place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffres_cli.cores import available_cores
from diffres_cli.datasets.clip import Clip
from diffres_cli.datasets.places import cache_folder
from diffres_cli.datasets.waveforms.decoding import CHANGED, Form, key_of
from diffres_cli.datasets.waveforms.lookup import Places, look_up
from diffres_cli.datasets.waveforms.plan import plan, refuse_too_large
from diffres_cli.datasets.waveforms.pool import Pool
from diffres_cli.datasets.waveforms.shards import samples_of
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
    _places: Places

    def read(
        self, indices: Sequence[int], samples: int, offsets: Sequence[int] | None = None
    ) -> NDArray[np.float32]:
        """Stretches of clips, [B, samples], full scale ±1, zero where a clip has ended or has failed.

        Args:
            indices: [B], which clips. offsets: [B], samples to leave out at a clip's start.

        Raises:
            DataError: the files of the cache are gone. ValueError: a negative offset, or not one for each.
        """
        places = self._places.at(np.asarray(indices, np.intp))
        starts = np.zeros_like(places.firsts) if offsets is None else np.asarray(offsets, np.int64)
        if starts.shape != places.firsts.shape or (starts < 0).any():
            raise ValueError(f"offsets must be {len(places.firsts)} numbers >= 0, not {offsets!r}")
        counts = np.clip(places.lengths - starts, 0, samples)
        firsts = places.firsts + starts
        batch = np.zeros((len(counts), samples), np.float32)
        for i in np.flatnonzero(counts):
            stored = _stored(*places.files[places.shards[i]])
            batch[i, : counts[i]] = stored[firsts[i] : firsts[i] + counts[i]]
        batch *= places.steps[:, None]
        return batch


def _stored(path: str, checksum: int) -> NDArray[np.int16]:
    try:
        return samples_of(path, checksum)
    except OSError as error:
        raise DataError(
            f"cached waveforms are gone: {path}; start again to have them decoded again"
        ) from error


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
        folder: where caches are kept, `places.cache_folder()` unless told.
        workers: processes that decode; 0 for one on every core. They are spawned: a script that calls this
            needs `if __name__ == "__main__"`.
        on_progress: told how many clips are done, and of how many.

    Raises:
        UsageError: a rate, a length or a number of workers that cannot be.
        OutputError: the cache cannot be written: the disk is full, or has too little room from the start.
    """
    form = _form(sample_rate, seconds, workers)
    place = (folder or cache_folder()) / f"{form.sample_rate}hz-{form.most or 'whole'}-v{VERSION}"
    make_folder(place)
    sweep([place])
    keys = [key_of(clip) for clip in clips]
    places = look_up(place, keys)
    jobs = plan(place, form, clips, keys, places)
    failures: dict[bytes, str] = {}
    if jobs:
        refuse_too_large(jobs)
        told = _told(len(clips), sum(len(job.clips) for job in jobs), on_progress)
        with Pool(workers or available_cores(), told) as pool:
            failures = pool.run(jobs)
        places = look_up(place, keys)
    elif on_progress is not None:
        on_progress(len(clips), len(clips))
    return _cache(clips, keys, places, {**places.failures, **failures}, sample_rate)


def _form(sample_rate: int, seconds: float | None, workers: int) -> Form:
    if sample_rate < 1 or workers < 0 or (seconds is not None and not 0 < seconds < float("inf")):
        given = f"{sample_rate=}, {seconds=}, {workers=}"
        raise UsageError(f"a cache needs sample_rate >= 1 Hz, seconds > 0 or None, workers >= 0, not {given}")
    return Form(sample_rate, None if seconds is None else max(1, round(seconds * sample_rate)))


def _told(total: int, missing: int, on_progress: Progress | None) -> Callable[[int], None]:
    """What adds up newly decoded clips for `on_progress`."""
    done = total - missing

    def add(count: int) -> None:
        nonlocal done
        done += count
        if on_progress is not None:
            on_progress(done, total)

    add(0)
    return add


def _cache(
    clips: Sequence[Clip], keys: Sequence[bytes], places: Places, failures: dict[bytes, str], sample_rate: int
) -> WaveformCache:
    absent = (i for i, length in enumerate(places.lengths.tolist()) if not length)
    why = {clips[i].name: failures.get(keys[i], CHANGED) if keys[i] else MISSING for i in absent}
    kept = Places(places.files, places.shards, places.firsts, places.lengths, places.steps, {})
    return WaveformCache(tuple(clip.name for clip in clips), places.lengths, why, sample_rate, kept)
