"""A path, standard input or bytes as an open regular file."""

from __future__ import annotations

import io
import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from diffres_cli.errors import AudioError, UsageError
from diffres_cli.text import STDIN, printable, to_nfc
from diffres_cli.timeouts import without_timeout

_PIECE, _WINDOW = 2**20, 2**18  # bytes: copied at once, and read where fewer are asked for
_NOT_REGULAR = {
    stat.S_IFDIR: "a folder, not a recording; name the files in it",
    stat.S_IFIFO: "a pipe, not a regular file; send it to standard input and name that '-'",
}


@dataclass
class OpenFile:
    """A regular file, open for reading. `url` is where another process finds the same bytes."""

    name: str
    stream: IO[bytes]
    url: str
    _window: tuple[int, bytes] = (0, b"")  # its first byte, and what was read from there

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return os.fstat(self.stream.fileno()).st_size

    def peek(self, size: int, start: int = 0) -> bytes:
        """`size` bytes from `start` on, fewer at the end. The stream stays where a decoder reads it.

        Raises:
            AudioError: the system cannot read them.
        """
        offset = start - self._window[0]
        if not 0 <= offset <= len(self._window[1]) - size:
            self._window, offset = (start, self._read(max(size, _WINDOW), start)), 0
        return self._window[1][offset : offset + size]

    def number(self, size: int, start: int, order: Literal["little", "big"] = "big") -> int:
        """The unsigned integer of `size` bytes at `start`; raises as `peek` does."""
        return int.from_bytes(self.peek(size, start), order)

    def pieces(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` up to `end`, in pieces that memory has room for; raises as `peek` does."""
        for place in range(start, end, _PIECE):
            yield self.peek(min(_PIECE, end - place), place)

    def find(self, mark: bytes, start: int = 0) -> Iterator[int]:
        """Where `mark` occurs from byte `start` on; raises as `peek` does."""
        for first in range(start, self.size, _WINDOW):
            data = self.peek(_WINDOW + len(mark) - 1, first)
            yield from (first + match.start() for match in re.finditer(re.escape(mark), data))

    def check_readable(self) -> None:
        """Read the file through, to distinguish a failing drive or share from a damaged file.

        Raises:
            AudioError: the system cannot read all of it.
        """
        for start in range(0, self.size, _PIECE):
            self._read(_PIECE, start)

    def _read(self, size: int, start: int) -> bytes:
        position = self.stream.tell()
        self.stream.seek(start)
        try:
            return self.stream.read(size)
        except OSError as error:
            raise unreadable(self.name, error) from error
        finally:
            self.stream.seek(position)


def unreadable(name: str, error: OSError) -> AudioError:
    """What to raise where the system cannot read a recording, which says nothing about the recording."""
    reason = error.strerror or str(error)
    where = "the drive, share or pipe it comes from failed"
    return AudioError(f"{printable(name)}: reading it failed ({reason}): {where}; try again")


def stat_path(path: str | Path) -> os.stat_result:
    """What is at `path`, links followed.

    Raises:
        AudioError: nothing is, or it is out of reach.
    """
    try:
        return Path(path).stat() if path != "" else Path("\0").stat()
    except OSError as error:
        raise AudioError(f"{printable(str(path))}: {_reason(error)}") from error
    except ValueError as error:  # a NUL, or half a surrogate pair
        raise AudioError(f"{printable(str(path))}: not a possible file name") from error


def stored_path(path: str) -> str:
    """`path`, or where nothing is there, the path of what differs from it in the form of accents only.

    A list made on one system names "é" as one character; another stores it as "e" and an accent.
    """
    if path.isascii() or "\0" in path or os.path.lexists(path):
        return path
    given = Path(path)
    folder, name = Path(stored_path(str(given.parent))), to_nfc(given.name)
    try:
        return next((str(other) for other in sorted(folder.iterdir()) if to_nfc(other.name) == name), path)
    except OSError:
        return path


def open_file(path: str | Path, name: str) -> OpenFile:
    """Open a regular file; a pipe, a device or a folder is refused before it can block.

    Raises:
        AudioError: there is no such file, it may not be read, it is not a file, or it is empty.
    """
    path = stored_path(str(path))
    _check_regular(stat_path(path), name)
    try:
        stream = Path(path).open("rb", buffering=0)  # noqa: SIM115 (closed by the recording)
    except OSError as error:
        raise AudioError(f"{printable(name)}: {_reason(error)}") from error
    return OpenFile(name, stream, url=f"file:{path}")


def _reason(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file or folder"
    if isinstance(error, PermissionError):
        return "no permission to read it"
    return f"cannot be opened ({error.strerror})"


def _check_regular(status: os.stat_result, name: str) -> None:
    kind, shown = stat.S_IFMT(status.st_mode), printable(name)
    if kind != stat.S_IFREG:
        raise AudioError(f"{shown}: {_NOT_REGULAR.get(kind, 'a device or socket, not a regular file')}")
    if status.st_size == 0:
        raise AudioError(f"{shown}: the file is empty (0 bytes)")


def open_stdin() -> OpenFile:
    """Standard input as a file, see `spool`.

    Raises:
        AudioError: standard input is a terminal, is closed, or sent nothing.
    """
    if sys.stdin is None or sys.stdin.closed:
        raise AudioError("standard input: it is closed; send audio through a pipe")
    if sys.stdin.isatty():
        raise AudioError("standard input: it is a terminal; send audio through a pipe")
    with without_timeout():
        return open_stream(sys.stdin.buffer, STDIN)


def open_stream(stream: IO[bytes], name: str) -> OpenFile:
    """The rest of a binary stream as a file, see `spool`.

    Raises:
        AudioError: see `spool`, or reading failed.
        UsageError: it is not a binary stream.
    """
    if isinstance(stream, io.TextIOBase) or not hasattr(stream, "read"):
        wanted = "a path, bytes, a binary stream or a NumPy array"
        raise UsageError(f"a recording is {wanted}, not of type {type(stream).__name__}")

    def pieces() -> Iterator[bytes]:
        try:
            while piece := stream.read(_PIECE):
                yield piece
        except OSError as error:
            raise unreadable(name, error) from error

    return spool(pieces(), name)


def spool(pieces: Iterable[bytes], name: str) -> OpenFile:
    """Write bytes to a nameless temporary file: decoders seek, pipes cannot.

    Raises:
        AudioError: there is not one byte, or the temporary folder has no room for them.
    """
    from tempfile import TemporaryFile, gettempdir

    copy = TemporaryFile(buffering=0)  # noqa: SIM115 (closed by the recording)
    try:
        for piece in pieces:
            rest = memoryview(piece)
            while rest:  # a disk that fills up writes only a part, without an error
                rest = rest[copy.write(rest) :]
        if copy.tell() == 0:
            raise AudioError(f"{printable(name)}: it is empty (0 bytes)")
    except OSError as error:
        copy.close()
        reason = f"copying it to {gettempdir()} failed ({error.strerror}); TMPDIR can name another folder"
        raise AudioError(f"{printable(name)}: {reason}") from error
    except BaseException:
        copy.close()
        raise
    copy.seek(0)
    return OpenFile(name, copy, url=f"file:/dev/fd/{copy.fileno()}")
