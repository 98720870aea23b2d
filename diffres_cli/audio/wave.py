"""WAV files that state no samples and hold some: their writer could not go back, or died before it did."""

from __future__ import annotations

import os

from diffres_cli.audio.sources import OpenFile, spool

_HEAD = 2**16  # bytes in which the samples must begin
_UNKNOWN = b"\xff\xff\xff\xff"  # a size that libsndfile replaces by what is there


def unstated_size(file: OpenFile) -> int | None:
    """Where the size of the samples stands, if that is 0 although there are some; else None.

    In a file that is truly empty, whatever follows belongs to it by the size in the first chunk.
    """
    head, length = file.peek(_HEAD), os.fstat(file.stream.fileno()).st_size
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    position = 12
    while len(chunk := head[position : position + 8]) == 8 and not chunk.startswith(b"data"):
        size = _number(chunk[4:])
        position += 8 + size + size % 2
    samples = position + 8
    if chunk != b"data\0\0\0\0" or length <= samples:
        return None
    whole = 8 + _number(head[4:8])
    return None if samples < whole <= length + 1 else position + 4


def with_unknown_size(file: OpenFile, place: int) -> OpenFile:
    """A copy of a WAV file with a size at `place` that means unknown. `file` itself is not closed.

    Raises:
        AudioError: the temporary folder has no room for the copy.
    """
    lead = file.peek(place) + _UNKNOWN
    file.stream.seek(len(lead))
    return spool(file.stream, file.name, lead)


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")
