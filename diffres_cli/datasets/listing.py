"""Which files lie in a dataset's folder: each folder read once, so two million clips take seconds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath

from diffres_cli.audio import MEDIA_EXTENSIONS, printable
from diffres_cli.audio.sources import stored_path
from diffres_cli.datasets.clip import Source
from diffres_cli.errors import DataError
from diffres_cli.text import composed

_MEDIA = frozenset(MEDIA_EXTENSIONS)
_SHOWN = 4  # names in a message


def stem(name: str) -> str:
    """A file name without its extension, where that is one of audio or video.

    >>> stem("1-100032-A-0.wav"), stem("a/rain.FLAC"), stem("64760"), stem("v1.2")
    ('1-100032-A-0', 'a/rain', '64760', 'v1.2')
    """
    before, dot, extension = name.rpartition(".")
    return before if before and dot + extension.lower() in _MEDIA else name


def is_audio(name: str) -> bool:
    """Whether a file name ends as audio or video does, and is not hidden."""
    return stem(name) != name and not name.startswith(".")


class Listing:
    """The files below a folder, looked up by name, with any audio extension.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / "rain.ogg").touch()
    >>> listing = Listing(folder)
    >>> listing.find("rain.wav").name, listing.find("snow.wav")
    ('rain.ogg', None)
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._folders: dict[str, _Folder] = {}

    def find(self, name: str) -> Path | None:
        """The file `name` stands for: itself, else the first that differs in its audio extension only.

        `name` is a path below the root, with "/"; without an extension, any audio extension will do.
        """
        parent, _, file = name.rpartition("/")
        folder = self._folders.get(parent)
        if folder is None:
            folder = self._folders[parent] = _Folder(Path(stored_path(str(self.root / parent))))
        return folder.find(file)


class _Folder:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._files: set[str] = set()
        self._composed: dict[str, str] = {}  # names with accents, which a list may write otherwise
        self._by_stem: dict[str, str] = {}
        for name in sorted(files_in(path)):
            self._files.add(name)
            if not name.isascii():
                self._composed.setdefault(composed(name), name)
            if is_audio(name):
                self._by_stem.setdefault(composed(stem(name)), name)

    def find(self, name: str) -> Path | None:
        if name in self._files:
            return self._path / name
        found = self._composed.get(composed(name)) or self._by_stem.get(composed(stem(name)))
        return None if found is None else self._path / found


def files_in(folder: Path) -> Iterator[str]:
    """The names of the files directly in a folder; none where it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            yield from (entry.name for entry in entries if entry.is_file())
    except OSError:
        return


def folders_in(folder: Path) -> list[str]:
    """The names of the folders directly in a folder, sorted, without hidden and "_private" ones."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.name[0] not in "._" and entry.is_dir())
    except OSError:
        return []


def walk(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """All folders from this one down, each with its files' names, sorted; one linked to twice comes once."""
    visited: set[str] = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield Path(parent), sorted(files)


def find_home(root: Path, source: Source, *expected: str) -> Path:
    """The folder that holds all `expected` files and folders: `root`, or one directly in it.

    An archive is often unpacked into a folder of its own name.

    Raises:
        DataError: there is none; the message says what is there instead.
    """
    for folder in (root, *(root / child for child in folders_in(root))):
        if all((folder / wanted).exists() for wanted in expected):
            return folder
    raise DataError(wrong_folder(root, source, *expected))


def wrong_folder(root: Path, source: Source, *expected: str) -> str:
    """The message for a folder without the expected: what it has, what to do."""
    wanted = expected[0] if len(expected) == 1 else f"{', '.join(expected[:-1])} and {expected[-1]}"
    return f"expected {wanted} in {printable(str(root))}, found {_contents(root)}: {how_to_get(source)}"


def how_to_get(source: Source) -> str:
    """What to do where a dataset is not there."""
    verb = "download with `diffres data download" if source.archives else "see `diffres data info"
    return f"{verb} {source.name}`, or choose its data folder"


def _contents(folder: Path) -> str:
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        return f"nothing to list ({error.strerror})"
    shown = ", ".join(printable(name) for name in names[:_SHOWN])
    more = len(names) - _SHOWN
    return (shown or "nothing") + (f" and {more} more" if more > 0 else "")


def relative(name: str, path: Path, line: int) -> str:
    """The name of a file that stands in a line of a list, with "/" and without "./".

    Raises:
        DataError: it is empty, absolute, or leaves the folder by "..".

    >>> relative("./dataset/yes/1.wav", Path("train.csv"), 2)
    'dataset/yes/1.wav'
    >>> relative("../1.wav", Path("train.csv"), 3)
    Traceback (most recent call last):
    diffres_cli.errors.DataError: train.csv, line 3: the path '../1.wav' leaves the dataset's folder
    """
    slashed = name.replace("\\", "/")
    parts = [part for part in slashed.split("/") if part not in ("", ".")]
    if not parts or "\0" in name:
        raise DataError(f"{path}, line {line}: expected the path of a file, found {name!r}")
    if slashed.startswith("/") or PureWindowsPath(slashed).drive or ".." in parts:
        raise DataError(f"{path}, line {line}: the path {name!r} leaves the dataset's folder")
    return "/".join(parts)
