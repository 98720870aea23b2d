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
from diffres_cli.datasets.excerpts import Samples, Span, excerpts
from diffres_cli.datasets.locks import locked
from diffres_cli.datasets.shards import KEY_DIGITS, SUFFIX, ShardWriter, read_index
from diffres_cli.errors import OutputError
from diffres_cli.files import atomic_file, reason

CHANGED = "it changed or went away while it was read: run again"
DIED = "the process decoding it died twice"


@dataclass(frozen=True)
class Form:
    """What a waveform is kept as: mono at `sample_rate` Hz, its first `most` samples, None for all."""

    sample_rate: int
    most: int | None

    def span(self, clip: Clip) -> Span:
        """Which samples of the recording a clip is."""
        first = round(clip.start * self.sample_rate)
        ends = [] if clip.end is None else [max(first, round(clip.end * self.sample_rate))]
        return first, min(ends if self.most is None else [*ends, first + self.most], default=None)


@dataclass(frozen=True)
class Job:
    """Clips that become one shard of `folder`, in the order of their paths.

    Attributes:
        skip: clips that are not to be tried, by key. wait: for another process that does the same job.
    """

    folder: Path
    form: Form
    clips: tuple[Clip, ...]
    keys: tuple[bytes, ...]
    skip: frozenset[bytes] = frozenset()
    wait: bool = False

    @property
    def path(self) -> Path:
        """The shard; its name stands for what is in it."""
        return self.folder / f"{_digest(b''.join(self.keys))}{SUFFIX}"


@dataclass
class Done:
    """A job's outcome: `busy` when another process is at it, else why some clips are not in the shard for
    now; what the shard itself calls a failure is not among these."""

    busy: bool = False
    failures: dict[bytes, str] = field(default_factory=dict)


def key_of(clip: Clip) -> bytes:
    """What a clip is: which stretch of which state of which file, in hex. b"" where there is no such file."""
    try:
        status = os.stat(clip.path)  # noqa: PTH116 (a million of these count)
    except (OSError, ValueError):
        return b""
    path = os.path.abspath(clip.path)  # noqa: PTH100 (likewise)
    text = f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0{clip.start}\0{clip.end}"
    return _digest(os.fsencode(text)).encode()


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=KEY_DIGITS // 2).hexdigest()


def decoders() -> str:
    """What can be decoded here: a recording that fails may not once there is an ffmpeg."""
    return "libsndfile, ffmpeg" if shutil.which("ffmpeg") else "libsndfile"


def do(job: Job, starting: Callable[[tuple[bytes, ...]], None]) -> Done:
    """Make the shard of a job, whole or not at all, unless another process makes it or has made it.

    Args:
        starting: told the keys of the clips that are decoded next.

    Raises:
        OutputError: it cannot be written.
    """
    lock = job.path.with_suffix(".lock")
    try:
        with locked(lock, wait=job.wait) as held:
            if not held:
                return Done(busy=True)
            done = Done() if _is_there(job) else _make(job, starting)
            lock.unlink(missing_ok=True)
            return done
    except OSError as error:
        raise _unwritable(job.folder, error) from error
    except OutputError as error:
        raise _unwritable(job.folder, error.__cause__) from error


def _unwritable(folder: Path, cause: BaseException | None) -> OutputError:
    why = reason(cause) if isinstance(cause, OSError) else str(cause)
    kept = "what is finished stays, and the next run goes on from there"
    return OutputError(f"cannot write the waveform cache {folder}: {why}; {kept}")


def _is_there(job: Job) -> bool:
    index = read_index(job.path)
    return index is not None and {*index.records["key"].tolist(), *index.failures} >= set(job.keys)


def _make(job: Job, starting: Callable[[tuple[bytes, ...]], None]) -> Done:
    done = Done(failures=dict.fromkeys(job.skip, DIED))
    with atomic_file(job.path) as file:
        shard = ShardWriter(file)
        for clips, keys in _recordings(job):
            starting(keys)
            for clip, key, result in zip(clips, keys, _decode(job, clips), strict=True):
                if key_of(clip) != key:
                    done.failures[key] = CHANGED
                elif isinstance(result, MemoryError):
                    done.failures[key] = "out of memory"
                elif isinstance(result, str):
                    shard.fail(key, result)
                else:
                    shard.add(key, result)
        shard.finish(decoders())
    return done


def _recordings(job: Job) -> Iterator[tuple[tuple[Clip, ...], tuple[bytes, ...]]]:
    """The clips and keys of each recording: one that many clips are cut from is decoded once."""
    pairs = ((clip, key) for clip, key in zip(job.clips, job.keys, strict=True) if key not in job.skip)
    for _, group in itertools.groupby(pairs, lambda pair: pair[0].path):
        clips, keys = zip(*group, strict=True)
        yield clips, keys


def _decode(job: Job, clips: Sequence[Clip]) -> Sequence[Samples | str | MemoryError]:
    try:
        return excerpts(clips[0].path, [job.form.span(clip) for clip in clips], job.form.sample_rate)
    except MemoryError as error:
        return [error] * len(clips)
