"""Advisory locks between processes: they share work, they never decide whether a result is right."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":
    import fcntl

_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


@contextmanager
def locked(path: Path, *, shared: bool = False, wait: bool = True) -> Iterator[bool]:
    """Hold a lock on the file `path`, made when it is not there; the system lets go of a dead process's.

    Yields whether it is held, False only without `wait`. Where there are no such locks (Windows, some
    network drives) it counts as held: two processes may then do the same work twice.
    """
    descriptor = _take(path, shared, wait)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _take(path: Path, shared: bool, wait: bool) -> int | None:
    """An open descriptor that holds the lock; None where another process does."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _lock(descriptor, shared, wait)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            os.close(descriptor)
            raise
    except BaseException:  # told to stop while it waits
        os.close(descriptor)
        raise
    return descriptor


def _lock(descriptor: int, shared: bool, wait: bool) -> None:
    if sys.platform != "win32":
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        fcntl.flock(descriptor, kind if wait else kind | fcntl.LOCK_NB)
