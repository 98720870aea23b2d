"""Clips of a dataset that are missing, damaged, suspect, or cannot be decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from diffres_cli.audio import open_recording
from diffres_cli.datasets.clip import Clip, Dataset
from diffres_cli.datasets.waveforms.decoding import DIED
from diffres_cli.errors import AudioError, DependencyError, StalledError
from diffres_cli.pool import Died, Report, WorkerPool
from diffres_cli.timeouts import run_with_timeout

PROBLEM_KINDS = ("missing", "undecodable", "damaged", "suspect")
"""A suspect clip is whole, and may not sound as it was meant to: its channels cancel each other, say."""
_CHUNK = 64  # recordings in a task: a header takes no longer to read than a message to another process


class Problem(NamedTuple):
    """A clip that cannot be used as it should be; kind: one of `PROBLEM_KINDS`."""

    name: str
    split: str
    kind: str
    reason: str


class _Finding(NamedTuple):
    """What is wrong with a recording, "" for nothing, and its duration where that is known."""

    path: Path
    kind: str
    reason: str
    seconds: float | None = None


def find_problems(
    dataset: Dataset,
    *,
    deep: bool = False,
    jobs: int = 1,
    on_done: Callable[[int], object] = lambda done: None,
) -> Iterator[Problem]:
    """The clips of a dataset that cannot be used as they should be, the missing first.

    A recording that kills the process decoding it is undecodable.

    Args:
        deep: decode everything, not only the headers. Without it, only damage to a header is found.
        jobs: worker processes.
        on_done: called with how many recordings have been checked.
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
    _, kind, reason, seconds = finding
    if not kind and seconds is not None and clip.start >= seconds:
        kind = "undecodable"
        reason = f"starts at {clip.start:g} s, the recording ends at {seconds:.2f} s"
    return Problem(clip.name, clip.split, kind, reason) if kind else None


def _findings(paths: Sequence[Path], deep: bool, jobs: int) -> Iterator[_Finding]:
    if jobs <= 1:
        yield from (_check(path, deep) for path in paths)
        return
    chunks = [paths[first : first + _CHUNK] for first in range(0, len(paths), _CHUNK)]
    with WorkerPool(jobs, _prepare, (deep,)) as pool:
        for chunk, found in pool.run(chunks):
            if not isinstance(found, Died):
                yield from found
            elif len(chunk) == 1:
                yield _Finding(chunk[0], "undecodable", f"{DIED} ({found.reason})")
            else:
                for path in chunk:
                    pool.submit([path])


def _prepare(deep: bool) -> Callable[[Sequence[Path], Report], list[_Finding]]:
    return lambda paths, report: [_check(path, deep) for path in paths]


def _check(path: Path, deep: bool) -> _Finding:
    """What is wrong with a recording, by its header or by all of it."""
    try:
        return run_with_timeout(partial(_read, path, deep))
    except DependencyError:
        raise
    except (AudioError, StalledError) as error:
        return _Finding(path, "undecodable", str(error))
    except Exception as error:  # whatever a decoder thinks of
        return _Finding(path, "undecodable", f"unexpected {type(error).__name__}: {error}")


def _read(path: Path, deep: bool) -> _Finding:
    with open_recording(path) as recording:
        if deep:
            for _ in recording.blocks(recording.sample_rate):
                pass
        elif recording.frames == 0:
            return _Finding(path, "undecodable", "it holds no samples")
        kind = "damaged" if recording.damage else "suspect" if recording.warnings else ""
        seconds = recording.duration if deep or recording.frames is not None else None
        return _Finding(path, kind, "; ".join(recording.warnings), seconds)
