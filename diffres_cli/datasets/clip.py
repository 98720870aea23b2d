"""What a dataset is to the rest of the program: labelled clips, classes, splits, and where it comes from."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from diffres_cli.errors import DataError
from diffres_cli.text import UNSAFE, escaped


@dataclass(frozen=True)
class Archive:
    """One file to download.

    Attributes:
        url: where it is. name: the file name it is kept under. size: bytes, 0 where the source states none.
        checksum: "md5:..." or "sha256:...", "" where none is published.
        part_of: where this is a part of a split archive (.z01, .z02, ...), the name of that archive
            (.zip), which follows after all its parts; "" for any other.
    """

    url: str
    name: str
    size: int
    checksum: str
    part_of: str = ""


@dataclass(frozen=True)
class Clip:
    """One labelled stretch of audio.

    Attributes:
        name: unique in its dataset, the same on every machine (its path below the root, with "/").
        path: the file. labels: indices into the dataset's classes.
        split: "train", "validation" or "test"; "fold1", "fold2", ... where folds are official.
        start, end: seconds in the file; None is its end.
    """

    name: str
    path: Path
    labels: tuple[int, ...]
    split: str
    start: float = 0.0
    end: float | None = None


@dataclass(frozen=True)
class Source:
    """The facts of a dataset that do not depend on what lies on this disk.

    Attributes:
        title, citation, licence, home: to be printed; home is an address.
        archives: what `diffres data download` fetches; empty where that is not allowed, and then
            `manual` says which files to put where.
        splits: official split -> how many clips it has; empty for a user's own clips.
        classes: how many. multi_label: several labels may hold at once. seconds: the paper's clip length;
            0 where that is known only when it is read.
        read: a folder -> the dataset in it.
        shares: the dataset whose archives and folder this one uses, where it has none of its own.
    """

    name: str
    title: str
    splits: Mapping[str, int]
    classes: int
    seconds: float
    read: Callable[[Path], Dataset]
    citation: str = ""
    licence: str = ""
    home: str = ""
    multi_label: bool = False
    archives: tuple[Archive, ...] = ()
    manual: str = ""
    shares: str = ""

    @property
    def folder(self) -> str:
        """The name of the folder its files are kept in."""
        return self.shares or self.name


@dataclass(frozen=True)
class Dataset:
    """A dataset as found on this disk.

    Attributes:
        classes, class_ids: label names and ontology ids (the names again where there are none), without
            control characters.
        clips: those whose file is there, in the order of the official lists.
        absent: split -> names of listed clips without a file.
    """

    name: str
    root: Path
    classes: tuple[str, ...]
    class_ids: tuple[str, ...]
    multi_label: bool
    seconds: float
    licence: str
    citation: str
    clips: tuple[Clip, ...]
    absent: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """A model of such classes could not be loaded.

        Raises:
            DataError: a label or an id with control characters.
        """
        unsafe = next((name for name in (*self.classes, *self.class_ids) if UNSAFE.search(name)), None)
        if unsafe is not None:
            raise DataError(
                f"{self.name} in {self.root}: the label {escaped(unsafe)!r} has control characters: rename it"
            )

    def check_command(self, root: object) -> str:
        """The command that lists which clips are missing or cannot be decoded; root: as the user gave it."""
        command = f"diffres data check {shlex.quote(self.name)}"
        return f"{command} --data {shlex.quote(str(root))}" if root else command

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of all listed clips without a file."""
        return self.missing_of(*self.absent)

    def missing_of(self, *splits: str) -> tuple[str, ...]:
        """Names of the listed clips of these splits without a file; none for a split without any."""
        return tuple(chain.from_iterable(self.absent.get(split, ()) for split in splits))

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have clips, in the order of first mention."""
        return tuple(self.counts)

    def clips_of(self, *splits: str) -> tuple[Clip, ...]:
        """The clips of these splits.

        Raises:
            DataError: one of them has no clips.
        """
        counts = self.counts
        for split in splits:
            if split not in counts:
                has = ", ".join(f"{name} ({count})" for name, count in counts.items())
                raise DataError(f"{self.name} in {self.root}: no clips in split {split!r}; there are {has}")
        return tuple(clip for clip in self.clips if clip.split in splits)

    @property
    def counts(self) -> dict[str, int]:
        """How many clips each split has."""
        return dict(Counter(clip.split for clip in self.clips))
