"""Files written whole or not at all; TOML and JSON read, or refused in one line."""

from __future__ import annotations

import io
import json
import os
import shutil
import stat
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import IO, Any, cast

from diffres_cli.errors import DiffresError, OutputError, UsageError
from diffres_cli.locks import lock
from diffres_cli.text import read_text

_PREFIX, _SUFFIX, _LOCK = ".diffres-", ".part", ".lock"
_RESERVE = 2**20  # bytes of a disk that stay free
_NEW = 60  # seconds: a temporary file has no lock just after it is made and just before it is renamed
_ADVICE = "; choose another place with -o"


@contextmanager
def atomic_file(path: Path, *, durable: bool = True) -> Iterator[IO[bytes]]:
    """A file that appears at `path` once the block ends without an exception, and not before.

    Until then it is a temporary file next to `path`; the old file stays untouched, and a failure
    leaves nothing behind. A link is followed. What cannot be replaced, a device or a pipe such as
    /dev/stdout, is written to.

    Args:
        durable: wait until the disk has it, so that a power cut leaves the old file or the new one, too.

    Raises:
        OutputError: the folder is missing or full, or it or the file is read-only.
    """
    with _name_file_in_errors(str(path)):
        mode = _mode(path)
        device = io.FileIO(path, "w") if mode is not None and not stat.S_ISREG(mode) else None
    if device is not None:
        with NamedWriter(device, str(path), _ADVICE) as writer:
            yield writer
        return
    target = Path(os.path.realpath(path))
    # In the same folder, so that renaming it is one step for everybody who looks. Not by `tempfile`: a signal
    # that comes just after it made a file would leave it there.
    temporary = target.with_name(f"{_PREFIX}{os.urandom(8).hex()}{_SUFFIX}")
    file: NamedWriter | None = None
    try:
        with _name_file_in_errors(str(path)):
            if mode is not None:
                path.open("r+b").close()  # a read-only file is not to be replaced
            file = NamedWriter(_create(temporary, mode), str(path), _ADVICE)
        yield file
        with _name_file_in_errors(str(path)):
            _finish(file, temporary, durable)
            if mode is not None:
                temporary.chmod(stat.S_IMODE(mode))  # all of them: the process's mask took some away
            temporary.replace(target)
    except BaseException:
        with suppress(OSError, OutputError):
            if file is not None:
                file.close()
        with suppress(OSError):
            temporary.unlink()
        raise


