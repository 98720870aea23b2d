"""Where datasets are stored, and their files; a folder is read once: two million clips take seconds."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from diffres_cli.audio import MEDIA_EXTENSIONS, printable
from diffres_cli.audio.sources import stored_path
from diffres_cli.datasets.clip import Source
from diffres_cli.errors import DataError
from diffres_cli.text import to_nfc

_MEDIA = frozenset(MEDIA_EXTENSIONS)
_SHOWN = 4  # names in a message


def data_home() -> Path:
    """$DIFFRES_DATA, else $XDG_CACHE_HOME/diffres, else ~/.cache/diffres."""
    chosen = os.environ.get("DIFFRES_DATA")
    if chosen:
        return Path(chosen).expanduser().absolute()
    cache = os.environ.get("XDG_CACHE_HOME", "")
    # A relative one is invalid, and to be ignored, by the XDG base directory specification.
    return (Path(cache) if Path(cache).is_absolute() else Path.home() / ".cache") / "diffres"


def data_folder(name: str) -> Path:
    """Where the dataset of this name is kept."""
    return data_home() / name


def cache_folder() -> Path:
    """Where decoded waveforms are kept."""
    return data_home() / "waveforms"


def stem(name: str) -> str:
    """A file name without its extension, where that is one of audio or video.

    >>> stem("1-100032-A-0.wav"), stem("a/rain.FLAC"), stem("64760"), stem("v1.2")
    ('1-100032-A-0', 'a/rain', '64760', 'v1.2')
    """
    before, dot, extension = name.rpartition(".")
    return before if before and dot + extension.lower() in _MEDIA else name


def is_audio(name: str) -> bool:
    """Whether a file name has an audio or video extension and is not hidden."""
    return stem(name) != name and not name.startswith(".")


class Listing:
    """The files below a folder, looked up by name with any audio extension: rain.ogg will do for rain.wav."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._folders: dict[str, tuple[Path, dict[str, str], dict[str, str]]] = {}

    def find(self, name: str) -> Path | None:
        """The file `name` stands for: itself, else the first that differs in its audio extension only.

        `name` is a path below the root, with "/"; without an extension, any audio extension will do. Accents
        may be written in another form.
        """
        parent, _, file = name.rpartition("/")
        if parent not in self._folders:
            self._folders[parent] = self._read(parent)
        folder, names, stems = self._folders[parent]
        found = names.get(file) or names.get(to_nfc(file)) or stems.get(to_nfc(stem(file)))
        return None if found is None else folder / found

    def _read(self, parent: str) -> tuple[Path, dict[str, str], dict[str, str]]:
        """The folder, and its files by name and by stem."""
        folder = Path(stored_path(str(self.root / parent)))
        names: dict[str, str] = {}
        stems: dict[str, str] = {}
        for name in sorted(files_in(folder)):
            names[name] = name
            names.setdefault(to_nfc(name), name)
            if is_audio(name):
                stems.setdefault(to_nfc(stem(name)), name)
        return folder, names, stems


def files_in(folder: Path) -> Iterator[str]:
    """The names of the files directly in a folder; none where it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            yield from (entry.name for entry in entries if entry.is_file())
    except OSError:
        return


def folders_in(folder: Path) -> list[str]:
    """The names of the folders directly in a folder, sorted, without hidden and "_private" ones."""
    _, folders, _ = next(os.walk(folder), ("", [], []))
    return sorted(name for name in folders if name[0] not in "._")


def walk_folders(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """All folders from this one down, each once, with the names of its files, sorted; links are followed."""
    visited: set[str] = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield Path(parent), sorted(files)


def find_dataset_folder(root: Path, source: Source, *expected: str, one_of: Sequence[str] = ()) -> Path:
    """The folder that holds all `expected` files and folders: `root`, or one directly in it.

    An archive is often unpacked into a folder of its own name.

    Args:
        one_of: more files, one of which will do.

    Raises:
        DataError: there is none; the message says what is there instead.
    """
    for folder in (root, *(root / child for child in folders_in(root))):
        found = [(folder / name).exists() for name in one_of]
        if all((folder / name).exists() for name in expected) and (any(found) or not one_of):
            return folder
    raise wrong_folder_error(root, source, *expected, *([f"one of {', '.join(one_of)}"] if one_of else []))


def wrong_folder_error(root: Path, source: Source, *expected: str) -> DataError:
    """The error for a folder without the expected files: what it holds, and what to do."""
    wanted = " and ".join(filter(None, (", ".join(expected[:-1]), expected[-1])))
    found = contents_of(root)
    return DataError(f"expected {wanted} in {printable(str(root))}, found {found}: {download_hint(source)}")


def download_hint(source: Source) -> str:
    """What to do where a dataset is not there."""
    verb = "download with `diffres data download" if source.archives else "see `diffres data info"
    return f"{verb} {source.name}`, or choose its data folder"


def contents_of(folder: Path) -> str:
    """The first names in a folder, for messages."""
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        return f"nothing to list ({error.strerror})"
    shown = ", ".join(printable(name) for name in names[:_SHOWN])
    more = len(names) - _SHOWN
    return (shown or "nothing") + (f" and {more} more" if more > 0 else "")
