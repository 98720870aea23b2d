"""Writing files whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from diffres_cli.errors import OutputError


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """A temporary file beside `path`, renamed to it when the block ends without an exception.

    Whatever stood at `path` stays untouched until then; a failure leaves nothing behind.

    Raises:
        OutputError: the folder is missing, read-only or full.
    """
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {reason(error)}; choose another place with -o") from error
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _set_usual_permissions(temporary)
        Path(temporary).replace(path)
    except BaseException as error:
        with suppress(OSError):
            Path(temporary).unlink()
        if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
            raise OutputError(f"cannot write {path}: {reason(error)}; nothing was written") from error
        raise


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all.

    Raises:
        OutputError: the folder is missing, read-only or full.
    """
    with atomic_file(path) as file:
        file.write(data)


def reason(error: OSError) -> str:
    """The system's words for what went wrong, without errno and path."""
    return error.strerror or str(error)


def _set_usual_permissions(path: str) -> None:
    # mkstemp makes files only their owner can read; a result gets what open() would have given it.
    mask = os.umask(0)
    os.umask(mask)
    Path(path).chmod(0o666 & ~mask)
