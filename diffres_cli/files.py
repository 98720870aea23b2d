"""Writing files whole or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO

from diffres_cli.errors import OutputError


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that stands at `path` once the block ends without an exception, and not before.

    Until then it is a temporary file beside `path`; what stood there stays untouched, and a failure
    leaves nothing behind. A link is followed. What cannot be replaced, a device or a pipe such as
    /dev/stdout, is written to.

    Raises:
        OutputError: the folder is missing or full, or it or the file is read-only.
    """
    with _failures_named(path), _open(path) as file:
        yield file


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all.

    Raises:
        OutputError: the folder is missing or full, or it or the file is read-only.
    """
    with atomic_file(path) as file:
        file.write(data)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, unless it is there.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {path}: {reason(error)}") from error


def reason(error: OSError) -> str:
    """The system's words for what went wrong, without errno and path."""
    return error.strerror or str(error)


@contextmanager
def _failures_named(path: Path) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:  # no failure of the file's: nobody reads at the other end
        raise
    except OSError as error:
        why = f"there is no folder {path.parent}" if isinstance(error, FileNotFoundError) else reason(error)
        raise OutputError(f"cannot write {path}: {why}; choose another place with -o") from error


def _open(path: Path) -> AbstractContextManager[IO[bytes]]:
    try:
        status = path.stat()
    except FileNotFoundError:
        return _replacement(Path(os.path.realpath(path)), _usual_permissions())
    if not stat.S_ISREG(status.st_mode):
        return path.open("wb")
    path.open("r+b").close()  # renaming asks nobody: a file that may not be written would be replaced
    return _replacement(Path(os.path.realpath(path)), stat.S_IMODE(status.st_mode))


@contextmanager
def _replacement(path: Path, permissions: int) -> Iterator[IO[bytes]]:
    """A temporary file in the same folder, so that renaming it is one step for everybody who looks."""
    from tempfile import mkstemp

    handle, temporary = mkstemp(prefix=".diffres-", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(permissions)  # mkstemp makes files that only their owner can read
        Path(temporary).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise


def _usual_permissions() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
