"""A source -> its dataset on this disk: archives fetched, verified, unpacked, moved into place.

Everything happens in a hidden folder of the dataset's own, so on one disk: ROOT/.download/ holds the archives
and, in unpacked/, one complete folder for each of them. What is in ROOT itself is moved there at the end, by
renaming. So the next call resumes one that was killed at any moment, and until the last name is changed
`is_unfinished` is true.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from diffres_cli.datasets.clip import Archive, Dataset, Source
from diffres_cli.datasets.download.archive import (
    NO_ROOM_ADVICE,
    ArchiveError,
    explain_disk_failures,
    fetch,
    part_path,
)
from diffres_cli.datasets.download.extract import extract
from diffres_cli.datasets.folders import contents_of
from diffres_cli.errors import DataError, OutputError, UsageError
from diffres_cli.files import check_free_space, make_folder
from diffres_cli.locks import locked

OnStep = Callable[[str, int, int], object]
"""Called with what is being done, how many bytes of it are done, and of how many (0: not known)."""

STAGE = ".download"
_UNPACKED = "unpacked"
_IGNORED = ("__MACOSX", ".DS_Store")  # what macOS adds to archives


def download(
    source: Source,
    root: Path,
    *,
    keep_archives: bool = False,
    on_step: OnStep = lambda what, done, total: None,
) -> Dataset:
    """Let a dataset be in `root`, going on where an earlier call, in whatever process, was cut.

    Args:
        root: made where it is not there; a complete dataset in it is left as it is.
        keep_archives: keep them in ROOT/.download; else each is deleted once it is unpacked.

    Returns:
        The dataset, as its reader sees it.

    Raises:
        UsageError: it is not for download; the message says what to do by hand.
        DataError: `root` holds something else, or what came cannot be read.
        ArchiveError: an archive cannot be fetched, is not the official one, or is not safe to unpack.
        OutputError: the disk is full or read-only, or another process is at work in `root`.
    """
    if not source.archives:
        raise UsageError(f"{source.name}: not for download by a program: {source.manual}")
    root = root.absolute()
    stage = _Stage(root, source, keep_archives, on_step)
    with explain_disk_failures(root):
        if found := _find_complete(source, root):
            return found
        make_folder(stage.folder)
        with locked(stage.folder / "lock", wait=False) as held:
            if not held:
                raise OutputError(f"{root}: another process is downloading into it: wait for it to end")
            if found := _find_complete(source, root):  # by a process that has just ended
                return found
            try:
                stage.run()
            except BaseException:
                stage.clear_if_empty()
                raise
    return source.read(root)


def is_unfinished(root: Path) -> bool:
    """Whether a download into `root` was cut and not taken up again."""
    return (root / STAGE / _UNPACKED).exists()


def _find_complete(source: Source, root: Path) -> Dataset | None:
    """The dataset in `root`, where it is there as a whole; None where it can be brought there.

    Raises:
        DataError: `root` holds something else.
    """
    if is_unfinished(root) or not root.exists():
        return None
    if not root.is_dir():
        raise DataError(f"{root} is a file: choose a folder")
    with suppress(DataError):
        dataset = source.read(root)
        if not dataset.missing and dataset.counts == dict(source.splits):
            return dataset
    if any(not path.name.startswith(".") for path in root.iterdir()):
        raise DataError(
            f"{root} is not empty ({contents_of(root)}) and no complete {source.name} (`diffres data check "
            f"{source.name}` lists what is missing): empty it, or choose another data folder"
        )
    return None


@dataclass(frozen=True)
class _Stage:
    """The hidden folder in which a dataset is put together."""

    root: Path
    source: Source
    keep: bool
    on_step: OnStep

    @property
    def folder(self) -> Path:
        return self.root / STAGE

    @property
    def unpacked(self) -> Path:
        return self.folder / _UNPACKED

    @property
    def groups(self) -> dict[Path, list[Archive]]:
        """Folder it is unpacked to -> an archive, or the parts of a split one."""
        groups: dict[Path, list[Archive]] = {}
        for archive in self.source.archives:
            groups.setdefault(self.unpacked / (archive.part_of or archive.name), []).append(archive)
        return groups

    def run(self) -> None:
        """All that is left to do. Once every archive is unpacked, things are moved into the root."""
        complete = self.unpacked / ".complete"
        if not complete.exists():
            self._check_room()
            self.unpacked.mkdir(exist_ok=True)
            for target, group in self.groups.items():
                self._provide(group, target)
            names = [path.name for path in self._contents()]
            if twice := next((name for name in sorted(names) if names.count(name) > 1), None):
                raise ArchiveError(f"{self.root.name}: two archives hold {twice!r}: nothing was put in place")
            complete.touch()
        self._move()
        shutil.rmtree(self.unpacked, ignore_errors=True)
        if not self.keep:
            shutil.rmtree(self.folder)

    def clear_if_empty(self) -> None:
        """Remove all trace where nothing was fetched or unpacked: the data may come by hand."""
        with suppress(OSError):
            fetched = any(self._bytes_here(archive) for archive in self.source.archives)
            if not fetched and not (self.unpacked.exists() and any(self.unpacked.iterdir())):
                shutil.rmtree(self.folder)

    def _provide(self, group: list[Archive], target: Path) -> None:
        """Let an archive be unpacked."""
        paths = [self.folder / archive.name for archive in group]
        if not target.exists():
            for archive, path in zip(group, paths, strict=True):
                self._fetch(archive, path)
            try:
                extract(paths, target, partial(self.on_step, f"unpacking {target.name}"))
            except ArchiveError:
                for archive, path in zip(group, paths, strict=True):
                    if not archive.checksum:  # nothing else would show that it must be fetched again
                        path.unlink()
                raise
        for path in () if self.keep else paths:
            path.unlink(missing_ok=True)

    def _fetch(self, archive: Archive, path: Path) -> None:
        step = f"fetching {archive.name}"
        fetch(archive, path, lambda done: self.on_step(step, done, archive.size))

    def _check_room(self) -> None:
        """Before gigabytes have come. Audio hardly shrinks in an archive: it needs its size once more."""
        peak = kept = 0
        for target, group in self.groups.items():
            if not target.exists():
                size = sum(archive.size for archive in group)
                here = sum(map(self._bytes_here, group))
                peak = max(peak, kept + 2 * size - here)
                kept += (2 * size if self.keep else size) - here
        check_free_space(self.folder, peak, NO_ROOM_ADVICE)

    def _bytes_here(self, archive: Archive) -> int:
        path = self.folder / archive.name
        return sum(found.stat().st_size for found in (path, part_path(path)) if found.exists())

    def _contents(self) -> Iterator[Path]:
        for target in filter(Path.exists, self.groups):
            yield from (path for path in target.iterdir() if path.name not in _IGNORED)

    def _move(self) -> None:
        """Folders first: a dataset's lists come last, and without them it is none."""
        for path in sorted(self._contents(), key=lambda path: (path.is_file(), path.name)):
            target = self.root / path.name
            if os.path.lexists(target):
                raise OutputError(
                    f"{target}: appeared during the download: move it away, run the command again"
                )
            path.rename(target)
