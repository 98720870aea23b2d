"""Writing files whole or not at all."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO

from diffres_cli.errors import OutputError
from diffres_cli.locks import lock

_PREFIX, _SUFFIX, _LOCK = ".diffres-", ".part", ".lock"
_RESERVE = 2**20  # bytes of a disk that stay free
_NEW = 60  # seconds: a temporary file has no lock just after it is made and just before it is renamed


@contextmanager
def atomic_file(path: Path, *, durable: bool = True) -> Iterator[IO[bytes]]:
    """A file that stands at `path` once the block ends without an exception, and not before.

    Until then it is a temporary file beside `path`; what stood there stays untouched, and a failure
    leaves nothing behind. A link is followed. What cannot be replaced, a device or a pipe such as
    /dev/stdout, is written to.

    Args:
        durable: wait until the disk has it, so that a power cut leaves the old file or the new one, too.

    Raises:
        OutputError: the folder is missing or full, or it or the file is read-only.
    """
    with _failures_named(path), _open(path, durable) as file:
        yield file


def write_atomically(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write `data` to `path`, whole or not at all. `durable`: see `atomic_file`.

    Raises:
        OutputError: the folder is missing or full, or it or the file is read-only.
    """
    with atomic_file(path, durable=durable) as file:
        file.write(data)


def sweep(folders: Iterable[Path]) -> None:
    """Remove what killed processes left in `folders`: temporary files nobody has locked, none of them new."""
    for folder in folders:
        with suppress(OSError):
            for name in os.listdir(folder):  # noqa: PTH208 (100,000 of these count)
                if name.startswith(_PREFIX) and name.endswith((_SUFFIX, _LOCK)):
                    _remove_abandoned(folder / name)


def _remove_abandoned(path: Path) -> None:
    with suppress(OSError):  # one of them: there are no locks here, so nobody can tell
        if time.time() - path.stat().st_mtime < _NEW:
            return
        with path.open("r+b") as file:
            abandoned = lock(file.fileno())
        if abandoned:
            path.unlink()


def lock_path(folder: Path, name: str) -> Path:
    """A file for `diffres_cli.locks.locked` that `sweep` removes once nobody holds it."""
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


def refuse_lack_of_room(folder: Path, needed: int, advice: str) -> None:
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


def free_room(folder: Path) -> int:
    """The bytes that may be written to a folder's disk, not quite to the last."""
    return max(0, shutil.disk_usage(folder).free - _RESERVE)


def reason(error: OSError) -> str:
    """The system's words for what went wrong, without errno and path."""
    return error.strerror or str(error)


@contextmanager
def _failures_named(path: Path) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:  # no failure of the file's: nobody reads at the other end
        raise
    except OSError as error:
        missing = isinstance(error, FileNotFoundError) and not path.parent.is_dir()
        why = f"there is no folder {path.parent}" if missing else reason(error)
        raise OutputError(f"cannot write {path}: {why}; choose another place with -o") from error


def _open(path: Path, durable: bool) -> AbstractContextManager[IO[bytes]]:
    try:
        status = path.stat()
    except FileNotFoundError:
        return _replacement(Path(os.path.realpath(path)), None, durable)
    if not stat.S_ISREG(status.st_mode):
        return path.open("wb")
    path.open("r+b").close()  # renaming asks nobody: a file that may not be written would be replaced
    return _replacement(Path(os.path.realpath(path)), stat.S_IMODE(status.st_mode), durable)


@contextmanager
def _replacement(path: Path, permissions: int | None, durable: bool) -> Iterator[IO[bytes]]:
    """A temporary file in the same folder, so that renaming it is one step for everybody who looks.

    Args:
        permissions: those of the file it replaces, if any.
    """

    def create(name: str, flags: int) -> int:
        return os.open(name, flags, 0o666 if permissions is None else permissions)

    temporary = path.with_name(f"{_PREFIX}{os.urandom(8).hex()}{_SUFFIX}")
    try:  # not `tempfile`: a signal that comes just after it made a file would leave it there
        with open(temporary, "xb", opener=create) as file:
            with suppress(OSError):  # without locks here, `sweep` removes nothing
                lock(file.fileno())
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
            os.utime(temporary)  # new until it is renamed: Windows renames no open file
        if permissions is not None:
            temporary.chmod(permissions)  # all of them: the process's mask took some away
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
