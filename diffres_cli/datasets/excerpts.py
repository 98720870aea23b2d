"""Excerpts of one recording, all of them cut from one pass over it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffres_cli.audio import open_recording, printable
from diffres_cli.errors import AudioError

Samples = NDArray[np.float32]
Span = tuple[int, int | None]  # first sample and the one after the last; None: to the end


def excerpts(path: Path, spans: Sequence[Span], sample_rate: int) -> list[Samples | str]:
    """The samples of each span at `sample_rate` Hz, mono, [n]; instead, a line that says why there are none.

    A span that reaches beyond the end is shorter. One that was complete before decoding failed is kept.

    Raises:
        MemoryError: the spans do not fit.
    """
    parts: list[list[Samples]] = [[] for _ in spans]
    position, failure = 0, ""
    try:
        with open_recording(path) as recording:
            for block in recording.blocks(sample_rate):
                for part, (first, end) in zip(parts, spans, strict=True):
                    piece = block[max(0, first - position) : None if end is None else max(0, end - position)]
                    if len(piece):
                        part.append(piece.copy())  # a view would hold the whole block
                position += len(block)
                if all(end is not None and end <= position for _, end in spans):
                    break
    except MemoryError:
        raise
    except Exception as error:  # whatever a decoder thinks of
        failure = _line(error, path)
    return [
        _result(part, span, position, failure, sample_rate) for part, span in zip(parts, spans, strict=True)
    ]


def _result(part: list[Samples], span: Span, decoded: int, failure: str, rate: int) -> Samples | str:
    first, end = span
    if failure and (end is None or end > decoded):
        return failure
    if not part:
        return f"it ends at {decoded / rate:.3f} s, this clip begins at {first / rate:.3f} s"
    return np.concatenate(part)


def _line(error: Exception, path: Path) -> str:
    if isinstance(error, AudioError):
        return str(error).removeprefix(f"{printable(str(path))}: ")
    return " ".join(f"{type(error).__name__}: {error}".split())
