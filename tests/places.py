"""Places where writing fails: read-only to all but root, or full."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NOBODY = 65534


@contextmanager
def unprivileged() -> Iterator[None]:
    """Not as root, who may write everywhere."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


def open_to_all(folder: Path) -> Path:
    """A temporary folder that others than its owner reach."""
    folder.chmod(0o755)
    for each in folder.parents:
        if each.name.startswith(("pytest", "popen-gw")) and each.stat().st_uid == os.geteuid():
            each.chmod(0o755)
    return folder


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of 64 KiB, where we may mount one."""
    disk = folder / "disk"
    disk.mkdir()
    try:
        mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs root and mount")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def names(folder: Path) -> list[str]:
    """What is in a folder, hidden files included."""
    return sorted(path.name for path in folder.iterdir())
