"""A path, standard input or bytes as an open regular file."""

from __future__ import annotations

import io
import os
import re
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from diffres_cli.errors import AudioError, UsageError
from diffres_cli.text import STDIN, composed, printable
from diffres_cli.timeouts import without_timeout

_CHUNK = 2**20  # bytes


@dataclass(frozen=True)
class OpenFile:
    """A regular file, open for reading. `url` is where another process finds the same bytes."""

    name: str
    stream: IO[bytes]
    url: str

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return os.fstat(self.stream.fileno()).st_size

    def peek(self, size: int, start: int = 0) -> bytes:
        """`size` bytes from `start` on. The stream stays where it is: a decoder may be reading it.

        Raises:
            AudioError: the system cannot read them.
        """
        position = self.stream.tell()
        self.stream.seek(start)
        try:
            return self.stream.read(size)
        except OSError as error:
            raise unreadable(self.name, error) from error
        finally:
            self.stream.seek(position)

    def check_readable(self) -> None:
        """Read the file through, to tell a failing drive or share from a damaged file.

        Raises:
            AudioError: the system cannot read all of it.
        """
        for start in range(0, self.size, _CHUNK):
            self.peek(_CHUNK, start)

    def find(self, mark: bytes, start: int = 0) -> Iterator[int]:
        """Where `mark` stands from byte `start` on."""
        for first in range(start, self.size, _CHUNK):
            data = self.peek(_CHUNK + len(mark) - 1, first)
            yield from (first + match.start() for match in re.finditer(re.escape(mark), data))


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
    folder, name = Path(stored_path(str(given.parent))), composed(given.name)
    try:
        return next((str(other) for other in sorted(folder.iterdir()) if composed(other.name) == name), path)
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
    mode, shown = status.st_mode, printable(name)
    if stat.S_ISDIR(mode):
        raise AudioError(f"{shown}: a folder, not a recording; name the files in it")
    if stat.S_ISFIFO(mode):
        raise AudioError(f"{shown}: a pipe, not a regular file; send it to standard input and name that '-'")
    if not stat.S_ISREG(mode):
        raise AudioError(f"{shown}: a device or socket, not a regular file")
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
        return spool(sys.stdin.buffer, STDIN)


def spool(stream: IO[bytes], name: str, lead: bytes = b"", most: int | None = None) -> OpenFile:
    """Copy the rest of a stream, behind `lead`, to a nameless temporary file: decoders seek, pipes cannot.

    Args:
        most: how many bytes of the stream to copy, None for all.

    Raises:
        AudioError: nothing arrived, reading failed, or the temporary folder has no room for what did.
        UsageError: it is not a binary stream.
    """
    from tempfile import TemporaryFile, gettempdir

    if isinstance(stream, io.TextIOBase) or not hasattr(stream, "read"):
        wanted = "a path, bytes, a binary stream or a NumPy array"
        raise UsageError(f"a recording is {wanted}, not of type {type(stream).__name__}")
    copy = TemporaryFile(buffering=0)  # noqa: SIM115 (closed by the recording)
    try:
        for data in _pieces(stream, name, lead, most):
            chunk = memoryview(data)
            while chunk:  # a disk that fills up writes only a part, without an error
                chunk = chunk[copy.write(chunk) :]
    except OSError as error:
        copy.close()
        reason = f"copying it to {gettempdir()} failed ({error.strerror}); TMPDIR can name another folder"
        raise AudioError(f"{printable(name)}: {reason}") from error
    except BaseException:
        copy.close()
        raise
    if copy.tell() == 0:
        copy.close()
        raise AudioError(f"{printable(name)}: it is empty (0 bytes)")
    copy.seek(0)
    return OpenFile(name, copy, url=f"file:/dev/fd/{copy.fileno()}")


def _pieces(stream: IO[bytes], name: str, lead: bytes, most: int | None) -> Iterator[bytes]:
    if lead:
        yield lead
    try:
        while data := stream.read(_CHUNK if most is None else min(most, _CHUNK)):
            yield data
            most = None if most is None else most - len(data)
    except OSError as error:
        raise unreadable(name, error) from error
