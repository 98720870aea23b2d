"""Mono blocks at one rate to mono blocks at another, by soxr's streaming resampler."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from diffres_cli.audio.decoder import Samples


def resampled(blocks: Iterable[Samples], rate: int, target_rate: int) -> Iterator[Samples]:
    """Resample a stream of mono blocks from `rate` to `target_rate`, both in Hz, in constant memory.

    Shape:
        blocks: [n] each, any n -> [m] each; Σm = Σn · target_rate / rate, rounded. Empty blocks are left out.

    The result does not depend on how the stream was cut into blocks.

    >>> [block.shape for block in resampled([np.zeros(44100, np.float32)], 44100, 44100)]
    [(44100,)]
    """
    if rate == target_rate:
        yield from (block for block in blocks if len(block))
        return
    import soxr

    stream = soxr.ResampleStream(rate, target_rate, 1, dtype="float32", quality="HQ")
    for block in blocks:
        output: Samples = stream.resample_chunk(block)
        if len(output):
            yield output
    tail: Samples = stream.resample_chunk(np.zeros(0, np.float32), last=True)
    if len(tail):
        yield tail
