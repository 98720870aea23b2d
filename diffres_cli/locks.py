"""Locks between processes, which the system releases when their process ends, however it ends."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from diffres_cli.errors import OutputError

_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


def lock(descriptor: int, *, wait: bool = False) -> bool:
    """Lock an open file until it is closed.

    Returns:
        Whether it is held, False only without `wait`.

    Raises:
        OSError: there are no locks here, as on some network drives.
    """
    from filelock import lock_descriptor

    return lock_descriptor(descriptor, blocking=wait)


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold a lock on the file `path`, made when it is not there.

    Yields whether it is held, False only without `wait`. Where there are no locks, as on some network drives,
    it counts as held: two processes may then do the same work twice.

    Raises:
        OutputError: the file cannot be made.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise OutputError(f"cannot lock {path}: {error.strerror or error}") from error
    try:
        try:
            held = lock(descriptor, wait=wait)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise OutputError(f"cannot lock {path}: {error.strerror or error}") from error
            held = True
        yield held
    finally:
        os.close(descriptor)
