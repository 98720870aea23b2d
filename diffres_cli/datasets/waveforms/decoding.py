"""One job: recordings -> a shard."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from diffres_cli.datasets.clip import Clip
from diffres_cli.datasets.waveforms.excerpts import Failure, Samples, Span, read_excerpts
from diffres_cli.datasets.waveforms.shards import KEY_DIGITS, SUFFIX, ShardWriter, read_index
from diffres_cli.errors import OutputError
from diffres_cli.files import atomic_file, lock_path, reason
from diffres_cli.locks import locked

CHANGED = "it changed or went away while it was read: run again"
DIED = "the process decoding it died twice"
Starting = Callable[[tuple[bytes, ...]], None]


@dataclass(frozen=True)
class WaveformFormat:
    """What a waveform is kept as: mono at `sample_rate` Hz, its first `max_samples`, None for all."""

    sample_rate: int
    max_samples: int | None

    def span(self, clip: Clip) -> Span:
        """Which samples of the recording a clip is; an empty span where its times make no sense."""
        if not 0 <= clip.start < (float("inf") if clip.end is None else clip.end):
            return 0, 0
        first = round(clip.start * self.sample_rate)
        ends = [] if clip.end in (None, float("inf")) else [round(clip.end * self.sample_rate)]
        if self.max_samples is not None:
            ends.append(first + self.max_samples)
        return first, min(ends, default=None)


@dataclass(frozen=True)
class ShardJob:
    """Clips that become one shard of `folder`, those of one recording next to each other.

    Attributes:
        keys: of the clips. skip: those that are not to be tried.
        wait: whether to wait for another process that does the same job.
    """

    folder: Path
    format: WaveformFormat
    clips: tuple[Clip, ...]
    keys: tuple[bytes, ...]
    skip: frozenset[bytes] = frozenset()
    wait: bool = False

    @property
    def name(self) -> str:
        """The same in every process that has the same job."""
        return _digest(b"".join(self.keys))


class Progress(NamedTuple):
    """The keys of the clips that are decoded next, and how many of the job's are decoded."""

    keys: tuple[bytes, ...]
    decoded: int


@dataclass
class ShardResult:
    """What became of a job.

    Attributes:
        busy: another process does the same job.
        failures: by key, why clips are not in the shard although they may be another time. Permanent
            failures are noted in the shard.
    """

    busy: bool = False
    failures: dict[bytes, str] = field(default_factory=dict)


def clip_key(clip: Clip) -> bytes:
    """What a clip is: which stretch of which state of which file, in hex. b"" where there is no such file."""
    # os.path, not pathlib: a million of these count
    try:
        status = os.stat(clip.path)  # noqa: PTH116
    except (OSError, ValueError):
        return b""
    path = os.fspath(clip.path)
    path = path if os.path.isabs(path) else os.path.abspath(path)  # noqa: PTH117, PTH100
    text = f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0{clip.start}\0{clip.end}"
    return _digest(os.fsencode(text)).encode()


def available_decoders() -> str:
    """Names of what decodes on this machine. A recording that fails now may not fail with ffmpeg."""
    return "libsndfile, ffmpeg" if shutil.which("ffmpeg") else "libsndfile"


def write_shard(job: ShardJob, starting: Starting) -> ShardResult:
    """Make the shard of a job, whole or not at all, unless another process makes it or has made it.

    Args:
        starting: told the keys of the clips that are decoded next.

    Raises:
        OutputError: it cannot be written.
    """
    lock_file = lock_path(job.folder, job.name)
    try:
        with locked(lock_file, wait=job.wait) as held:
            if not held:
                return ShardResult(busy=True)
            try:
                path = _next_path(job)
                return ShardResult() if path is None else _decode_into(job, path, starting)
            finally:
                lock_file.unlink(missing_ok=True)
    except OutputError as error:
        why = reason(error.__cause__) if isinstance(error.__cause__, OSError) else str(error)
        kept = "what is finished stays, and the next run resumes there"
        raise OutputError(f"cannot write waveforms to {job.folder}: {why}; {kept}") from error


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=KEY_DIGITS // 2).hexdigest()


def _next_path(job: ShardJob) -> Path | None:
    """A free path for the shard; None where a shard has all of the job's clips.

    A shard that lacks some, which failed when it was made, stays: other processes may be reading from it.
    """
    for number in itertools.count():
        path = job.folder / f"{job.name}-{number}{SUFFIX}"
        index = read_index(path)
        if index is None:
            return path
        failures = index.failures if index.decoders == available_decoders() else {}
        if {*index.records["key"].tolist(), *failures} >= set(job.keys):
            return None
    raise AssertionError("a folder holds finitely many files")


def _decode_into(job: ShardJob, path: Path, starting: Starting) -> ShardResult:
    done = ShardResult(failures=dict.fromkeys(job.skip, DIED))
    with atomic_file(path) as file:
        shard = ShardWriter(file)
        for clips, keys in _recordings(job):
            starting(keys)
            for clip, key, result in zip(clips, keys, _decode(job.format, clips), strict=True):
                if clip_key(clip) != key:
                    done.failures[key] = CHANGED
                elif not isinstance(result, Failure):
                    shard.add(key, result)
                elif result.permanent:
                    shard.fail(key, result.reason)
                else:
                    done.failures[key] = result.reason
        shard.finish(available_decoders())
    return done


def _recordings(job: ShardJob) -> Iterator[tuple[tuple[Clip, ...], tuple[bytes, ...]]]:
    """The clips and keys of each recording: one that many clips are cut from is decoded once."""
    pairs = ((clip, key) for clip, key in zip(job.clips, job.keys, strict=True) if key not in job.skip)
    for _, group in itertools.groupby(pairs, lambda pair: pair[0].path):
        clips, keys = zip(*group, strict=True)
        yield clips, keys


def _decode(format_: WaveformFormat, clips: Sequence[Clip]) -> list[Samples | Failure]:
    spans = [format_.span(clip) for clip in clips]
    results = read_excerpts(clips[0].path, spans, format_.sample_rate)
    for i, (clip, (first, end)) in enumerate(zip(clips, spans, strict=True)):
        if first == end:
            results[i] = Failure(f"from {clip.start} s to {clip.end} s is not a stretch of time")
    return results
