"""What an archive holds, and whether that may be unpacked: plain files below one folder, of sane sizes.

Everything that is neither a regular file nor a folder is refused, and every name that could mean another
place here or on another system, so that no later step has to be careful.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field

from diffres_cli.datasets.download.archive import ArchiveError

LARGEST_EXPANSION = 100
"""Times its own size an archive may unpack to: audio gains less than 10, lists about 10, a zip bomb 1000."""


@dataclass(frozen=True)
class Entry:
    """One file or folder of an archive.

    Attributes:
        name: as the archive spells it. size: bytes it declares. kind: "file", "folder", or what is refused.
    """

    name: str
    size: int
    kind: str

    @property
    def parts(self) -> tuple[str, ...]:
        """The names on the way to it from the archive's root, () for the root itself.

        >>> Entry("./ESC-50-master/audio/", 0, "folder").parts
        ('ESC-50-master', 'audio')
        """
        return tuple(part for part in self.name.split("/") if part not in ("", "."))


@dataclass
class Rules:
    """The rules for one archive, applied to its entries in turn.

    Attributes:
        archive: its name. limit: bytes that all files together may have. total: those they have so far.
    """

    archive: str
    limit: int
    total: int = 0
    _known: dict[str, tuple[str, str]] = field(default_factory=dict)

    def check(self, entry: Entry) -> None:
        """Take an entry into account.

        Raises:
            ArchiveError: it may not be unpacked.
        """
        if problem := _problem(entry):
            self._refuse(entry, problem)
        self.total += entry.size
        if self.total > self.limit:
            declared = f"at least {self.total / 1e6:.1f} MB, over {LARGEST_EXPANSION} times its own size"
            self._refuse(entry, f"with it the archive unpacks to {declared}")
        for depth in range(1, len(entry.parts)):
            self._register(entry, entry.parts[:depth], "folder")
        self._register(entry, entry.parts, entry.kind)

    def _register(self, entry: Entry, parts: Iterable[str], kind: str) -> None:
        path = "/".join(parts)
        # What a disk that folds case or normalises letters takes for one name.
        key = unicodedata.normalize("NFC", path).casefold()
        known = self._known.get(key)
        if known is not None and (kind == "file" or known != (path, kind)):
            self._refuse(entry, f"it is there already, as the {known[1]} {known[0]!r}")
        self._known[key] = (path, kind)

    def _refuse(self, entry: Entry, problem: str) -> None:
        raise ArchiveError(
            f"{self.archive}: not safe to unpack: {entry.name!r}: {problem}: nothing was unpacked"
        )


def _problem(entry: Entry) -> str:
    """Why an entry may not be unpacked, looked at alone; "" where it may."""
    name = entry.name
    if entry.kind not in ("file", "folder"):
        return f"it is {entry.kind}, and only files and folders may be in it"
    if name.startswith("/"):
        return "the path is absolute"
    if ".." in entry.parts:
        return "the path leaves the folder"
    if not name.isprintable() or "\\" in name or ":" in name:
        return "a path may not have backslashes, colons or control characters"
    if any(part != part.rstrip(" .") for part in entry.parts):
        return "a name may not end with a dot or a space"
    if entry.size < 0 or (entry.kind == "file" and not entry.parts):
        return "it is not a file anybody could write"
    return ""
