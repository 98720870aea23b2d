"""What the workers of tests/test_pool.py do; a module of its own, which they import."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from diffres_cli.errors import DataError
from diffres_cli.pool import Report

PARTS = ("first", "second")


def prepare(folder: Path) -> Callable[[str, Report], int]:
    def work(task: str, report: Report) -> int:
        for part in PARTS:
            report(part)
            if task == "dies" or (task == "dies once" and not (folder / task).exists()):
                (folder / task).touch()
                os.kill(os.getpid(), signal.SIGKILL)
        if task == "fails":
            raise DataError("not this one")
        if task == "slow":
            time.sleep(60)
        return os.getpid()

    return work


def prepare_nothing() -> Callable[[str, Report], int]:
    os._exit(7)


def prepare_variable(name: str) -> Callable[[str, Report], str]:
    return lambda task, report: os.environ[name]


def prepare_import(name: str) -> Callable[[str, Report], bool]:
    """Whether a module can be imported."""
    return lambda task, report: find_spec(name) is not None
