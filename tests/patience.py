"""How long tests wait for other processes: until something is so, however busy the machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from subprocess import Popen
from typing import Any

PATIENCE = 600
"""Seconds. This ends what hangs, and is no measure of speed: no test is to have a shorter limit."""


def wait_until(condition: Callable[[], Any], process: Popen[Any] | None = None) -> Any:
    """What `condition` gives once that is true; the process, if one is given, must still run then."""
    end = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < end, "waited for nothing"
        time.sleep(0.005)
    return value
