"""Archives read entry by entry: zip, also split into several files, and tar, also gzipped."""

from __future__ import annotations

import io
import stat
import struct
import tarfile
import zipfile
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import accumulate
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple

from diffres_cli.datasets.download.entries import Entry

Contents = Iterator[tuple[Entry, IO[bytes]]]

_BLOCK = 2**18
_END, _END_SIZE = b"PK\5\6", 22
_END64, _END64_SIZE, _LOCATOR_SIZE = b"PK\6\6", 56, 20
_LONGEST_END = _END64_SIZE + _LOCATOR_SIZE + _END_SIZE + 2**16  # bytes, with a comment
_TAR_KINDS = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
}


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
    with _opened_tar(parts[-1]) as archive:
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
    with _opened_tar(parts[-1]) as tar:
        for member in tar:
            data = tar.extractfile(member) if member.isfile() else None
            if data is not None:
                yield _tar_entry(member), data


def _opened_tar(path: Path) -> tarfile.TarFile:
    # Not by trying: that explains a damaged archive by every compression it is not.
    return tarfile.open(path, "r:") if path.suffix.lower() == ".tar" else tarfile.open(path, "r:gz")


def _tar_entry(member: tarfile.TarInfo) -> Entry:
    kind = (
        "file"
        if member.isfile()
        else "folder"
        if member.isdir()
        else _TAR_KINDS.get(member.type, "something else")
    )
    return Entry(member.name, member.size if member.isfile() else 0, kind)


def _zip_entry(info: zipfile.ZipInfo) -> Entry:
    # The library ends names at a NUL byte, turns "\" into "/" on Windows; what stands there counts.
    name = info.orig_filename
    form = stat.S_IFMT(info.external_attr >> 16)
    if info.flag_bits & 1:
        return Entry(name, info.file_size, "an encrypted file")
    if form not in (0, stat.S_IFREG, stat.S_IFDIR):
        return Entry(name, info.file_size, "a symbolic link" if stat.S_ISLNK(form) else "a device")
    return Entry(name, info.file_size, "folder" if info.is_dir() else "file")


@contextmanager
def _opened_zip(parts: Sequence[Path]) -> Iterator[zipfile.ZipFile]:
    with ExitStack() as stack:
        files = [stack.enter_context(part.open("rb")) for part in parts]
        if len(files) == 1:
            yield stack.enter_context(zipfile.ZipFile(files[0]))
            return
        joined = _Joined(files, _directory(files[-1]))
        archive = stack.enter_context(zipfile.ZipFile(io.BufferedReader(joined)))
        _point_into_parts(archive, joined)
        yield archive


class _Directory(NamedTuple):
    """Where the list of a zip archive's entries is."""

    part: int  # in which it begins,
    offset: int  # at this byte of it
    size: int

    @property
    def end_record(self) -> bytes:
        """The shortest that leads the library to it, as if parts before this one were foreign bytes."""
        return struct.pack("<4s8xIIH", _END, self.size, self.offset, 0)


def _directory(last: BinaryIO) -> _Directory:
    last.seek(-min(last.seek(0, io.SEEK_END), _LONGEST_END), io.SEEK_END)
    tail = last.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) < at + _END_SIZE:
        raise zipfile.BadZipFile("it has no end record")
    part, size, offset = struct.unpack_from("<H4xII", tail, at + 6)
    long = at - _LOCATOR_SIZE - _END64_SIZE
    if long >= 0 and tail.startswith(_END64, long):
        part, size, offset = struct.unpack_from("<I16xQQ", tail, long + 20)
    if max(size, offset) >= 2**32:
        raise zipfile.BadZipFile("its parts are too large")
    return _Directory(part, offset, size)


def _point_into_parts(archive: zipfile.ZipFile, joined: _Joined) -> None:
    """Correct where entries begin: in a split zip that is counted from the start of a part.

    The library does not know parts; it has added to each offset where the directory's part begins.
    """
    for info in archive.infolist():
        if info.volume >= len(joined.starts):
            raise zipfile.BadZipFile(f"it refers to part {info.volume + 1}")
        info.header_offset += joined.starts[info.volume] - joined.before
        if hasattr(info, "_end_offset"):  # a later library's guard against overlaps, made of wrong offsets
            info._end_offset = None


class _Joined(io.RawIOBase):
    """The parts of a split zip as one file up to the end of the directory, then an end record.

    The ZIP64 records between these two, which archives over 4 GiB have, are left out: the library refuses
    what they say of parts.
    """

    def __init__(self, files: Sequence[BinaryIO], directory: _Directory) -> None:
        sizes = [file.seek(0, io.SEEK_END) for file in files]
        self.starts = [0, *accumulate(sizes)][:-1]
        self.before = self.starts[min(directory.part, len(files) - 1)]
        end = self.before + directory.offset + directory.size
        if directory.part >= len(files) or not self.starts[-1] <= end <= sum(sizes) - _END_SIZE:
            raise zipfile.BadZipFile("its directory is not where the end record says")
        self._files = [*files, io.BytesIO(directory.end_record)]
        self._starts = [*self.starts, end]
        self._ends = [*self.starts[1:], end, end + _END_SIZE]
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._ends[-1]}[whence]
        if self._place < 0:
            raise zipfile.BadZipFile(f"it refers to byte {self._place}")
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Bytes of one part: whoever wants more asks again."""
        if self._place >= self._ends[-1]:
            return 0
        index = bisect_right(self._starts, self._place) - 1
        self._files[index].seek(self._place - self._starts[index])
        data = self._files[index].read(min(len(buffer), self._ends[index] - self._place))
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)
