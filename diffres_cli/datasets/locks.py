"""Advisory locks between processes: they share work, they never decide whether a result is right."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from diffres_cli.errors import OutputError
from diffres_cli.files import reason, sweep

if sys.platform != "win32":
    import fcntl

SUFFIX = ".lock"
_BUILDING = ".building"
_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


@contextmanager
def locked(path: Path, *, shared: bool = False, wait: bool = True) -> Iterator[bool]:
    """Hold a lock on the file `path`, made when it is not there; the system lets go of a dead process's.

    Yields whether it is held, False only without `wait`. Where there are no such locks (Windows, some
    network drives) it counts as held: two processes may then do the same work twice.

    Raises:
        OutputError: the file cannot be made.
    """
    try:
        descriptor = _take(path, shared, wait)
    except OSError as error:
        raise OutputError(f"cannot lock {path}: {reason(error)}") from error
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)


@contextmanager
def building(folder: Path) -> Iterator[None]:
    """Say that this process builds in `folder`, so that `tidy` leaves it alone.

    Raises:
        OutputError: the folder is read-only.
    """
    with locked(folder / _BUILDING, shared=True):
        yield


def tidy(folder: Path) -> None:
    """Remove what killed processes left in `folder`, unless somebody builds there at the moment.

    Without that look, somebody's temporary file would seem abandoned while a long recording is decoded.
    """
    with suppress(OutputError), locked(folder / _BUILDING, wait=False) as alone:
        if alone:
            sweep([folder])
            for path in folder.glob(f"*{SUFFIX}"):
                with suppress(OSError):
                    path.unlink()


def _take(path: Path, shared: bool, wait: bool) -> int | None:
    """An open descriptor that holds the lock; None where another process does."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _lock(descriptor, shared, wait)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException as error:
        if isinstance(error, OSError) and error.errno in _UNSUPPORTED:
            return descriptor
        os.close(descriptor)
        raise
    return descriptor


def _lock(descriptor: int, shared: bool, wait: bool) -> None:
    if sys.platform != "win32":
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        fcntl.flock(descriptor, kind if wait else kind | fcntl.LOCK_NB)
