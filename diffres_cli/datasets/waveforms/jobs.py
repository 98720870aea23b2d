"""Clips that are not cached yet -> jobs, one shard each, done by worker processes."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from diffres_cli.audio import open_recording
from diffres_cli.datasets.clip import Clip
from diffres_cli.datasets.waveforms.decoding import ShardJob, ShardProgress, WaveformFormat, write_shard
from diffres_cli.datasets.waveforms.shards import NO_SHARD, Locations
from diffres_cli.errors import OutputError
from diffres_cli.pool import Died, Report, WorkerPool

_MOST, _LEAST, _SHARDS = 256, 16, 32  # clips in a shard; shards of a small cache, to keep all cores busy
_PROBES = 32  # recordings looked at to estimate how much room is needed
_SAMPLE_BYTES = 2
# Each worker has a core: one thread for NumPy's products.
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)


def plan_jobs(
    folder: Path, format_: WaveformFormat, clips: Sequence[Clip], keys: Sequence[bytes], locations: Locations
) -> list[ShardJob]:
    """Jobs for the clips that are in no shard yet, each clip once, those of one recording together.

    A clip's job depends on the whole list, not on what is missing: so processes that start one after the
    other have the same jobs, and share them.
    """
    missing = {int(i) for i in np.flatnonzero(locations.clips["shard"] == NO_SHARD)}
    missing = {i for i in missing if keys[i] and keys[i] not in locations.failures}
    if not missing:
        return []
    unique = {key: i for i, key in enumerate(keys)}.values()
    order = sorted(unique, key=lambda i: (str(clips[i].path), clips[i].start, keys[i]))
    size = min(_MOST, max(_LEAST, len(order) // _SHARDS))
    groups = (order[first : first + size] for first in range(0, len(order), size))
    wanted = ([i for i in group if i in missing] for group in groups)
    return [
        ShardJob(folder, format_, tuple(clips[i] for i in group), tuple(keys[i] for i in group))
        for group in wanted
        if group
    ]


def check_room(jobs: Sequence[ShardJob]) -> None:
    """Check that the disk has room for what will be decoded, estimated from a sample of the recordings.

    Raises:
        OutputError: it has not.
    """
    format_, folder = jobs[0].format, jobs[0].folder
    clips = [clip for job in jobs for clip in job.clips]
    probes = clips[:: -(-len(clips) // _PROBES)]
    lengths = [length for clip in probes if (length := _length(clip, format_)) is not None]
    need = round(np.mean(lengths) * len(clips) * _SAMPLE_BYTES) if lengths else 0
    free = shutil.disk_usage(folder).free
    if need > free:
        raise OutputError(
            f"the waveform cache {folder} needs about {need / 1e6:.1f} MB for {len(clips)} clips, but "
            f"{free / 1e6:.1f} MB are free there: make room, or set DIFFRES_DATA to another folder"
        )


def _length(clip: Clip, format_: WaveformFormat) -> int | None:
    """How many samples a clip will take; None where its header does not state it."""
    first, end = format_.span(clip)
    try:
        with open_recording(clip.path) as recording:
            if recording.frames is None:
                return None
            total = round(recording.frames / recording.sample_rate * format_.sample_rate)
    except Exception:  # it will be reported when it is decoded
        return None
    return max(0, (total if end is None else min(end, total)) - first)


def write_shards(
    jobs: Sequence[ShardJob], count: int, on_decoded: Callable[[int], object]
) -> dict[bytes, str]:
    """Do all jobs in `count` processes. Returns why clips could not be decoded this time, by key.

    A recording that kills two processes is skipped.

    Args:
        on_decoded: called with how many clips are decoded; fewer than before when a shard is begun again.

    Raises:
        OutputError: a shard cannot be written. DiffresError: workers die before they decode anything.
    """
    decoded: Counter[str] = Counter()  # clips, by the job's name
    total = 0
    failures: dict[bytes, str] = {}

    def update(job: ShardJob, progress: ShardProgress) -> None:
        nonlocal total
        total += progress.decoded - decoded[job.name]
        decoded[job.name] = progress.decoded
        on_decoded(total)

    with WorkerPool(count, _prepare, on_progress=update, environments=[_ONE_THREAD]) as pool:
        for job, result in pool.run(jobs):
            if isinstance(result, Died):
                fatal = result.progress.keys if result.progress else ()
                pool.submit(replace(job, skip=job.skip.union(fatal)))
            elif result is None:  # the others first, then wait for that process: it may die
                pool.submit(replace(job, wait=True))
            else:
                update(job, ShardProgress((), len(job.keys)))
                failures |= result
    return failures


def _prepare() -> Callable[[ShardJob, Report], dict[bytes, str] | None]:
    return write_shard
