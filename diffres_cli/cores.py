"""How many cores this process may keep busy: a container's quota counts."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

# Where version 2 is mounted: alone, or next to version 1.
_UNIFIED = ("sys/fs/cgroup", "sys/fs/cgroup/unified")
_MOUNTS = "sys/fs/cgroup"


def available_cores(root: Path = Path("/")) -> int:
    """The cores this process may keep busy, at least 1; a quota of 1.5 cores counts as 2.

    Args:
        root: the folder that holds proc/ and sys/.
    """
    scheduled = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(scheduled, cpu_quota(root))))


def cpu_quota(root: Path = Path("/")) -> float:
    """The processor time a container allows, in cores; infinite where nothing limits it."""
    return min(_quotas(root), default=math.inf)


def _quotas(root: Path) -> Iterator[float]:
    """The quotas of this process's control groups and of all that enclose them, in cores."""
    for folder in _groups(root):
        yield from _quota(_words(folder / "cpu.max"))
        yield from _quota(_words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us"))


def _groups(root: Path) -> Iterator[Path]:
    for line in _words(root / "proc/self/cgroup", "\n"):
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        # A container may see its own group as the mount's root, while this path is the host's: what is not
        # there has no quota, and its parents end at the mount.
        inside = PurePosixPath(*(part for part in path.split("/") if part not in ("", "..")))
        for mount in (f"{_MOUNTS}/{controllers}", f"{_MOUNTS}/cpu") if controllers else _UNIFIED:
            for group in (inside, *inside.parents):
                yield root / mount / group


def _quota(words: list[str]) -> list[float]:
    """Microseconds of a quota and of its period -> cores; none without both, or without a limit."""
    try:
        quota, period = map(int, words)
    except ValueError:  # "max", or no such files
        return []
    return [quota / period] if quota > 0 and period > 0 else []


def _words(path: Path, separator: str | None = None) -> list[str]:
    try:
        return path.read_text("utf-8").strip().split(separator)
    except (OSError, ValueError):
        return []
