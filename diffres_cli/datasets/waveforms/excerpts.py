"""Excerpts of one recording, all of them cut from one pass over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffres_cli.audio import open_recording, printable
from diffres_cli.errors import AudioError, DependencyError
from diffres_cli.timeouts import run_with_timeout

Samples = NDArray[np.float32]
Span = tuple[int, int | None]  # first sample and the one after the last; None: to the end


@dataclass(frozen=True)
class Failure:
    """Why there are no samples, in one line; `permanent` when that will not change unless the file does."""

    reason: str
    permanent: bool = True


def read_excerpts(path: Path, spans: Sequence[Span], sample_rate: int) -> list[Samples | Failure]:
    """The samples of each span at `sample_rate` Hz, mono, [n], n > 0.

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
        failure = _explain(error, path)
    return [_joined(part, span, position, failure) for part, span in zip(parts, spans, strict=True)]


def _joined(part: list[Samples], span: Span, decoded: int, failure: Failure | None) -> Samples | Failure:
    if failure and (span[1] is None or span[1] > decoded):
        return failure
    return np.concatenate(part) if part else Failure("the recording ends before this clip begins")


def _explain(error: Exception, path: Path) -> Failure:
    """A recording that is damaged stays so; one that is out of reach, or too large today, may not."""
    if isinstance(error, AudioError):
        reason = str(error).removeprefix(f"{printable(str(path))}: ")
        return Failure(reason, permanent=not isinstance(error.__cause__, OSError))
    return Failure(" ".join(f"{type(error).__name__}: {error}".split()), permanent=False)
