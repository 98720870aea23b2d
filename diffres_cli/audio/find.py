"""What was typed on the command line as the files to read."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from diffres_cli.audio.sources import STDIN, printable
from diffres_cli.errors import AudioError, UsageError

# What is taken from a folder. A file that is named itself is tried whatever it is called.
_AUDIO = (
    ".aac .ac3 .aif .aifc .aiff .amr .ape .au .caf .dsf .flac .m4a .m4b .mka .mp2 .mp3 .oga .ogg .opus .rf64"
)
_AUDIO_TOO = ".snd .spx .tta .voc .w64 .wav .wave .weba .wma .wv"
_VIDEO = ".3gp .avi .flv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .ogv .ts .webm .wmv"
MEDIA_EXTENSIONS = tuple(" ".join((_AUDIO, _AUDIO_TOO, _VIDEO)).split())


def find_recordings(inputs: Iterable[str | Path], recursive: bool = False) -> Iterator[Path | AudioError]:
    """The files that `inputs` name: files, folders, quoted globs and "-", in order, none twice.

    A folder stands for the audio and video files directly inside, sorted, hidden ones left out;
    with `recursive`, for those in all folders below as well. An input that comes to nothing is
    yielded as the AudioError that says so: it costs only itself.
    """
    seen: set[Path] = set()
    for given in inputs:
        try:
            paths = _expand(str(given), recursive)
        except AudioError as error:
            yield error
            continue
        for path in paths:
            if path.absolute() not in seen:
                seen.add(path.absolute())
                yield path


def _expand(given: str, recursive: bool) -> list[Path]:
    path = Path(given)
    if given == STDIN:
        return [path]
    if path.is_dir():
        return _in_folder(path, recursive)
    if os.path.lexists(path):
        return [path.absolute() if str(path) == STDIN else path]  # ./- is a file, - is not
    if not glob.has_magic(given):
        raise AudioError(f"{printable(given)}: no such file or folder")
    matches = sorted(glob.glob(given, recursive=True))  # noqa: PTH207 (Path.glob refuses absolute patterns)
    if not matches:
        raise AudioError(f"{printable(given)}: no file matches this pattern")
    return [path for match in matches for path in _expand(match, recursive)]


def _in_folder(folder: Path, recursive: bool) -> list[Path]:
    shown = printable(str(folder))
    try:
        os.scandir(folder).close()
    except OSError as error:
        raise AudioError(f"{shown}: the folder cannot be listed ({error.strerror})") from error
    files = list(_walk(folder, recursive))
    media = sorted(filter(_is_media, files))
    if not media:
        raise AudioError(f"{shown}: {_why_none(folder, len(files), recursive)}")
    return media


def _walk(folder: Path, recursive: bool) -> Iterator[Path]:
    """The files in a folder that are not hidden; one reached twice, by a link, is read once."""
    visited: set[tuple[int, int]] = set()
    for root, folders, files in os.walk(folder, followlinks=True):
        status = Path(root).stat()
        if (status.st_dev, status.st_ino) in visited:
            folders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith(".")) if recursive else []
        yield from (Path(root, name) for name in files if not name.startswith("."))


def _is_media(path: Path) -> bool:
    return path.suffix.lower() in MEDIA_EXTENSIONS and path.is_file()


def _why_none(folder: Path, count: int, recursive: bool) -> str:
    where = "it and the folders below" if recursive else "it"
    reason = f"no audio in this folder ({count} other {'file' if count == 1 else 'files'} in {where})"
    if not recursive and any(map(_is_media, _walk(folder, recursive=True))):
        return f"{reason}; its sub-folders hold some: add -r"
    return reason


def paths_from(file: str | Path) -> list[str]:
    """The paths listed in a file ("-": standard input), one a line, or NUL-separated (`find -print0`).

    Blank lines are left out. Bytes that are not UTF-8 survive.

    Raises:
        UsageError: the list cannot be read.
    """
    try:
        data = sys.stdin.buffer.read() if str(file) == STDIN else Path(file).read_bytes()
    except OSError as error:
        raise UsageError(f"{printable(str(file))}: the list cannot be read ({error.strerror})") from error
    separator = b"\0" if b"\0" in data else b"\n"
    lines = (line.rstrip(b"\r\n") for line in data.split(separator))
    return [line.decode("utf-8", "surrogateescape") for line in lines if line.strip()]
