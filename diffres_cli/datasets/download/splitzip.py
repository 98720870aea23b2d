"""A zip archive, also one split into several files as FSD50K's are, which zipfile cannot read."""

from __future__ import annotations

import io
import struct
import zipfile
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

_EOCD, _EOCD_SIZE = b"PK\5\6", 22
_EOCD64, _EOCD64_SIZE, _LOCATOR_SIZE = b"PK\6\6", 56, 20
_MAX_EOCD_SIZE = _EOCD64_SIZE + _LOCATOR_SIZE + _EOCD_SIZE + 2**16  # bytes, with a comment


@contextmanager
def open_zip(parts: Sequence[Path]) -> Iterator[zipfile.ZipFile]:
    """A zip archive; its parts in order, the .zip last.

    Raises:
        zipfile.BadZipFile, OSError: it is damaged.
    """
    with ExitStack() as stack:
        files = [stack.enter_context(part.open("rb")) for part in parts]
        if len(files) == 1:
            yield stack.enter_context(zipfile.ZipFile(files[0]))
            return
        joined = _JoinedParts(files)
        archive = stack.enter_context(zipfile.ZipFile(io.BufferedReader(joined)))
        for info in archive.infolist():
            # Counted from the start of a part. The library, which knows no parts, has added where the
            # directory's part begins.
            if info.volume >= len(files):
                raise zipfile.BadZipFile(f"it refers to part {info.volume + 1}")
            info.header_offset += joined.starts[info.volume] - joined.before
            if hasattr(info, "_end_offset"):  # a later library's check for overlaps, made of wrong offsets
                info._end_offset = None
        yield archive


def _find_directory(last: BinaryIO) -> tuple[int, int, int]:
    """Where the list of entries is: the part it begins in, the byte of that part, and its size."""
    last.seek(-min(last.seek(0, io.SEEK_END), _MAX_EOCD_SIZE), io.SEEK_END)
    tail = last.read()
    at = tail.rfind(_EOCD)
    if at < 0 or len(tail) < at + _EOCD_SIZE:
        raise zipfile.BadZipFile("it has no end record")
    part, size, offset = struct.unpack_from("<H4xII", tail, at + 6)
    at64 = at - _LOCATOR_SIZE - _EOCD64_SIZE
    if at64 >= 0 and tail.startswith(_EOCD64, at64):
        part, size, offset = struct.unpack_from("<I16xQQ", tail, at64 + 20)
    if max(size, offset) >= 2**32:
        raise zipfile.BadZipFile("its parts are too large")
    return part, offset, size


class _JoinedParts(io.RawIOBase):
    """The parts as one file up to the end of the directory, then an end record that names no parts.

    The ZIP64 records between these two, which archives over 4 GiB have, are left out: the library refuses
    those that name parts.

    Attributes:
        starts: the first byte of each part. before: bytes before the part in which the directory begins.
    """

    def __init__(self, files: Sequence[BinaryIO]) -> None:
        part, offset, size = _find_directory(files[-1])
        sizes = [file.seek(0, io.SEEK_END) for file in files]
        self.starts = [0, *accumulate(sizes)][:-1]
        self.before = self.starts[min(part, len(files) - 1)]
        end = self.before + offset + size
        if part >= len(files) or not self.starts[-1] <= end <= sum(sizes) - _EOCD_SIZE:
            raise zipfile.BadZipFile("its directory is not where the end record says")
        record = struct.pack("<4s8xIIH", _EOCD, size, offset, 0)
        self._files = [*files, io.BytesIO(record)]
        self._starts = [*self.starts, end]
        self._ends = [*self.starts[1:], end, end + len(record)]
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position}.get(whence, self._ends[-1])
        if self._position < 0:
            raise zipfile.BadZipFile(f"it refers to byte {self._position}")
        return self._position

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Read from one part; at its end that is fewer bytes than requested."""
        if self._position >= self._ends[-1]:
            return 0
        index = bisect_right(self._starts, self._position) - 1
        self._files[index].seek(self._position - self._starts[index])
        data = self._files[index].read(min(len(buffer), self._ends[index] - self._position))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
