"""One stream of samples in a file, and what libsndfile reads in its place."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from diffres_cli.audio.sources import OpenFile, spool

_CHUNK = 2**20  # bytes


@dataclass(frozen=True)
class Stream:
    """One of the streams that follow one another in a file; most files are one.

    Attributes:
        chunks: the bytes of a copy to read in place of the file; None: the file itself will do.
        states_length: whether the stream states a length that is to be kept to.
        note: what is odd about its header. damage: what is wrong with its data.
        gaps: (first sample, samples) that are silence in the copy, where the file is damaged.
    """

    chunks: Callable[[], Iterator[bytes]] | None = None
    states_length: bool = True
    note: str = ""
    damage: str = ""
    gaps: tuple[tuple[int, int], ...] = ()

    def copy(self, file: OpenFile) -> OpenFile | None:
        """The copy, to be closed by whoever reads it; None where there is need of none.

        Raises:
            AudioError: the file cannot be read, or the temporary folder has no room.
        """
        return None if self.chunks is None else spool(cast(BinaryIO, _ChunkReader(self.chunks())), file.name)


def read_range(file: OpenFile, start: int, end: int) -> Iterator[bytes]:
    """The bytes of a file from `start` up to `end`, in pieces that memory has room for."""
    for place in range(start, end, _CHUNK):
        yield file.peek(min(_CHUNK, end - place), place)


class _ChunkReader(io.RawIOBase):
    """Chunks of bytes as a binary stream that is read once, from beginning to end."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks

    def read(self, size: int = -1) -> bytes:
        return next((chunk for chunk in self._chunks if chunk), b"")
