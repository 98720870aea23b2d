"""What the official lists name -> a Dataset: clips whose file is there, names of those without one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from diffres_cli.audio import printable
from diffres_cli.datasets.clip import Clip, Dataset, Source
from diffres_cli.errors import DataError

USUAL_SECONDS = 10.0  # a clip, where nothing is said of it


class Listed(NamedTuple):
    """A clip as a list names it; the fields are those of Clip."""

    name: str
    labels: tuple[int, ...]
    split: str
    start: float = 0.0
    end: float | None = None


def build(
    source: Source,
    root: Path,
    classes: Sequence[str],
    listed: Iterable[Listed],
    find: Callable[[str], Path | None],
    *,
    class_ids: Sequence[str] = (),
    multi_label: bool | None = None,
) -> Dataset:
    """The dataset of the listed clips that `find` finds.

    Args:
        source: the facts.
        root: the folder the names are relative to.
        classes: label names. class_ids: their ids, where they have any.
        listed: all clips, in the order of the official lists.
        find: a clip's name -> its file, None where there is none.
        multi_label: where the source does not say.

    Raises:
        DataError: a name comes twice, or no clip has a file.
    """
    clips, absent = _split_by_file(listed, find)
    missing = [name for names in absent.values() for name in names]
    _check_unique([*(clip.name for clip in clips), *missing], root)
    if not clips:
        example = f", {printable(missing[0])} for one" if missing else ""
        raise DataError(
            f"{source.name} in {root}: none of the {len(missing)} listed clips has a file{example}"
        )
    return Dataset(
        name=source.name,
        root=root,
        classes=tuple(classes),
        class_ids=tuple(class_ids or classes),
        multi_label=source.multi_label if multi_label is None else multi_label,
        seconds=source.seconds or _longest(clips),
        licence=source.licence,
        citation=source.citation,
        clips=clips,
        absent=absent,
    )


def _longest(clips: Iterable[Clip]) -> float:
    """The longest clip, in seconds, as far as that is stated for all; the usual length at most."""
    lengths = (USUAL_SECONDS if clip.end is None else clip.end - clip.start for clip in clips)
    return min(USUAL_SECONDS, round(max(lengths), 6))


def _split_by_file(
    listed: Iterable[Listed], find: Callable[[str], Path | None]
) -> tuple[tuple[Clip, ...], dict[str, tuple[str, ...]]]:
    clips: list[Clip] = []
    absent: dict[str, list[str]] = {}
    for name, labels, split, start, end in listed:
        path = find(name)
        if path is None:
            absent.setdefault(split, []).append(name)
        else:
            clips.append(Clip(name, path, labels, split, start, end))
    return tuple(clips), {split: tuple(names) for split, names in absent.items()}


def _check_unique(names: Sequence[str], root: Path) -> None:
    if len(set(names)) == len(names):
        return
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DataError(f"{root}: {printable(name)} is listed twice")
        seen.add(name)


def check_count(source: Source, where: Path, classes: Sequence[str], *allowed: int) -> None:
    """Refuse a number of classes the dataset does not have.

    Raises:
        DataError: it is neither the source's nor one of `allowed`.
    """
    counts = dict.fromkeys((source.classes, *allowed))
    if len(classes) in counts:
        return
    expected = " or ".join(map(str, counts))
    raise DataError(f"{where}: expected the {expected} classes of {source.name}, found {len(classes)}")
