"""What the readers of official layouts share: they list clips as the dataset does, `build` does the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from diffres_cli.datasets.clip import Clip, Dataset, Source
from diffres_cli.datasets.folders import Listing
from diffres_cli.datasets.lists import relative
from diffres_cli.errors import DataError
from diffres_cli.text import nearest, printable

USUAL_SECONDS = 10.0  # of a clip whose length is not stated


class ListedClip(NamedTuple):
    """A clip as a list names it.

    Attributes:
        name: its path below the dataset's folder, with "/", or the name that `find` of `build` looks up.
        labels: names or ids. split: see `Clip`. place: where it is listed, for messages.
        start, end: seconds; None is the end of the file.
        file: the path of its file, where that is not its name.
    """

    name: str
    labels: tuple[str, ...]
    split: str
    place: str = ""
    start: float = 0.0
    end: float | None = None
    file: str = ""


class ClassList(NamedTuple):
    """The names of all classes, their ids where they have any, and the file or folder they stand in."""

    path: Path
    names: Sequence[str]
    ids: Sequence[str] = ()


class FoldRow(NamedTuple):
    """A row as read: its place, the file, its fold ("1"), its class by number and name."""

    place: str
    file: str
    fold: str
    number: str
    label: str


def build(
    source: Source,
    root: Path,
    listed: Iterable[ListedClip],
    classes: ClassList | None = None,
    *,
    find: Callable[[str], Path | None] | None = None,
    allowed: Sequence[int] = (),
) -> Dataset:
    """The dataset of the listed clips whose file is there.

    Args:
        source: the facts.
        root: the folder the names are relative to.
        listed: all clips, in the order of the official lists.
        classes: None for all labels of the clips, sorted.
        find: a clip's name -> its file, None where there is none; by default the file in `root` that has this
            name with any audio extension.
        allowed: numbers of classes besides the official one.

    Raises:
        DataError: another number of classes, an unknown label, a name listed twice, or no clip has a file.
    """
    if classes is None:
        listed = list(listed)
        classes = ClassList(root, sorted({label for clip in listed for label in clip.labels}))
    _check_count(source, classes, allowed)
    clips, absent = _split_by_file(listed, classes, find or Listing(root).find)
    missing = [name for names in absent.values() for name in names]
    if twice := _repeated([*(clip.name for clip in clips), *missing]):
        raise DataError(f"{root}: {printable(twice)} is listed twice")
    if not clips:
        example = f", {printable(missing[0])} for one" if missing else ""
        raise DataError(
            f"{source.name} in {root}: none of the {len(missing)} listed clips has a file{example}"
        )
    return Dataset(
        name=source.name,
        root=root,
        classes=tuple(classes.names),
        class_ids=tuple(classes.ids or classes.names),
        multi_label=source.multi_label,
        seconds=source.seconds or _longest(clips),
        licence=source.licence,
        citation=source.citation,
        clips=tuple(clips),
        absent={split: tuple(names) for split, names in absent.items()},
    )


def build_folds(
    source: Source, root: Path, table: Path, rows: Iterable[FoldRow], allowed: Sequence[int] = ()
) -> Dataset:
    """The dataset of these rows: its classes in the order of their numbers, its clips in that of folds.

    Args:
        table: where the rows stand. source, root, allowed: see `build`.

    Raises:
        DataError: a fold, a class or a file that cannot be.
    """
    names: dict[int, str] = {}
    listed = []
    for place, file, fold, number, label in rows:
        if f"fold{fold}" not in source.splits:
            raise DataError(f"{place}: expected a fold from 1 to {len(source.splits)}, found {fold!r}")
        if not number.isdecimal():
            raise DataError(f"{place}: expected the number of a class, found {number!r}")
        known = names.setdefault(int(number), label)
        if known != label:
            raise DataError(f"{place}: class {number} is {label}, before it was {known}")
        listed.append(ListedClip(relative(file, place), (label,), f"fold{fold}", place))
    listed.sort(key=lambda clip: list(source.splits).index(clip.split))
    classes = ClassList(table, [names[number] for number in sorted(names)])
    return build(source, root, listed, classes, allowed=allowed)


def numbered_classes(path: Path, rows: Iterable[tuple[str, list[str]]]) -> ClassList:
    """The classes of a list, whose rows are number from 0, name, id.

    Raises:
        DataError: a row is something else.
    """
    found = []
    for number, (place, row) in enumerate(rows):
        if len(row) != 3 or row[0] != str(number):
            raise DataError(f"{place}: expected {number},LABEL,ID; found {','.join(row)!r}")
        found.append(row)
    return ClassList(path, [name for _, name, _ in found], [id_ for _, _, id_ in found])


def _check_count(source: Source, classes: ClassList, allowed: Sequence[int]) -> None:
    counts = (source.classes, *allowed)
    if source.classes and len(classes.names) not in counts:
        expected = " or ".join(map(str, dict.fromkeys(counts)))
        raise DataError(
            f"{classes.path}: expected the {expected} classes of {source.name}, found {len(classes.names)}"
        )


def _split_by_file(
    listed: Iterable[ListedClip], classes: ClassList, find: Callable[[str], Path | None]
) -> tuple[list[Clip], dict[str, list[str]]]:
    """The clips with a file; split -> names of those without."""
    indices = _class_indices(classes)
    clips: list[Clip] = []
    absent: dict[str, list[str]] = {}
    for clip in listed:
        try:
            labels = tuple([indices[label] for label in clip.labels])
        except KeyError as error:
            hint = nearest(error.args[0], indices, cutoff=0)
            raise DataError(f"{clip.place}: no label {error.args[0]!r} in {classes.path}; {hint}") from None
        path = find(clip.file or clip.name)
        if path is None:
            absent.setdefault(clip.split, []).append(clip.name)
        else:
            clips.append(Clip(clip.name, path, labels, clip.split, clip.start, clip.end))
    return clips, absent


def _class_indices(classes: ClassList) -> dict[str, int]:
    """The index of each class by its name and its id."""
    if twice := _repeated(classes.names) or _repeated(classes.ids):
        raise DataError(f"{classes.path}: the label {twice!r} is there twice")
    return {name: index for names in (classes.ids, classes.names) for index, name in enumerate(names)}


def _repeated(names: Sequence[str]) -> str | None:
    if len(set(names)) == len(names):
        return None
    return next(name for name, count in Counter(names).items() if count > 1)


def _longest(clips: Iterable[Clip]) -> float:
    """The longest clip, in seconds, as far as that is stated for all; the usual length at most."""
    lengths = (USUAL_SECONDS if clip.end is None else clip.end - clip.start for clip in clips)
    return min(USUAL_SECONDS, round(max(lengths), 6))
