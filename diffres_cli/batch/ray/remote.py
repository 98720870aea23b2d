"""Recordings and results anywhere fsspec reaches: s3://, gs://, http(s)://, file:// (extra `ray`)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from diffres_cli.audio import MEDIA_EXTENSIONS, Recording, find_files, open_recording, printable
from diffres_cli.audio.find import UnsearchedError
from diffres_cli.batch.plan import Task, plan
from diffres_cli.errors import AudioError, DiffresError, OutputError, UsageError
from diffres_cli.files import make_folder, reason, write_atomically
from diffres_cli.imports import import_failure, required
from diffres_cli.timeouts import without_timeout

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_URL = re.compile(r"[a-z][a-z0-9+.-]*(://|::)")
# Here an object is there once all of it is; other systems write it under another name and rename it.
_OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss", "oci", "tos", "r2", "hf"}


def is_url(text: str) -> bool:
    """Whether something typed is a URL, and no path.

    >>> is_url("s3://birds/may"), is_url("birds/may"), is_url("zip://*.wav::s3://birds/may.zip")
    (True, False, True)
    """
    return _URL.match(text) is not None


def find_anywhere(inputs: Iterable[str | Path], recursive: bool = False) -> Iterator[str | AudioError]:
    """What `find_files` finds, and then what URLs name, none twice.

    Raises:
        DependencyError, UsageError: see `filesystem`.
    """
    names = [str(name) for name in inputs]
    yield from find_files((name for name in names if not is_url(name)), recursive)
    seen: set[str] = set()
    for url in filter(is_url, names):
        for found in find_remote(url, recursive):
            if isinstance(found, AudioError) or found not in seen:
                yield found
            if isinstance(found, str):
                seen.add(found)


def plan_anywhere(found: Iterable[str | AudioError], inputs: Iterable[str]) -> list[Task | AudioError]:
    """Tasks for what `find_anywhere` found: see `plan.plan`. URLs come last, named as they are."""
    items = list(found)
    urls = [item for item in items if isinstance(item, str) and is_url(item)]
    local = [item for item in items if isinstance(item, AudioError) or not is_url(item)]
    return [*plan(local, [text for text in inputs if not is_url(text)]), *(Task(url, url) for url in urls)]


def find_remote(url: str, recursive: bool = False) -> Iterator[str | AudioError]:
    """The recordings a URL names: a file, a folder, or a pattern with `*`.

    An input without recordings is yielded as an AudioError.

    Raises:
        DependencyError: what speaks this protocol is not installed. UsageError: a URL of no meaning.
    """
    files, path = filesystem(url)
    if path.lower().endswith(MEDIA_EXTENSIONS) and "*" not in path:
        yield url  # whether it is there, its worker will see
        return
    try:
        found = files.glob(path) if "*" in path else files.find(path, maxdepth=None if recursive else 1)
        names = sorted(str(name) for name in found)
    except Exception as error:  # every file system has errors of its own
        yield AudioError(f"{printable(url)}: cannot be listed: {_error_line(error)}")
        return
    start = len(path.partition("*")[0])
    media = [name for name in names if name == path or _is_shown(name[start:])]
    if not media:
        why = f"{printable(url)}: no audio there"
        is_all = recursive or "*" in path
        yield AudioError(why) if is_all else UnsearchedError(f"{why}; its sub-folders were not searched")
    chain = url[url.find("::") :] if "::" in url else ""
    yield from (str(files.unstrip_protocol(name)) + chain for name in media)


def open_remote(url: str) -> Recording:
    """Open the recording at a URL. It is copied to a temporary file first, as decoders seek.

    Raises:
        AudioError: it cannot be fetched, or is no recording. DependencyError: see `find_remote`.
    """
    files, path = filesystem(url)
    with without_timeout():  # the network has limits of its own
        try:
            stream = files.open(path, "rb")
        except Exception as error:
            raise AudioError(f"{printable(url)}: {_error_line(error)}") from error
        with stream:
            return open_recording(_StreamWithUrl(stream, url), name=url)  # type: ignore[arg-type]


def filesystem(url: str) -> tuple[AbstractFileSystem, str]:
    """What reads and writes a URL or a path, and the path in there.

    Raises:
        DependencyError: what speaks this protocol is not installed. UsageError: a URL of no meaning.
    """
    with required("a URL", "diffres[ray]"):
        from fsspec.core import url_to_fs
    try:
        files, path = url_to_fs(url)
    except Exception as error:
        failed_import = import_failure(error.__cause__ or error, printable(url), install="")
        raise failed_import or UsageError(f"{printable(url)}: {_error_line(error)}") from error
    if "memory" in _protocols(files):
        raise UsageError(f"{printable(url)}: memory of one process, which no worker sees; name files")
    return files, str(path)


class Store:
    """A folder of results, by its path or URL. What is written there appears whole or not at all.

    Its methods raise OutputError where the folder or a file in it cannot be made, read or deleted.

    Raises:
        DependencyError, UsageError: see `filesystem`.
    """

    def __init__(self, where: str) -> None:
        self.where = where
        self._files, self._path = filesystem(where)
        self._is_local = "file" in _protocols(self._files)

    @property
    def path(self) -> str:
        """What names the folder from any working directory: a URL, or an absolute path."""
        return self._path if self._is_local else self.where

    def make(self) -> None:
        """Make the folder, unless it is there."""
        if self._is_local:
            make_folder(Path(self._path))
            return
        with _prefix_errors(f"cannot make {self.where}"):
            if type(self._files).__name__ == "HTTPFileSystem":
                raise NotImplementedError("nothing can be written over HTTP")
            self._files.makedirs(self._path, exist_ok=True)

    def parts(self) -> list[str]:
        """The names of the Parquet files in it."""
        with _prefix_errors(f"cannot list {self.where}"):
            self._files.invalidate_cache()
            found = [str(path) for path in self._files.find(self._path, maxdepth=1)]
        return sorted(path.rpartition("/")[2] for path in found if path.endswith(".parquet"))

    def open(self, name: str) -> IO[bytes]:
        """A part, to read."""
        with _prefix_errors(f"cannot read {self.where}/{name}"):
            stream: IO[bytes] = self._files.open(f"{self._path}/{name}", "rb")
            return stream

    def write(self, name: str, data: bytes) -> None:
        """A part, in place of what had its name."""
        path = f"{self._path}/{name}"
        if self._is_local:
            write_atomically(Path(path), data)
            return
        with _prefix_errors(f"cannot write {self.where}/{name}"):
            if _protocols(self._files) & _OBJECT_STORES:
                self._files.pipe_file(path, data)
            else:
                self._files.pipe_file(f"{path}.part", data)
                self._files.mv(f"{path}.part", path)

    def remove(self, name: str) -> None:
        """Delete a part, if it is there."""
        with _prefix_errors(f"cannot delete {self.where}/{name}"):
            if self._files.exists(f"{self._path}/{name}"):
                self._files.rm_file(f"{self._path}/{name}")


class _StreamWithUrl:
    """A stream whose failures are those of the recording, and not of the copy that is made of it."""

    def __init__(self, stream: IO[bytes], url: str) -> None:
        self._stream = stream
        self._url = url

    def read(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except Exception as error:
            raise AudioError(f"{printable(self._url)}: cannot be read: {_error_line(error)}") from error


@contextmanager
def _prefix_errors(doing: str) -> Iterator[None]:
    """Within this block whatever a file system raises is an OutputError that begins with `doing`."""
    try:
        yield
    except DiffresError:
        raise
    except Exception as error:
        raise OutputError(f"{doing}: {_error_line(error)}; choose another place with -o") from error


def _is_shown(below: str) -> bool:
    hidden = any(part.startswith(".") for part in below.split("/"))
    return below.lower().endswith(MEDIA_EXTENSIONS) and not hidden


def _protocols(files: AbstractFileSystem) -> set[str]:
    return {files.protocol} if isinstance(files.protocol, str) else set(files.protocol)


def _error_line(error: Exception) -> Any:
    """The message of a file system's error, in one line."""
    if isinstance(error, FileNotFoundError):
        return "no such file or folder"
    text = reason(error) if isinstance(error, OSError) else str(error)
    return (text.strip().splitlines() or [type(error).__name__])[0].rstrip(".")
