"""A path, standard input or bytes as an open regular file; names made fit to print."""

from __future__ import annotations

import io
import os
import shutil
import stat
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from diffres_cli.errors import AudioError

STDIN = "-"


@dataclass
class OpenFile:
    """A regular file, open for reading. `url` is where another process finds the same bytes."""

    name: str
    stream: IO[bytes]
    url: str

    def head(self, size: int) -> bytes:
        """The first `size` bytes, whatever was read before."""
        self.stream.seek(0)
        head = self.stream.read(size)
        self.stream.seek(0)
        return head


def printable(name: str) -> str:
    r"""A file name on one line, as anyone can read it: control characters and stray bytes escaped.

    >>> printable("rain\n.wav"), printable("caf\udce9.wav"), printable("-")
    ('rain\\n.wav', 'caf\\xe9.wav', 'standard input')
    """
    if name == STDIN:
        return "standard input"
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def open_file(path: str | Path, name: str) -> OpenFile:
    """Open a regular file; a pipe, a device or a folder is refused before it can block.

    Raises:
        AudioError: there is no such file, it may not be read, it is not a file, or it is empty.
    """
    try:
        _refuse_irregular(Path(path).stat(), name)
        stream = open(path, "rb", buffering=0)  # noqa: PTH123, SIM115 (closed by its Recording)
    except OSError as error:
        raise AudioError(f"{printable(name)}: {_reason(error)}") from error
    except ValueError as error:  # a NUL in the name
        raise AudioError(f"{printable(name)}: not a possible file name ({error})") from error
    return OpenFile(name, stream, url=f"file:{os.fspath(path)}")


def _reason(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, PermissionError):
        return "no permission to read it"
    return f"cannot be opened ({error.strerror})"


def _refuse_irregular(status: os.stat_result, name: str) -> None:
    mode, shown = status.st_mode, printable(name)
    if stat.S_ISDIR(mode):
        raise AudioError(f"{shown}: a folder, not a recording; name the files in it")
    if stat.S_ISFIFO(mode):
        raise AudioError(f"{shown}: a pipe, not a regular file; send it to standard input and name it '-'")
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
    return spool(sys.stdin.buffer, STDIN)


def spool(stream: IO[bytes], name: str) -> OpenFile:
    """Copy a stream to a nameless temporary file: decoders seek, pipes cannot. Constant memory.

    Raises:
        AudioError: nothing arrived, or the temporary folder has no room for what did.
    """
    copy = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 (closed by its Recording)
    try:
        shutil.copyfileobj(stream, copy)
    except OSError as error:
        copy.close()
        room = f"copying it to {tempfile.gettempdir()} failed ({error.strerror}); TMPDIR names another folder"
        raise AudioError(f"{printable(name)}: {room}") from error
    except BaseException:
        copy.close()
        raise
    if copy.tell() == 0:
        copy.close()
        raise AudioError(f"{printable(name)}: no data (0 bytes)")
    copy.seek(0)
    return OpenFile(name, copy, url=f"file:/dev/fd/{copy.fileno()}")


def open_bytes(data: bytes, name: str) -> OpenFile:
    """The bytes of an audio file as a file, see `spool`."""
    return spool(io.BytesIO(data), name)