def write_atomically(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write `data` to `path`, whole or not at all. `durable`: see `atomic_file`.

    Raises:
        OutputError: the folder is missing or full, or it or the file is read-only.
    """
    with atomic_file(path, durable=durable) as file:
        file.write(data)


def write_json(path: Path, content: Any) -> None:
    """Write `content` to `path` as JSON that people can read, whole or not at all.

    Raises:
        OutputError: see `write_atomically`.
    """
    write_atomically(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


def read_json(path: Path, error: type[DiffresError] = UsageError, advice: str = "") -> dict[str, Any]:
    """The object in a JSON file.

    Args:
        advice: what to do, for the end of a message.

    Raises:
        error: it cannot be read, is not JSON, or holds no object.
    """
    try:
        content = json.loads(path.read_bytes())
    except OSError as failure:
        raise error(f"{path}: cannot be read: {reason(failure)}{advice}") from failure
    except (ValueError, RecursionError) as failure:
        raise error(f"{path}: not JSON: {failure}{advice}") from failure
    if not isinstance(content, dict):
        raise error(f"{path}: expected a JSON object, found {type(content).__name__}{advice}")
    return content


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        UsageError: it cannot be read, or is not TOML.
    """
    try:
        return parse_toml(read_text(path))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {reason(error)}") from error
    except (ValueError, RecursionError) as error:  # also what is no text
        raise UsageError(f"{path}: not TOML: {error}") from error


def parse_toml(text: str) -> dict[str, Any]:
    """The tables of a TOML document.

    Raises:
        ValueError: it is not TOML.
    """
    # Imported here: without a file it costs nothing.
    tomllib = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    return cast("dict[str, Any]", tomllib.loads(text))


def remove_abandoned(folders: Iterable[Path]) -> None:
    """Remove what killed processes left in `folders`: temporary files without a lock, if not new."""
    for folder in folders:
        with suppress(OSError):
            for name in os.listdir(folder):  # noqa: PTH208 (100,000 of these count)
                if name.startswith(_PREFIX) and name.endswith((_SUFFIX, _LOCK)):
                    _remove_unlocked(folder / name)


def _remove_unlocked(path: Path) -> None:
    with suppress(OSError):  # one of them: without locks here, another may be writing it
        if time.time() - path.stat().st_mtime < _NEW:
            return
        with path.open("r+b") as file:
            abandoned = lock(file.fileno())
        if abandoned:
            path.unlink()


def lock_path(folder: Path, name: str) -> Path:
    """A file for `diffres_cli.locks.locked` that `remove_abandoned` removes once it is free."""
    return folder / f"{_PREFIX}{name}{_LOCK}"


def make_folder(path: Path) -> None:
    """Make a folder and those above it, unless it is there.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {path}: {reason(error)}") from error


def check_free_space(folder: Path, needed: int, advice: str) -> None:
    """Look at a disk before it fills up.

    Args:
        needed: bytes. advice: what to do where they are not free.

    Raises:
        OutputError: they are not.
    """
    free = shutil.disk_usage(folder).free
    if needed > 0 and needed + _RESERVE > free:
        raise OutputError(
            f"{folder}: {needed / 1e6:.1f} MB are needed here, {free / 1e6:.1f} MB are free: {advice}"
        )


def free_space(folder: Path) -> int:
    """The bytes that may be written to a folder's disk, not quite to the last."""
    return max(0, shutil.disk_usage(folder).free - _RESERVE)


def reason(error: OSError) -> str:
    """The system's words for what went wrong, without errno and path."""
    return error.strerror or str(error)


class NamedWriter(io.BufferedWriter):
    """A buffered file for writing. Its failures name it, as the OSError of a write does not.

    Around the buffer and not below it, where a signal could make a buffer forget that it was written.

    Args:
        raw: the file. name: what messages call it. advice: what to do, for their end.
    """

    def __init__(self, raw: io.FileIO, name: str, advice: str = "") -> None:
        super().__init__(raw)
        self._named = name
        self._advice = advice

    def write(self, data: Any, /) -> int:
        """See `io.BufferedWriter.write`. Raises OutputError, or BrokenPipeError when its reader has left."""
        with _name_file_in_errors(self._named, self._advice):
            return super().write(data)

    def flush(self) -> None:
        """See `io.BufferedWriter.flush`. Raises as `write` does."""
        with _name_file_in_errors(self._named, self._advice):
            super().flush()


@contextmanager
def _name_file_in_errors(name: str, advice: str = _ADVICE) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:  # the reader at the other end has left, which is no failure of the file
        raise
    except OSError as error:
        folder = Path(name).parent
        missing = isinstance(error, FileNotFoundError) and not folder.is_dir()
        why = f"there is no folder {folder}" if missing else reason(error)
        raise OutputError(f"cannot write {name}: {why}{advice}") from error


def _mode(path: Path) -> int | None:
    """The kind and permissions of what is at a path; None for nothing."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


def _create(path: Path, mode: int | None) -> io.FileIO:
    permissions = 0o666 if mode is None else stat.S_IMODE(mode)
    file = io.FileIO(path, "x", opener=lambda name, flags: os.open(name, flags, permissions))
    with suppress(OSError):  # without locks here, `remove_abandoned` removes nothing
        lock(file.fileno())
    return file


def _finish(file: NamedWriter, temporary: Path, durable: bool) -> None:
    with file:
        file.flush()
        if durable:
            os.fsync(file.fileno())
        os.utime(temporary)  # new until it is renamed: Windows renames no open file
