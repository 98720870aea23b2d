"""One job: recordings -> a shard."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from diffres_cli.audio import open_recording
from diffres_cli.datasets.clip import Clip
from diffres_cli.datasets.waveforms.shards import KEY_DIGITS, SUFFIX, Samples, ShardWriter, read_index
from diffres_cli.errors import AudioError, DependencyError, OutputError
from diffres_cli.files import atomic_file, lock_path, reason
from diffres_cli.locks import locked
from diffres_cli.text import printable
from diffres_cli.timeouts import run_with_timeout

CHANGED = "it changed or went away while it was read: run again"
DIED = "the process decoding it died twice"
Span = tuple[int, int | None]  # first sample and the one after the last; None: to the end


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


class ShardProgress(NamedTuple):
    """The keys of the clips that are decoded next, and how many of the job's are decoded."""

    keys: tuple[bytes, ...]
    decoded: int


@dataclass(frozen=True)
class ClipFailure:
    """Why there are no samples, in one line; `permanent` when that will not change unless the file does."""

    reason: str
    permanent: bool = True


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


def write_shard(job: ShardJob, report: Callable[[ShardProgress], object]) -> dict[bytes, str] | None:
    """Make the shard of a job, whole or not at all, unless another process makes it or has made it.

    Returns:
        By key, why clips are not in the shard although they may be another time: permanent failures are noted
        in the shard. None: another process does the same job.

    Raises:
        OutputError: it cannot be written.
    """
    lock_file = lock_path(job.folder, job.name)
    try:
        with locked(lock_file, wait=job.wait) as held:
            if not held:
                return None
            try:
                path = _next_path(job)
                return {} if path is None else _decode_into(job, path, report)
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
    paths = (job.folder / f"{job.name}-{number}{SUFFIX}" for number in itertools.count())
    path = next(paths)
    while (index := read_index(path)) is not None:
        if {*index.records["key"].tolist(), *index.failures} >= set(job.keys):
            return None
        path = next(paths)
    return path


def _decode_into(job: ShardJob, path: Path, report: Callable[[ShardProgress], object]) -> dict[bytes, str]:
    failures = dict.fromkeys(job.skip, DIED)
    decoded = 0
    with atomic_file(path) as file:
        shard = ShardWriter(file)
        for clips, keys in _recordings(job):
            report(ShardProgress(keys, decoded))
            spans = [job.format.span(clip) for clip in clips]
            excerpts = read_excerpts(clips[0].path, spans, job.format.sample_rate)
            for clip, key, (first, end), excerpt in zip(clips, keys, spans, excerpts, strict=True):
                if first == end:
                    shard.fail(key, f"from {clip.start} s to {clip.end} s is not a stretch of time")
                elif clip_key(clip) != key:
                    failures[key] = CHANGED
                elif not isinstance(excerpt, ClipFailure):
                    shard.add(key, excerpt)
                elif excerpt.permanent:
                    shard.fail(key, excerpt.reason)
                else:
                    failures[key] = excerpt.reason
            decoded += len(keys)
        shard.finish()
    return failures


def _recordings(job: ShardJob) -> Iterator[tuple[tuple[Clip, ...], tuple[bytes, ...]]]:
    """The clips and keys of each recording: one that many clips are cut from is decoded once."""
    pairs = ((clip, key) for clip, key in zip(job.clips, job.keys, strict=True) if key not in job.skip)
    for _, group in itertools.groupby(pairs, lambda pair: pair[0].path):
        clips, keys = zip(*group, strict=True)
        yield clips, keys


def read_excerpts(path: Path, spans: Sequence[Span], sample_rate: int) -> list[Samples | ClipFailure]:
    """The samples of each span at `sample_rate` Hz, mono, [n], n > 0, cut from one pass over a recording.

    A span that reaches beyond the end is shorter. One that was complete before decoding failed is kept.
    """
    parts: list[list[Samples]] = [[] for _ in spans]
    position, failure = 0, None

    def read() -> None:
        nonlocal position
        with open_recording(path) as recording:
            for block in recording.blocks(sample_rate):
                for part, (first, end) in zip(parts, spans, strict=True):
                    piece = block[max(0, first - position) : None if end is None else max(0, end - position)]
                    if len(piece):
                        part.append(piece.copy())  # a view would hold the whole block
                position += len(block)
                if all(end is not None and end <= position for _, end in spans):
                    break

    try:
        run_with_timeout(read)
    except DependencyError:
        raise
    except Exception as error:  # whatever a decoder thinks of
        failure = _failure(error, path)
    return [_joined(part, span, position, failure) for part, span in zip(parts, spans, strict=True)]


def _joined(
    part: list[Samples], span: Span, decoded: int, failure: ClipFailure | None
) -> Samples | ClipFailure:
    if failure and (span[1] is None or span[1] > decoded):
        return failure
    return np.concatenate(part) if part else ClipFailure("the recording ends before this clip begins")


def _failure(error: Exception, path: Path) -> ClipFailure:
    """A recording that is damaged stays so; one that is out of reach, or too large today, may not."""
    if isinstance(error, AudioError):
        why = str(error).removeprefix(f"{printable(str(path))}: ")
        return ClipFailure(why, permanent=not isinstance(error.__cause__, OSError))
    return ClipFailure(" ".join(f"{type(error).__name__}: {error}".split()), permanent=False)
