"""Inputs -> tasks: which file, where its result goes, which shard it belongs to."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from diffres_cli.audio import printable
from diffres_cli.errors import AudioError, UsageError

STDIN = "-"


@dataclass(frozen=True)
class Task:
    """One recording to tag.

    Attributes:
        path: as the user gave it. name: below the folder all inputs share; where its result goes in a
            mirrored tree, and what decides its shard.
        size, modified: bytes, and nanoseconds since the epoch, when it was listed; 0 for standard input.
    """

    path: str
    name: str
    size: int = 0
    modified: int = 0


def plan(
    found: Iterable[Path | AudioError], inputs: list[str], shard: tuple[int, int] = (0, 1)
) -> list[Task | AudioError]:
    """Tasks for what `find_recordings` found, in its order; what came to nothing stays an error.

    Args:
        inputs: what the user typed: a single folder is the root of the tree, several inputs share one.
        shard: which part to plan, as `parse_shard` gives it; every shard is told of every error.
    """
    paths = list(found)
    root = _root([path for path in paths if isinstance(path, Path)], inputs)
    tasks = (path if isinstance(path, AudioError) else _task(path, root) for path in paths)
    number, count = shard
    return [t for t in tasks if isinstance(t, AudioError) or shard_of(t.name, count) == number]


def shard_of(name: str, count: int) -> int:
    """The shard, 0 to count - 1, a recording belongs to: by its name, so files that come later move nothing.

    >>> sorted({shard_of(f"{i}.wav", 3) for i in range(20)})
    [0, 1, 2]
    """
    return zlib.crc32(os.fsencode(name)) % count


def parse_shard(text: str | None) -> tuple[int, int]:
    """ "3/16" -> (2, 16): the third of sixteen shards. None: everything.

    Raises:
        UsageError: not two numbers with 1 <= K <= N.

    >>> parse_shard("3/16"), parse_shard(None)
    ((2, 16), (0, 1))
    """
    if text is None:
        return 0, 1
    number, _, count = text.partition("/")
    if not (number.isdigit() and count.isdigit() and 1 <= int(number) <= int(count)):
        raise UsageError(f"--shard {text}: expected K/N with 1 <= K <= N, such as 3/16")
    return int(number) - 1, int(count)


def _root(paths: list[Path], inputs: list[str]) -> Path:
    """The folder whose tree is mirrored. No two recordings below one folder share a name."""
    if len(inputs) == 1 and Path(inputs[0]).is_dir():
        return Path(inputs[0]).absolute()
    parents = {path.absolute().parent for path in paths if str(path) != STDIN}
    return Path(os.path.commonpath(parents)) if parents else Path.cwd()


def _task(path: Path, root: Path) -> Task | AudioError:
    if str(path) == STDIN:
        return Task(STDIN, "stdin")
    try:
        status = path.stat()
    except OSError as error:
        return AudioError(f"{printable(str(path))}: {error.strerror}")
    name = os.path.relpath(path.absolute(), root)
    return Task(str(path), name, status.st_size, status.st_mtime_ns)
