"""Archives read entry by entry: zip, also split into several files, and tar, also compressed."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import accumulate
from pathlib import Path
from typing import IO, BinaryIO

from diffres_cli.datasets.entries import Entry

Contents = Iterator[tuple[Entry, IO[bytes]]]

_BLOCK = 2**18
_TAR_KINDS = {
    tarfile.SYMTYPE: "symbolic link",
    tarfile.LNKTYPE: "hard link",
    tarfile.CHRTYPE: "device",
    tarfile.BLKTYPE: "device",
    tarfile.FIFOTYPE: "pipe",
}


def is_container(name: str) -> bool:
    """Whether a file of this name is an archive, rather than a file to be taken as it is."""
    return name.lower().endswith((".zip", ".tar", ".tar.gz", ".tgz"))


def entries(parts: Sequence[Path]) -> Iterator[Entry]:
    """What an archive declares to hold.

    Args:
        parts: its files; several for a split zip, in order, the .zip last.

    Raises:
        zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, OSError: it is damaged.
    """
    if parts[-1].suffix.lower() == ".zip":
        with _opened_zip(parts) as archive:
            yield from map(_zip_entry, archive.infolist())
        return
    with tarfile.open(parts[-1]) as archive:
        yield from map(_tar_entry, archive)
        while archive.fileobj and archive.fileobj.read(_BLOCK):
            pass  # up to the checksum at the end


def contents(parts: Sequence[Path]) -> Contents:
    """The files of an archive, each to be read before the next is asked for.

    Args, Raises: see `entries`.
    """
    if parts[-1].suffix.lower() == ".zip":
        with _opened_zip(parts) as archive:
            for info in archive.infolist():
                if not info.is_dir():
                    with archive.open(info) as file:
                        yield _zip_entry(info), file
        return
    with tarfile.open(parts[-1]) as tar:
        for member in tar:
            data = tar.extractfile(member) if member.isfile() else None
            if data is not None:
                yield _tar_entry(member), data


def _tar_entry(member: tarfile.TarInfo) -> Entry:
    kind = "file" if member.isfile() else "folder" if member.isdir() else _TAR_KINDS.get(member.type, "thing")
    return Entry(member.name, member.size if member.isfile() else 0, kind)


def _zip_entry(info: zipfile.ZipInfo) -> Entry:
    # The library ends names at a NUL byte, turns "\" into "/" on Windows; what stands there counts.
    name = info.orig_filename
    form = stat.S_IFMT(info.external_attr >> 16)
    if info.flag_bits & 1:
        return Entry(name, info.file_size, "encrypted file")
    if form not in (0, stat.S_IFREG, stat.S_IFDIR):
        return Entry(name, info.file_size, "symbolic link" if stat.S_ISLNK(form) else "device")
    return Entry(name, info.file_size, "folder" if info.is_dir() else "file")


@contextmanager
def _opened_zip(parts: Sequence[Path]) -> Iterator[zipfile.ZipFile]:
    with ExitStack() as stack:
        files = [stack.enter_context(part.open("rb")) for part in parts]
        joined = _Joined(files)
        archive = stack.enter_context(zipfile.ZipFile(io.BufferedReader(joined)))
        if len(parts) > 1:
            _point_into_parts(archive, joined.starts)
        yield archive


def _point_into_parts(archive: zipfile.ZipFile, starts: Sequence[int]) -> None:
    """Correct where entries begin: in a split zip that is counted from the start of a part.

    The library does not know parts (nor do its pure-Python kin); it has added to each offset how many
    bytes seemed to lie before the archive: the start of the part in which the directory begins.
    """
    before = starts[bisect_right(starts, archive.start_dir) - 1]
    for info in archive.infolist():
        if info.volume >= len(starts):
            raise zipfile.BadZipFile(f"part {info.volume + 1} of {len(starts)} is asked for")
        info.header_offset += starts[info.volume] - before
        if hasattr(info, "_end_offset"):  # Python 3.12's guard against overlaps, made of the wrong offsets
            info._end_offset = None


class _Joined(io.RawIOBase):
    """Several files as one, to be read from anywhere."""

    def __init__(self, files: Sequence[BinaryIO]) -> None:
        sizes = [file.seek(0, io.SEEK_END) for file in files]
        self.starts = [0, *accumulate(sizes)][:-1]
        self._files = files
        self._size = sum(sizes)
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        if self._place < 0:
            raise zipfile.BadZipFile(f"it refers to byte {self._place}")
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Bytes of one part: whoever wants more asks again."""
        if self._place >= self._size:
            return 0
        index = bisect_right(self.starts, self._place) - 1
        self._files[index].seek(self._place - self.starts[index])
        data = self._files[index].read(len(buffer))
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)
