"""Which clips of a dataset can be decoded."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import NamedTuple

from diffres_cli.audio import open_recording
from diffres_cli.datasets.clip import Clip, Dataset
from diffres_cli.errors import AudioError, DataError, DependencyError, OverdueError
from diffres_cli.processes import end_with_parent
from diffres_cli.watch import watched

_CHUNK = 64  # recordings a worker is given at once


class Problem(NamedTuple):
    """A clip that cannot be used as it should be; kind: missing, undecodable or damaged."""

    name: str
    split: str
    kind: str
    reason: str


class _Finding(NamedTuple):
    path: Path
    kind: str
    reason: str
    seconds: float | None


def problems(
    dataset: Dataset,
    *,
    deep: bool = False,
    jobs: int = 1,
    on_done: Callable[[int], object] = lambda done: None,
) -> Iterator[Problem]:
    """The clips of a dataset that are missing, cannot be decoded, or are damaged, the missing first.

    Args:
        deep: decode everything, not only the headers. Without it, only damage to a header is found.
        jobs: worker processes.
        on_done: told how many recordings have been looked at.

    Raises:
        DataError: a recording takes the process that decodes it down.
    """
    for split, names in dataset.absent.items():
        yield from (Problem(name, split, "missing", "no such file") for name in names)
    clips: dict[Path, list[Clip]] = {}
    for clip in dataset.clips:
        clips.setdefault(clip.path, []).append(clip)
    for done, finding in enumerate(_findings(list(clips), deep, jobs), 1):
        yield from (problem for clip in clips[finding.path] if (problem := _problem(clip, finding)))
        on_done(done)


def _problem(clip: Clip, finding: _Finding) -> Problem | None:
    if finding.kind:
        return Problem(clip.name, clip.split, finding.kind, finding.reason)
    if finding.seconds is not None and clip.start >= finding.seconds:
        reason = f"starts at {clip.start:g} s, the recording ends at {finding.seconds:.2f} s"
        return Problem(clip.name, clip.split, "undecodable", reason)
    return None


def _findings(paths: Sequence[Path], deep: bool, jobs: int) -> Iterable[_Finding]:
    look = partial(_look, deep=deep)
    if jobs <= 1:
        yield from map(look, paths)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, context, _begin)
    try:
        yield from pool.map(look, paths, chunksize=_CHUNK)
    except BrokenProcessPool as error:
        raise DataError("a process died of a recording: check again with -j 1 to see after which") from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # who is told to stop waits for nobody


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    end_with_parent()


def _look(path: Path, deep: bool) -> _Finding:
    """What is wrong with a recording, by its header or by all of it."""
    try:
        return watched(partial(_looked, path, deep))
    except OverdueError as error:
        return _Finding(path, "undecodable", str(error), None)


def _looked(path: Path, deep: bool) -> _Finding:
    try:
        with open_recording(path) as recording:
            if deep:
                for _ in recording.blocks(recording.sample_rate):
                    pass
            kind, reason = "damaged" if recording.warnings else "", "; ".join(recording.warnings)
            if deep:
                return _Finding(path, kind, reason, recording.duration)
            if recording.frames is None:
                return _Finding(path, kind, reason, None)
            if not recording.frames:
                kind, reason = "undecodable", "it holds no samples"
            return _Finding(path, kind, reason, recording.frames / recording.sample_rate)
    except DependencyError:
        raise
    except AudioError as error:
        return _Finding(path, "undecodable", str(error), None)
    except Exception as error:  # whatever a decoder thinks of
        return _Finding(path, "undecodable", f"unexpected {type(error).__name__}: {error}", None)
