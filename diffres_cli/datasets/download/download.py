"""A source -> its dataset on this disk: archives fetched, verified, unpacked, moved into place.

Everything happens in a hidden folder of the dataset's own, so on one disk: ROOT/.download/ holds
the archives and, in unpacked/, one complete folder for each of them. What is in ROOT itself is moved
there at the very end, by renaming. So a call killed at any moment goes on with the next one, and until
the last name is changed `is_unfinished` tells that something is still to come.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from diffres_cli.datasets.clip import Archive, Dataset, Source
from diffres_cli.datasets.download.archive import ANOTHER_FOLDER, ArchiveError, fetch, partial
from diffres_cli.datasets.download.extract import extract
from diffres_cli.errors import DataError, OutputError, UsageError
from diffres_cli.files import make_folder, reason, refuse_lack_of_room
from diffres_cli.imports import import_failure
from diffres_cli.locks import locked

OnStep = Callable[[str, int, int], object]
"""Told what is being done, how many bytes of it are done, and of how many (0: not known)."""

STAGE = ".download"
_UNPACKED = "unpacked"
_RUBBISH = ("__MACOSX", ".DS_Store")  # what macOS adds to archives


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
    stage = _Stage(root, _groups(source.archives), keep_archives, on_step)
    with _failures_named(root):
        if found := _present(source, root):
            return found
        make_folder(stage.folder)
        with _alone(stage):
            if found := _present(source, root):  # by a process that has just ended
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


def _present(source: Source, root: Path) -> Dataset | None:
    """The dataset in `root`, where it is there as a whole; None where it can be brought there.

    Raises:
        DataError: `root` holds something else.
    """
    if is_unfinished(root) or not root.exists():
        return None
    if not root.is_dir():
        raise DataError(f"{root} is a file: choose a folder")
    if found := _complete(source, root):
        return found
    _refuse_occupied(source, root)
    return None


def _complete(source: Source, root: Path) -> Dataset | None:
    """The dataset in `root`, where it is there as a whole."""
    try:
        dataset = source.read(root)
    except DataError:
        return None
    return dataset if not dataset.missing and dataset.counts == dict(source.splits) else None


def _refuse_occupied(source: Source, root: Path) -> None:
    names = sorted(path.name for path in root.iterdir() if not path.name.startswith("."))
    if names:
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        raise DataError(
            f"{root} is not empty ({shown}) and no complete {source.name} (`diffres data check "
            f"{source.name}` lists what is missing): empty it, or choose another data folder"
        )


def _groups(archives: Sequence[Archive]) -> list[tuple[Archive, ...]]:
    """The archives, the parts of a split one together and in order: .z01, .z02, …, .zip."""
    groups: dict[str, list[Archive]] = {}
    for archive in archives:
        groups.setdefault(archive.part_of or archive.name, []).append(archive)
    return [tuple(sorted(group, key=lambda part: part.name)) for group in groups.values()]


@dataclass(frozen=True)
class _Stage:
    """The hidden folder in which a dataset comes together."""

    root: Path
    groups: list[tuple[Archive, ...]]
    keep: bool
    on_step: OnStep

    @property
    def folder(self) -> Path:
        return self.root / STAGE

    @property
    def unpacked(self) -> Path:
        return self.folder / _UNPACKED

    @property
    def complete(self) -> Path:
        """There once every archive is unpacked: from then on things are moved into the root."""
        return self.unpacked / ".complete"

    def run(self) -> None:
        """All that is left to do."""
        if not self.complete.exists():
            self._refuse_lack_of_room()
            self.unpacked.mkdir(exist_ok=True)
            for group in self.groups:
                self._provide(group)
            self._refuse_two_of_a_name()
            self.complete.touch()
        self._move()
        self.clear()

    def clear(self) -> None:
        """Remove everything that is not to be kept."""
        shutil.rmtree(self.unpacked, ignore_errors=True)
        if not self.keep:
            shutil.rmtree(self.folder)

    def clear_if_empty(self) -> None:
        """Remove all trace where nothing was fetched or unpacked: the data may come by hand."""
        with suppress(OSError):
            fetched = any(self._here(archive) for group in self.groups for archive in group)
            if not fetched and not (self.unpacked.exists() and any(self.unpacked.iterdir())):
                shutil.rmtree(self.folder)

    def _target(self, group: tuple[Archive, ...]) -> Path:
        return self.unpacked / group[-1].name

    def _provide(self, group: tuple[Archive, ...]) -> None:
        """Let an archive be unpacked."""
        target = self._target(group)
        if not target.exists():
            for archive in group:
                self._fetch(archive)
            self._unpack(group, target)
        for archive in () if self.keep else group:
            (self.folder / archive.name).unlink(missing_ok=True)

    def _fetch(self, archive: Archive) -> None:
        fetch(
            archive,
            self.folder / archive.name,
            lambda done: self.on_step(f"fetching {archive.name}", done, archive.size),
        )

    def _unpack(self, group: tuple[Archive, ...], target: Path) -> None:
        parts = [self.folder / archive.name for archive in group]
        name = parts[-1].name
        try:
            extract(parts, target, lambda done, total: self.on_step(f"unpacking {name}", done, total))
        except ArchiveError:
            for archive, part in zip(group, parts, strict=True):
                if not archive.checksum:  # nobody else could tell that it is to be fetched anew
                    part.unlink()
            raise

    def _refuse_lack_of_room(self) -> None:
        """Before gigabytes have come. Audio hardly shrinks in an archive: it needs its size once more."""
        peak = kept = 0
        for group in self.groups:
            if self._target(group).exists():
                continue
            size = sum(archive.size for archive in group)
            here = sum(self._here(archive) for archive in group)
            peak = max(peak, kept + 2 * size - here)
            kept += 2 * size - here if self.keep else size - here
        refuse_lack_of_room(self.folder, peak, ANOTHER_FOLDER)

    def _here(self, archive: Archive) -> int:
        path = self.folder / archive.name
        return sum(found.stat().st_size for found in (path, partial(path)) if found.exists())

    def _contents(self) -> Iterator[Path]:
        for group in self.groups:
            target = self._target(group)
            found = target.iterdir() if target.exists() else ()
            yield from (path for path in found if path.name not in _RUBBISH)

    def _refuse_two_of_a_name(self) -> None:
        names = [path.name for path in self._contents()]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ArchiveError(f"{self.root.name}: two archives hold {twice[0]!r}: nothing was put in place")

    def _move(self) -> None:
        """Folders first: a dataset's lists come last, and without them it is none."""
        for path in sorted(self._contents(), key=lambda path: (path.is_file(), path.name)):
            target = self.root / path.name
            if os.path.lexists(target):
                raise OutputError(f"{target}: came up during the download: move it away and go on")
            path.rename(target)


@contextmanager
def _alone(stage: _Stage) -> Iterator[None]:
    """Let no other process download into the same folder.

    Raises:
        OutputError: one does.
    """
    with locked(stage.folder / "lock", wait=False) as held:
        if not held:
            raise OutputError(f"{stage.root}: another process is downloading into it: wait for it to end")
        yield


@contextmanager
def _failures_named(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename or root
        raise import_failure(error) or OutputError(
            f"cannot read or write {where}: {reason(error)}: {ANOTHER_FOLDER}"
        ) from error
