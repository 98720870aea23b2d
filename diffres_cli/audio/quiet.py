"""Silence for a C library that writes to the process's standard error."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from diffres_cli.timeouts import on_cancel

_lock = threading.Lock()


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Point file descriptor 2 nowhere: libmpg123 writes pages to it, even for files that are in order."""
    if sys.__stderr__ is None:  # closed from the start: descriptor 2 may by now be the recording itself
        yield
        return
    _lock.acquire()  # the descriptor belongs to the whole process
    kept = [os.dup(2)]

    def restore() -> None:
        with suppress(IndexError):  # done already
            original = kept.pop()
            os.dup2(original, 2)
            os.close(original)
            _lock.release()

    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        on_cancel("silence", restore)  # a library that never returns would keep the whole process silent
        yield
    finally:
        restore()
