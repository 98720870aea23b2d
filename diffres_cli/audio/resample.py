"""Blocks at one rate to blocks at another, by soxr's streaming resampler."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np

from diffres_cli.audio.decoder import Samples
from diffres_cli.imports import required


def resample(blocks: Iterable[Samples], rate: int, target_rate: int) -> Iterator[Samples]:
    """Resample a stream of blocks from `rate` to `target_rate`, both in Hz, in constant memory.

    Shape:
        blocks: [n] each, any n -> [m] each; Σm = Σn · target_rate / rate, rounded. Empty blocks are left out.
            Or [n, channels] -> [m, channels].

    The result does not depend on how the stream was cut into blocks.

    >>> [block.shape for block in resample([np.zeros(44100, np.float32)], 44100, 44100)]
    [(44100,)]
    """
    if rate == target_rate:
        yield from (block for block in blocks if len(block))
        return
    with required("resampling audio"):
        import soxr

    blocks = iter(blocks)
    first = next(blocks, np.zeros(0, np.float32))
    channels = 1 if first.ndim == 1 else first.shape[1]
    stream = soxr.ResampleStream(rate, target_rate, channels, dtype="float32", quality="HQ")
    for block in chain([first], blocks):
        output: Samples = stream.resample_chunk(block)
        if len(output):
            yield output
    tail: Samples = stream.resample_chunk(first[:0], last=True)
    if len(tail):
        yield tail
