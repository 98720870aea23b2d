"""What was typed -> the recordings to tag."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from diffres_cli.errors import AudioError, SettingError, UsageError

_BINARY = re.compile(r"[\x00-\x08\x0e-\x1f]")


def find_inputs(
    inputs: list[str], files_from: str | None, recursive: bool, *, urls: bool = False
) -> list[str | AudioError]:
    """The recordings that arguments and list name, with an AudioError in place of each that names none.

    Args:
        urls: whether inputs may be URLs.

    Raises:
        UsageError: nothing is named, or standard input is named twice.
    """
    from diffres_cli.audio.find import UnsearchedError, find_files

    if not inputs and files_from is None:
        raise UsageError("nothing to tag: name files, folders or patterns, or - for standard input")
    if files_from == "-" and "-" in inputs:
        raise UsageError("standard input cannot be both the audio (-) and the list (--files-from -)")
    listed = _read_list(files_from) if files_from is not None else []
    if urls:
        from diffres_cli.batch.ray.remote import find_anywhere as find_files
    found = [
        AudioError(item.describe("--recursive")) if isinstance(item, UnsearchedError) else item
        for item in find_files([*inputs, *listed], recursive)
    ]
    if listed or files_from is None:
        return found
    return [*found, AudioError(f"--files-from {files_from}: the list is empty")]


def _read_list(files_from: str) -> list[str]:
    from diffres_cli.audio import MEDIA_EXTENSIONS, paths_from

    if Path(files_from).suffix.lower() in MEDIA_EXTENSIONS:
        problem = "a recording, not a list; name it without --files-from"
        raise SettingError("files_from", files_from, problem)
    if files_from == "-" and sys.stdin is None:
        raise SettingError("files_from", "-", "standard input is closed; send the list through a pipe")
    listed = paths_from(files_from)
    wrong = next((path for path in listed if _BINARY.search(path) and not os.path.lexists(path)), None)
    if wrong is not None:
        problem = f"not a list of paths, one a line: {wrong[:40]!r} is none"
        raise SettingError("files_from", files_from, problem)
    return listed


def check_not_input(found: list[str | AudioError], path: Path | None, setting: str) -> None:
    """Check that results do not replace one of the recordings they describe.

    Raises:
        SettingError: `path` is one of them, of the `setting` that names it.
    """
    status = None if path is None else _status(path)
    if status is None:
        return
    others = (_status(item) for item in found if isinstance(item, str))
    if any(other is not None and os.path.samestat(other, status) for other in others):
        raise SettingError(setting, path, "this is one of the recordings; choose another file")


def is_folder(output: Path | None) -> bool:
    """Whether -o names a folder of results: it is one, ends like one, or has no suffix to be a file's."""
    if output is None:
        return False
    if os.path.exists(output):  # noqa: PTH110 (says no, where Path raises)
        return output.is_dir()
    return str(output).endswith(os.sep) or not output.suffix


def _status(path: str | Path) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116 (100,000 of these count)
    except (OSError, ValueError):
        return None
