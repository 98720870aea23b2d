"""Silence for a C library that writes to the process's standard error."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Point file descriptor 2 nowhere: libmpg123 writes pages to it, even for files that are in order."""
    if sys.__stderr__ is None:  # closed from the start: descriptor 2 may by now be the recording itself
        yield
        return
    with _lock:  # the descriptor belongs to the whole process
        kept = os.dup(2)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
