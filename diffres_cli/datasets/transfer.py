"""One file from an address -> this disk: resumed when cut, verified, and kept only when it is right.

Not by pooch: it verifies and names, but starts over after every interruption, which an archive of
several GB does not survive on an ordinary line, and it belongs to the extra `train`. What is left of
it is the hash of a file. The bytes come through the hub library's session, as models do, whose
proxies and certificates people have set up; no token goes with them.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from diffres_cli import __version__
from diffres_cli.datasets.archive import MIRROR, ArchiveError, address, wrong_with
from diffres_cli.datasets.clip import Archive
from diffres_cli.errors import OutputError
from diffres_cli.files import reason
from diffres_cli.hub.failures import is_transport

OnBytes = Callable[[int], object]

_STALL = 30.0  # seconds without a byte


def partial(path: Path) -> Path:
    """Where the bytes of a file stay until all have come."""
    return path.with_name(f"{path.name}.part")


def fetch(
    archive: Archive, path: Path, on_bytes: OnBytes = lambda count: None, *, timeout: float = _STALL
) -> None:
    """Let a verified archive be at `path`, going on where an attempt of this or another process was cut.

    Args:
        on_bytes: told how many bytes are here, each time some more are.
        timeout: seconds without a byte after which a connection counts as cut.

    Raises:
        ArchiveError: it cannot be fetched, or is not what its source states; then nothing of it is kept.
        OutputError: the disk is full, or the folder read-only.
    """
    with _explained(archive, path):
        if path.exists():
            if not wrong_with(archive, path):
                return
            path.unlink()
        part = partial(path)
        with part.open("ab") as file:
            _Transfer(archive, file, _Origin(part), on_bytes, timeout).run()
            file.flush()
            os.fsync(file.fileno())
        if wrong := wrong_with(archive, part):
            _Origin(part).forget()
            part.unlink()
            raise _refusal(archive, f"what came is not the official file ({wrong}): nothing of it was kept")
        part.replace(path)
        _Origin(part).forget()


@dataclass(frozen=True)
class _Origin:
    """Which version of which address the bytes of a partial file are: a small file beside it."""

    part: Path

    @property
    def _path(self) -> Path:
        return self.part.with_name(f"{self.part.name}.origin")

    def remember(self, url: str, headers: Mapping[str, str]) -> None:
        self._path.write_text(json.dumps({"url": url, "version": _version(headers)}), "utf-8")

    def version(self, url: str) -> str:
        """The version at this address; "" where it states none or the bytes came from elsewhere."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            known = json.loads(self._path.read_text("utf-8"))
            return str(known["version"]) if known["url"] == url else ""
        return ""

    def forget(self) -> None:
        self._path.unlink(missing_ok=True)


def _version(headers: Mapping[str, str]) -> str:
    """What `If-Range` takes: a strong ETag, else a date."""
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified", "")


@dataclass
class _Transfer:
    """The bytes still to come of one archive."""

    archive: Archive
    file: BinaryIO
    origin: _Origin
    on_bytes: OnBytes
    timeout: float
    ended: bool = False

    @property
    def url(self) -> str:
        return address(self.archive.url)

    @property
    def done(self) -> bool:
        return self.file.tell() == self.archive.size if self.archive.size else self.ended

    def run(self) -> None:
        """Ask again while every attempt brings the file further."""
        while not self.done:
            reached = self.file.tell()
            cut = self._attempt()
            if not self.done and self.file.tell() <= reached:
                raise cut or _refusal(self.archive, f"it ends after {reached} of {self.archive.size} bytes")

    def _attempt(self) -> Exception | None:
        """Ask for what is missing.

        Returns:
            What cut the connection, if it was cut.
        """
        from huggingface_hub import get_session

        try:
            with get_session().stream(
                "GET", self.url, headers=self._headers(), timeout=self.timeout
            ) as response:
                if self._accepts(response.status_code, response.headers):
                    self._take(response.iter_bytes())
                    return None
        except Exception as error:
            if not is_transport(error):
                raise
            return error
        finally:
            with suppress(OSError):
                self.file.flush()
        self._start_over()
        return self._attempt()

    def _headers(self) -> dict[str, str]:
        headers = {"User-Agent": f"diffres/{__version__}", "Accept-Encoding": "identity"}
        version = self.origin.version(self.url)
        if not version and not self.archive.checksum:
            self._start_over()  # nobody could tell whether two halves belong together
        if not self.file.tell():
            return headers
        headers["Range"] = f"bytes={self.file.tell()}-"
        return headers | {"If-Range": version} if version else headers

    def _accepts(self, status: int, headers: Mapping[str, str]) -> bool:
        """Whether a body goes on where the file ends; for a whole one the file begins anew.

        Raises:
            ArchiveError: the server refuses, or has another file than the official one.
        """
        start = self.file.tell()
        if status == 200:
            self._check_size(headers.get("Content-Length"), headers)
            self._start_over()
            self.origin.remember(self.url, headers)
            return True
        if not start or status not in (206, 416):
            raise _refusal(self.archive, _answer(status))
        span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", headers.get("Content-Range", ""))
        if status == 416 or not span or int(span[1]) != start or self._is_other(headers):
            return False
        self._check_size(span[2], headers)
        return True

    def _is_other(self, headers: Mapping[str, str]) -> bool:
        """Whether a server that does not know If-Range goes on with another version of the file."""
        before, now = self.origin.version(self.url), _version(headers)
        return bool(before and now and before != now)

    def _check_size(self, stated: str | None, headers: Mapping[str, str]) -> None:
        """Refuse before gigabytes have come, not after."""
        if not (self.archive.size and stated and stated.isdigit()) or headers.get("Content-Encoding"):
            return
        if int(stated) != self.archive.size:
            raise _refusal(self.archive, f"it has {stated} bytes, the official file {self.archive.size}")

    def _take(self, blocks: Iterator[bytes]) -> None:
        for block in blocks:
            self.file.write(block)
            self.on_bytes(self.file.tell())
            if self.archive.size and self.file.tell() > self.archive.size:
                self._start_over()
                raise _refusal(self.archive, f"more comes than the {self.archive.size} bytes it should have")
        self.ended = True

    def _start_over(self) -> None:
        self.origin.forget()
        self.file.seek(self.file.truncate(0))


def _answer(status: int) -> str:
    if status in (404, 410):
        return f"not there any more ({status}): set {MIRROR} to a mirror that has it"
    if status in (401, 403):
        return f"the server does not give it to everybody ({status})"
    return f"the server answered {status}: try again later"


def _refusal(archive: Archive, why: str) -> ArchiveError:
    return ArchiveError(f"{archive.name}: {address(archive.url)}: {why}")


def _offline() -> type[BaseException]:
    from huggingface_hub.errors import OfflineModeIsEnabled

    return OfflineModeIsEnabled


@contextmanager
def _explained(archive: Archive, path: Path) -> Iterator[None]:
    """Turn what the network and the disk raise into errors of ours."""
    try:
        yield
    except _offline() as error:
        raise _refusal(archive, "HF_HUB_OFFLINE forbids the network: unset it") from error
    except OSError as error:
        where = error.filename or path
        raise OutputError(
            f"cannot write {where}: {reason(error)}: make room, or give another folder with --data; "
            "the same command goes on from here"
        ) from error
    except Exception as error:
        if not is_transport(error):
            raise
        why = (str(error) or type(error).__name__).partition("\n")[0]
        again = "check the network, then run the same command again: it goes on where it stopped"
        raise _refusal(archive, f"the connection failed ({why}): {again}") from error
