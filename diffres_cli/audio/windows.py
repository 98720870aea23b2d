"""A stream of blocks as overlapping windows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from diffres_cli.audio.decoder import Samples


def windows(blocks: Iterable[Samples], size: int, hop: int, minimum: int) -> Iterator[tuple[int, Samples]]:
    """Cut a stream into windows of `size` samples every `hop` samples, in constant memory.

    The last window ends with the stream, is never padded, and only that of a stream shorter than `size`
    is shorter: it begins early enough to be whole, and so overlaps the one before. Where fewer than
    `minimum` samples follow a window they join it, so that the last may be up to size + minimum - 1 long.
    Every sample is in at least one.

    Yields:
        (first, samples): the index of the window's first sample in the stream, and the window, [n], or
            [n, channels] of such blocks.

    Raises:
        ValueError: unless 1 <= hop <= size and minimum >= 0.

    >>> stream = [np.arange(6, dtype=np.float32), np.arange(6, 11, dtype=np.float32)]
    >>> [(first, len(window)) for first, window in windows(stream, size=4, hop=4, minimum=3)]
    [(0, 4), (4, 4), (7, 4)]
    >>> [(first, len(window)) for first, window in windows(stream, size=5, hop=5, minimum=3)]
    [(0, 5), (5, 6)]
    """
    if not 1 <= hop <= size or minimum < 0:
        raise ValueError(f"windows need 1 <= hop <= size and minimum >= 0, not {hop=}, {size=}, {minimum=}")
    # A window is decided once enough follows it for a window of its own.
    decided = size + max(minimum, 1)
    first, count, pending = 0, 0, list[Samples]()
    before: list[Samples] = []  # the hop before `first`
    for block in blocks:
        pending.append(block)
        count += len(block)
        if count < decided:
            continue
        buffer = np.concatenate(pending)
        while len(buffer) >= decided:
            yield first, buffer[:size]
            first, before, buffer = first + hop, [buffer[:hop]], buffer[hop:]
        pending, count = [buffer], len(buffer)
    if count:
        last = np.concatenate([*before, *pending])
        missing = max(0, size - count) if before else 0
        yield first - missing, last[len(last) - count - missing :]


def excerpt(blocks: Iterable[Samples], first: int, count: int | None) -> Iterator[Samples]:
    """The part of a stream that begins at sample `first` and is `count` samples long, or to the end.

    What follows the part is not read.

    >>> stream = [np.arange(6, dtype=np.float32), np.arange(6, 11, dtype=np.float32)]
    >>> [block.tolist() for block in excerpt(stream, 4, 4)]
    [[4.0, 5.0], [6.0, 7.0]]
    """
    position = 0
    end = None if count is None else first + count
    for block in blocks:
        part = block[max(0, first - position) : None if end is None else max(0, end - position)]
        position += len(block)
        if len(part):
            yield part
        if end is not None and position >= end:
            return
