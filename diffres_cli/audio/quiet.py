"""Silence for a C library that writes to the process's standard error."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Point file descriptor 2 nowhere: libmpg123 writes pages to it, even for files that are in order."""
    with _lock:  # the descriptor belongs to the whole process
        try:
            kept = os.dup(2)
        except OSError:  # it is closed: nothing to silence
            kept = None
        if kept is None:
            yield
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
