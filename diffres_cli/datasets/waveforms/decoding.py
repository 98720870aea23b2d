"""Clips into shards: the work one worker process does."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from diffres_cli.datasets.clip import Clip
from diffres_cli.datasets.waveforms.excerpts import Failure, Samples, Span, excerpts
from diffres_cli.datasets.waveforms.shards import KEY_DIGITS, SUFFIX, ShardWriter, read_index
from diffres_cli.errors import OutputError
from diffres_cli.files import atomic_file, lock_path, reason
from diffres_cli.locks import locked

CHANGED = "it changed or went away while it was read: run again"
DIED = "the process decoding it died twice"
Starting = Callable[[tuple[bytes, ...]], None]


@dataclass(frozen=True)
class Form:
    """What a waveform is kept as: mono at `sample_rate` Hz, its first `most` samples, None for all."""

    sample_rate: int
    most: int | None

    def span(self, clip: Clip) -> Span:
        """Which samples of the recording a clip is; an empty span where its times make no sense."""
        if not 0 <= clip.start < (float("inf") if clip.end is None else clip.end):
            return 0, 0
        first = round(clip.start * self.sample_rate)
        ends = [] if clip.end in (None, float("inf")) else [round(clip.end * self.sample_rate)]
        return first, min(ends if self.most is None else [*ends, first + self.most], default=None)


@dataclass(frozen=True)
class Job:
    """Clips that become one shard of `folder`, those of one recording next to each other.

    Attributes:
        keys: of the clips. skip: those that are not to be tried.
        wait: whether to wait for another process that does the same job.
    """

    folder: Path
    form: Form
    clips: tuple[Clip, ...]
    keys: tuple[bytes, ...]
    skip: frozenset[bytes] = frozenset()
    wait: bool = False

    @property
    def name(self) -> str:
        """The same for every process that has the same to do."""
        return _digest(b"".join(self.keys))


@dataclass
class Done:
    """A job's outcome: `busy` when another process is at it; else why clips are not in the shard although
    they may be another time. What will last is noted in the shard."""

    busy: bool = False
    failures: dict[bytes, str] = field(default_factory=dict)


def key_of(clip: Clip) -> bytes:
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


def decoders() -> str:
    """What can be decoded here: a recording that fails may not once there is an ffmpeg."""
    return "libsndfile, ffmpeg" if shutil.which("ffmpeg") else "libsndfile"


def do(job: Job, starting: Starting) -> Done:
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
                return Done(busy=True)
            try:
                path = _vacancy(job)
                return Done() if path is None else _make(job, path, starting)
            finally:
                lock_file.unlink(missing_ok=True)
    except OutputError as error:
        why = reason(error.__cause__) if isinstance(error.__cause__, OSError) else str(error)
        kept = "what is finished stays, and the next run goes on from there"
        raise OutputError(f"cannot write waveforms to {job.folder}: {why}; {kept}") from error


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=KEY_DIGITS // 2).hexdigest()


def _vacancy(job: Job) -> Path | None:
    """Where the shard is to go; None where there is one with all of the job's clips.

    One that lacks some, which failed when it was made, stays: other processes may be reading from it.
    """
    for number in itertools.count():
        path = job.folder / f"{job.name}-{number}{SUFFIX}"
        index = read_index(path)
        if index is None:
            return path
        failures = index.failures if index.decoders == decoders() else {}
        if {*index.records["key"].tolist(), *failures} >= set(job.keys):
            return None
    raise AssertionError("a folder holds finitely many files")


def _make(job: Job, path: Path, starting: Starting) -> Done:
    done = Done(failures=dict.fromkeys(job.skip, DIED))
    with atomic_file(path) as file:
        shard = ShardWriter(file)
        for clips, keys in _recordings(job):
            starting(keys)
            for clip, key, result in zip(clips, keys, _decode(job.form, clips), strict=True):
                if key_of(clip) != key:
                    done.failures[key] = CHANGED
                elif not isinstance(result, Failure):
                    shard.add(key, result)
                elif result.lasting:
                    shard.fail(key, result.reason)
                else:
                    done.failures[key] = result.reason
        shard.finish(decoders())
    return done


def _recordings(job: Job) -> Iterator[tuple[tuple[Clip, ...], tuple[bytes, ...]]]:
    """The clips and keys of each recording: one that many clips are cut from is decoded once."""
    pairs = ((clip, key) for clip, key in zip(job.clips, job.keys, strict=True) if key not in job.skip)
    for _, group in itertools.groupby(pairs, lambda pair: pair[0].path):
        clips, keys = zip(*group, strict=True)
        yield clips, keys


def _decode(form: Form, clips: Sequence[Clip]) -> list[Samples | Failure]:
    spans = [form.span(clip) for clip in clips]
    results = excerpts(clips[0].path, spans, form.sample_rate)
    for i, (clip, (first, end)) in enumerate(zip(clips, spans, strict=True)):
        if first == end:
            results[i] = Failure(f"from {clip.start} s to {clip.end} s is no stretch of time")
    return results
