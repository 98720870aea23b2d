"""Inputs -> tasks: which file, where its result goes, which shard it belongs to."""

# Text takes a second less than paths over 100,000 recordings:
# ruff: noqa: PTH100, PTH112, PTH116, PTH118

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from diffres_cli.audio import printable
from diffres_cli.errors import AudioError, SettingError
from diffres_cli.text import STDIN


class Task(NamedTuple):
    """One recording to tag.

    Attributes:
        path: as the user gave it. name: below the folder all inputs share; where its result goes in a
            mirrored tree, and what decides its shard.
        size, modified: bytes, and nanoseconds since the epoch, when it was listed; 0 for what is no file
            here: standard input, or a URL.
    """

    path: str
    name: str
    size: int = 0
    modified: int = 0


def plan(found: Iterable[str | Path | AudioError], inputs: list[str]) -> list[Task | AudioError]:
    """Tasks for what `find_files` found, in its order; an AudioError stays as it is.

    Args:
        inputs: what the user typed: a single folder is the root of the tree, several inputs share one.
    """
    paths = [item if isinstance(item, AudioError) else str(item) for item in found]
    parents = {_folder(path) for path in paths if isinstance(path, str) and path != STDIN}
    folders = {parent: os.path.abspath(parent) for parent in parents}  # without "..": names lead nowhere else
    root = _root(set(folders.values()), inputs)
    below = {parent: os.path.join(folder, "")[len(root) :] for parent, folder in folders.items()}
    return [path if isinstance(path, AudioError) else _task(path, below) for path in paths]


def shard_of(name: str, count: int) -> int:
    """The shard, 0 to count - 1, a recording belongs to: by its name, so files added later move no others.

    >>> sorted({shard_of(f"{i}.wav", 3) for i in range(20)})
    [0, 1, 2]
    """
    return zlib.crc32(os.fsencode(name)) % count


def parse_shard(text: str | None) -> tuple[int, int]:
    """ "3/16" -> (2, 16): the third of sixteen shards. None: everything.

    Raises:
        SettingError: not two numbers with 1 <= K <= N.

    >>> parse_shard("3/16"), parse_shard(None)
    ((2, 16), (0, 1))
    """
    if text is None:
        return 0, 1
    number, _, count = text.partition("/")
    if not (number.isdigit() and count.isdigit() and 1 <= int(number) <= int(count)):
        raise SettingError("shard", text, "expected K/N with 1 <= K <= N, such as 3/16")
    return int(number) - 1, int(count)


def _root(folders: set[str], inputs: list[str]) -> str:
    """The folder, with its separator, whose tree is mirrored: all recordings lie below it, so that all
    results lie below the mirror, and no two share a name."""
    if len(inputs) == 1 and os.path.isdir(inputs[0]):
        folders |= {os.path.abspath(inputs[0])}
    return os.path.join(os.path.commonpath(folders or {os.sep}), "")


def _folder(path: str) -> str:
    """With its separator; empty for a bare name."""
    return path[: path.rfind(os.sep) + 1]


def _task(path: str, below: dict[str, str]) -> Task | AudioError:
    """Its task; `below` gives for a folder as it is written the one below the root of the tree."""
    if path == STDIN:
        return Task(STDIN, "stdin")
    try:
        status = os.stat(path)
    except OSError as error:
        return AudioError(f"{printable(path)}: {error.strerror}")
    folder = _folder(path)
    return Task(path, below[folder] + path[len(folder) :], status.st_size, status.st_mtime_ns)
