"""A verified archive -> a folder of plain files, complete or not there."""

from __future__ import annotations

import gzip
import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from diffres_cli.datasets.download.archive import ANOTHER_FOLDER, ArchiveError
from diffres_cli.datasets.download.containers import contents, entries
from diffres_cli.datasets.download.entries import LARGEST_EXPANSION, Rules
from diffres_cli.errors import OutputError
from diffres_cli.files import reason, refuse_lack_of_room

OnBytes = Callable[[int, int], object]

_BLOCK = 2**18
_DAMAGE = (
    EOFError, NotImplementedError, UnicodeError, gzip.BadGzipFile, tarfile.TarError, zipfile.BadZipFile,
    zlib.error,
)  # fmt: skip


def extract(parts: Sequence[Path], folder: Path, on_bytes: OnBytes = lambda done, total: None) -> None:
    """Unpack an archive into a new folder. A killed call leaves no folder, and the next one starts again.

    All names, kinds and declared sizes are looked at before the first byte is written.

    Args:
        parts: the archive's files; several for a split zip, in order, the .zip last.
        folder: not there yet, its parent is.
        on_bytes: told bytes written, and of how many.

    Raises:
        ArchiveError: it is damaged, or not safe to unpack. OutputError: there is no room for it.
    """
    temporary = folder.with_name(f"{folder.name}.part")
    try:
        with _explained(parts[-1].name, folder):
            if temporary.exists():
                shutil.rmtree(temporary)
            total = measure(parts)
            refuse_lack_of_room(folder.parent, total, ANOTHER_FOLDER)
            temporary.mkdir()
            _write(parts, temporary, total, on_bytes)
            _settle()
            temporary.replace(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def measure(parts: Sequence[Path]) -> int:
    """How many bytes an archive unpacks to, by its own declaration.

    Raises:
        ArchiveError: it is not safe to unpack.
    """
    size = sum(part.stat().st_size for part in parts)
    rules = Rules(parts[-1].name, LARGEST_EXPANSION * size)
    for entry in entries(parts):
        rules.check(entry)
    return rules.total


def _write(parts: Sequence[Path], folder: Path, total: int, on_bytes: OnBytes) -> None:
    written = 0
    for entry, source in contents(parts):
        path = folder.joinpath(*entry.parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            while block := source.read(_BLOCK):
                written += file.write(block)
                on_bytes(written, total)
    if written != total:
        raise EOFError(f"{written} bytes instead of {total}")


def _settle() -> None:
    """Let the disk have it all before it counts as complete: the archive is deleted next."""
    if hasattr(os, "sync"):
        os.sync()


@contextmanager
def _explained(name: str, folder: Path) -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:  # before OSError, which some of them are
        raise ArchiveError(f"{name}: damaged: {error}") from error
    except OSError as error:
        where = error.filename or folder
        raise OutputError(
            f"cannot read or write {where}: {reason(error)}: {ANOTHER_FOLDER}; "
            "the same command goes on from here"
        ) from error
