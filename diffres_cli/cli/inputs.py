"""What was typed -> the recordings to tag."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from diffres_cli.errors import AudioError, UsageError

_BINARY = re.compile(r"[\x00-\x08\x0e-\x1f]")


def find(
    inputs: list[str], files_from: str | None, recursive: bool, anywhere: bool = False
) -> list[str | AudioError]:
    """The recordings that arguments and list name, and an error for each that comes to nothing.

    Args:
        anywhere: by URL too.

    Raises:
        UsageError: nothing is named, or standard input is named twice.
    """
    from diffres_cli.audio import find_files

    if not inputs and files_from is None:
        raise UsageError("nothing to tag: name files, folders or patterns, or - for standard input")
    if files_from == "-" and "-" in inputs:
        raise UsageError("standard input cannot be both the audio (-) and the list (--files-from -)")
    listed = _listed(files_from) if files_from is not None else []
    if anywhere:
        from diffres_cli.batch.ray.remote import find_anywhere as find_files
    if listed or files_from is None:
        return list(find_files([*inputs, *listed], recursive))
    return [*find_files(inputs, recursive), AudioError(f"--files-from {files_from}: the list is empty")]


def _listed(files_from: str) -> list[str]:
    from diffres_cli.audio import MEDIA_EXTENSIONS, paths_from

    if Path(files_from).suffix.lower() in MEDIA_EXTENSIONS:
        raise UsageError(f"--files-from {files_from}: a recording, not a list; name it without --files-from")
    if files_from == "-" and sys.stdin is None:
        raise UsageError("--files-from -: standard input is closed; send the list through a pipe")
    listed = paths_from(files_from)
    odd = next((path for path in listed if _BINARY.search(path) and not os.path.lexists(path)), None)
    if odd is not None:
        raise UsageError(f"--files-from {files_from}: not a list of paths, one a line: {odd[:40]!r} is none")
    return listed


def refuse_overwriting(found: list[str | AudioError], output: Path | None, option: str = "--output") -> None:
    """Results never replace the recordings they describe.

    Args:
        option: which one named `output`.

    Raises:
        UsageError: `output` is one of them.
    """
    status = None if output is None else _status(output)
    if status is None:
        return
    there = (_status(item) for item in found if isinstance(item, str))
    if any(each is not None and os.path.samestat(each, status) for each in there):
        raise UsageError(f"{option} {output}: this is one of the recordings; choose another file")


def _status(path: str | Path) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116 (100,000 of these count)
    except (OSError, ValueError):
        return None
