"""A verified archive, zip or tar -> a folder of plain files, complete or not there.

Before it writes the first byte it rejects what is neither a regular file nor a folder, and every name that
could mean another place, here or on another system. tarfile's filter "data" and zipfile allow some of it,
silently change other names, and do not limit what an archive unpacks to.
"""

from __future__ import annotations

import gzip
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Literal, NamedTuple

from diffres_cli.datasets.download.archive import NO_ROOM_ADVICE, ArchiveError, explain_disk_failures
from diffres_cli.datasets.download.splitzip import open_zip
from diffres_cli.files import check_free_space
from diffres_cli.text import to_nfc

LARGEST_EXPANSION = 100
"""Times its own size an archive may unpack to: audio gains less than 10, lists about 10, a zip bomb 1000."""

OnBytes = Callable[[int, int], object]

_BLOCK = 2**18
_DAMAGE_ERRORS = (
    EOFError, NotImplementedError, UnicodeError, gzip.BadGzipFile, tarfile.TarError, zipfile.BadZipFile,
    zlib.error,
)  # fmt: skip
_TAR_KINDS = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
}


class _Member(NamedTuple):
    """One file or folder of an archive.

    Attributes:
        name: as the archive spells it. size: bytes it declares. kind: "file", "folder", or what is refused.
        open: opens a file, which is to be read before the next member is asked for.
    """

    name: str
    size: int
    kind: str
    open: Callable[[], IO[bytes] | None]

    @property
    def parts(self) -> tuple[str, ...]:
        """The names on the way to it from the archive's root, () for the root itself."""
        return tuple(part for part in self.name.split("/") if part not in ("", "."))


def extract(parts: Sequence[Path], folder: Path, on_bytes: OnBytes = lambda done, total: None) -> None:
    """Unpack an archive into a new folder. A killed call leaves no folder, and the next one starts again.

    Args:
        parts: the archive's files; several for a split zip, in order, the .zip last.
        folder: not there yet, its parent is.
        on_bytes: called with bytes written, and of how many.

    Raises:
        ArchiveError: it is damaged, or not safe to unpack. OutputError: there is no room for it.
    """
    temporary = folder.with_name(f"{folder.name}.part")
    with explain_disk_failures(folder):
        try:
            if temporary.exists():
                shutil.rmtree(temporary)
            total = _check_members(parts)
            check_free_space(folder.parent, total, NO_ROOM_ADVICE)
            temporary.mkdir()
            _write_files(parts, temporary, total, on_bytes)
            if hasattr(os, "sync"):
                os.sync()  # the archive is deleted next
            temporary.replace(folder)
        except _DAMAGE_ERRORS as error:  # before OSError, which some of them are
            raise ArchiveError(f"{parts[-1].name}: damaged: {error}") from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _write_files(parts: Sequence[Path], folder: Path, total: int, on_bytes: OnBytes) -> None:
    written = 0
    for member in _members(parts):
        if member.kind != "file" or not (source := member.open()):
            continue
        path = folder.joinpath(*member.parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        with source, path.open("xb") as file:
            while block := source.read(_BLOCK):
                written += file.write(block)
                on_bytes(written, total)
    if written != total:
        raise EOFError(f"{written} bytes instead of {total}")


def _members(parts: Sequence[Path]) -> Iterator[_Member]:
    if parts[-1].suffix.lower() == ".zip":
        with open_zip(parts) as archive:
            for info in archive.infolist():
                name = info.orig_filename  # `filename` ends at a NUL byte, and on Windows turns "\" into "/"
                yield _Member(name, info.file_size, _zip_kind(info), partial(archive.open, info))
        return
    # Not mode "r:*": its error for a damaged archive lists every compression it tried.
    mode: Literal["r:", "r:gz"] = "r:" if parts[-1].suffix.lower() == ".tar" else "r:gz"
    with tarfile.open(parts[-1], mode) as tar:
        for entry in tar:
            kind = "file" if entry.isfile() else "folder" if entry.isdir() else _TAR_KINDS.get(entry.type)
            size = entry.size if entry.isfile() else 0
            yield _Member(entry.name, size, kind or "something else", partial(tar.extractfile, entry))
        while tar.fileobj and tar.fileobj.read(_BLOCK):
            pass  # up to the checksum at the end


def _zip_kind(info: zipfile.ZipInfo) -> str:
    form = stat.S_IFMT(info.external_attr >> 16)
    if info.flag_bits & 1:
        return "an encrypted file"
    if form not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "a symbolic link" if stat.S_ISLNK(form) else "a device"
    return "folder" if info.is_dir() else "file"


def _check_members(parts: Sequence[Path]) -> int:
    """How many bytes an archive unpacks to, by its own declaration.

    Raises:
        ArchiveError: it is not safe to unpack.
    """
    limit = LARGEST_EXPANSION * sum(part.stat().st_size for part in parts)
    total = 0
    known: dict[str, tuple[str, str]] = {}
    for member in _members(parts):
        total += member.size
        problem = _problem_of(member) or _collision(member, known)
        if total > limit:
            declared = f"at least {total / 1e6:.1f} MB, over {LARGEST_EXPANSION} times its own size"
            problem = f"with it the archive unpacks to {declared}"
        if problem:
            raise ArchiveError(
                f"{parts[-1].name}: not safe to unpack: {member.name!r}: {problem}: nothing was unpacked"
            )
    return total


def _problem_of(member: _Member) -> str:
    """Why a member may not be unpacked, regardless of the others; "" if it may."""
    name = member.name
    if member.kind not in ("file", "folder"):
        return f"it is {member.kind}, and only files and folders may be in it"
    if name.startswith("/"):
        return "the path is absolute"
    if ".." in member.parts:
        return "the path leaves the folder"
    if not name.isprintable() or "\\" in name or ":" in name:
        return "a path may not have backslashes, colons or control characters"
    if any(part != part.rstrip(" .") for part in member.parts):
        return "a name may not end with a dot or a space"
    if member.size < 0 or (member.kind == "file" and not member.parts):
        return "it cannot be written as a file"
    return ""


def _collision(member: _Member, known: dict[str, tuple[str, str]]) -> str:
    """What a member would overwrite; "" for nothing. Adds it to those `known`."""
    for depth in range(1, len(member.parts) + 1):
        path = "/".join(member.parts[:depth])
        kind = member.kind if depth == len(member.parts) else "folder"
        key = to_nfc(path).casefold()  # what a disk that folds case or normalises letters takes for one name
        there = known.get(key)
        if there and (kind == "file" or there != (path, kind)):
            return f"it is there already, as the {there[1]} {there[0]!r}"
        known[key] = (path, kind)
    return ""
