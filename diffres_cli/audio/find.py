"""What was typed on the command line as the files to read."""

from __future__ import annotations

import glob
import os
import stat
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain
from pathlib import Path

from diffres_cli.audio.sources import stat_path, stored_path
from diffres_cli.errors import AudioError, UsageError
from diffres_cli.text import STDIN, NotTextError, encoding_of, pluralize, printable

# What is taken from a folder. A file that is named itself is tried whatever it is called.
_AUDIO = ".aac .ac3 .aif .aifc .aiff .amr .ape .au .caf .dsf .flac .m4a .m4b .mka .mp2 .mp3 .oga .ogg .opus"
_AUDIO_TOO = ".rf64 .snd .spx .tta .voc .w64 .wav .wave .weba .wma .wv"
_VIDEO = ".3gp .avi .flv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .ogv .webm .wmv"  # .ts is TypeScript, too
MEDIA_EXTENSIONS = tuple(" ".join((_AUDIO, _AUDIO_TOO, _VIDEO)).split())
_MEDIA = frozenset(MEDIA_EXTENSIONS)


class UnsearchedError(AudioError):
    """A folder without audio, whose sub-folders were left out."""

    def __str__(self) -> str:
        return self.describe("recursive=True")

    def describe(self, setting: str) -> str:
        """The message, with the setting that searches them as its reader writes it."""
        return f"{self.args[0]}: search those, too, with {setting}"


def find_files(inputs: Iterable[str | Path], recursive: bool = False) -> Iterator[str | AudioError]:
    """The files that `inputs` name: files, folders, quoted globs and "-", in order, none twice.

    A folder means the audio and video files directly inside, sorted, hidden ones left out;
    with `recursive`, for those in all folders below as well. An input that matches no file is
    yielded as an AudioError; the other inputs are not affected.
    """
    real_folder = lru_cache(maxsize=None)(os.path.realpath)
    # (real folder, name): a linked file is one of its own, a linked folder not
    given: set[tuple[str, str]] = set()
    for found in chain.from_iterable(_expand(str(text), recursive) for text in inputs):
        if isinstance(found, str):
            folder, name = os.path.split(found)
            if (place := (real_folder(folder), name)) in given:
                continue
            given.add(place)
        yield found


def _expand(given: str, recursive: bool) -> Iterator[str | AudioError]:
    given = stored_path(given)
    if given == STDIN:
        yield given
    elif glob.has_magic(given) and not os.path.lexists(given):
        yield from _matches(given, recursive)
    else:
        try:
            status = stat_path(given)
        except AudioError as error:
            yield error
            return
        path = Path(given)
        if stat.S_ISDIR(status.st_mode):
            yield from _in_folder(path, recursive)
        else:
            yield str(path.absolute() if str(path) == STDIN else path)  # ./- is a file, - is not


def _matches(pattern: str, recursive: bool) -> Iterator[str | AudioError]:
    # Not glob.glob: its ** follows links, in a folder with a few loops practically for ever.
    root, hidden = Path(pattern).anchor, _is_hidden(Path(pattern))
    try:
        forms = {unicodedata.normalize(form, pattern[len(root) :]) for form in ("NFC", "NFD")}
        matches = sorted({match for form in forms for match in Path(root).glob(form)})
    except (OSError, ValueError) as error:
        yield AudioError(f"{printable(pattern)}: {error}")
        return
    shown = [match for match in matches if hidden or not _is_hidden(match)]
    if not shown:
        yield AudioError(f"{printable(pattern)}: no file matches this pattern")
    for match in shown:
        yield from _expand(str(match), recursive)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") and part != ".." for part in path.parts)


def _in_folder(folder: Path, recursive: bool) -> Iterator[str | AudioError]:
    errors: list[AudioError] = []
    files = list(_walk(folder, recursive, errors))
    media = [path for path in files if _is_media(path)]
    media.sort(key=lambda path: path.replace(os.sep, "\0"))  # as paths compare, part by part
    if not media and not errors:
        errors.append(_explain_none(folder, len(files), recursive))
    yield from media
    yield from errors


def _is_media(path: str) -> bool:
    return path[path.rfind(".") :].lower() in _MEDIA


def _walk(folder: Path, recursive: bool, errors: list[AudioError]) -> Iterator[str]:
    """The files in a folder that are not hidden; a folder reached twice, by a link, is read once."""

    def failed(error: OSError) -> None:
        errors.append(AudioError(f"{printable(str(error.filename))}: cannot be listed ({error.strerror})"))

    visited: set[str] = set()
    for root, folders, files in os.walk(folder, onerror=failed, followlinks=True):
        real = os.path.realpath(root)
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith(".")) if recursive else []
        below = str(Path(root, "-"))[:-1]  # as paths are written, with the separator
        yield from (below + name for name in files if not name.startswith("."))


def _explain_none(folder: Path, count: int, recursive: bool) -> AudioError:
    where = "it and the folders below" if recursive else "it"
    others = pluralize(count, "other file")
    reason = f"{printable(str(folder))}: no audio in this folder ({others} in {where})"
    below = () if recursive else _walk(folder, recursive=True, errors=[])
    hold_some = any(map(_is_media, below))
    return UnsearchedError(f"{reason}; its sub-folders hold some") if hold_some else AudioError(reason)


def paths_from(file: str | Path) -> list[str]:
    """The paths listed in a file ("-": standard input), one per line, or NUL-separated (`find -print0`).

    The list may be UTF-16 where a byte order mark says so. Blank lines are left out. Bytes that are not UTF-8
    survive.

    Raises:
        UsageError: the list cannot be read, or is not text.
    """
    try:
        data = sys.stdin.buffer.read() if str(file) == STDIN else Path(file).read_bytes()
    except OSError as error:
        raise UsageError(f"{printable(str(file))}: the list cannot be read ({error.strerror})") from error
    try:
        text = _decode(data)
    except NotTextError as error:
        raise UsageError(f"{printable(str(file))}: not a list of paths: {error}") from error
    lines = text.split("\0") if "\0" in text else text.replace("\r\n", "\n").split("\n")
    return [line for line in lines if line.strip()]


def _decode(data: bytes) -> str:
    encoding = encoding_of(data)
    if encoding != "utf-16":
        if max(data[::2].count(0), data[1::2].count(0)) > len(data) / 4:
            raise NotTextError("every other byte is NUL, as in UTF-16 without a byte order mark")
        return data.decode(encoding, "surrogateescape")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise NotTextError(f"not in UTF-16 ({error.reason} at byte {error.start})") from error
    if "\0" in text:  # UTF-32 begins with the same mark
        raise NotTextError("it begins like UTF-16 and holds NUL characters, as in UTF-32")
    return text
