"""A file from an address -> this disk: resumed when cut, never more than was stated, kept only when verified.

Models and datasets both come this way. Neither the hub library nor pooch resumes what an earlier call or a
killed process has fetched, and neither stops a server that sends more than it states. The bytes come through
the hub library's session, whose proxies and certificates people have set up.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from diffres_cli.errors import DiffresError
from diffres_cli.files import check_free_space, free_space

OnBytes = Callable[[int], object]

STALL = 30.0  # seconds without a byte
_BLOCK = 2**20


class TransferError(DiffresError):
    """A file that a server refuses, or that is not the one stated."""


@dataclass(frozen=True)
class Remote:
    """A file to fetch.

    Attributes:
        size: bytes, 0 where it is not stated. checksum: "md5:...", "sha256:...", or "git:..." for git's SHA-1
            of a blob; "" where none is published.
        headers: to be sent along. check_response: may explain an answer without the file, by raising.
        title: the file as its source has it, for messages. advice: what to do where the disk is too full.
    """

    url: str
    size: int
    checksum: str
    headers: Mapping[str, str] = field(default_factory=dict)
    check_response: Callable[[Any], None] = lambda response: None
    title: str = "the file stated"
    advice: str = "make room"


def fetch(
    remote: Remote, path: Path, part: Path, on_bytes: OnBytes = lambda count: None, *, timeout: float = STALL
) -> None:
    """Let a verified file be at `path`, resuming where an attempt of this or another process was cut.

    Args:
        part: where its bytes stay until all have come.
        on_bytes: called with how many bytes are here, each time some more are.
        timeout: seconds without a byte after which a connection counts as cut.

    Raises:
        TransferError: it is refused, or is not what was stated; then nothing of it is kept.
        OutputError: the disk has too little room. OSError: it cannot be written.
        Exception: what the hub library raises where the connection fails, see `is_connection_error`.
    """
    if path.exists():
        if not find_difference(path, remote.size, remote.checksum):
            return
        path.unlink()
    with part.open("ab") as file:
        transfer = _Transfer(remote, part, file, on_bytes, timeout)
        transfer.run()
        file.flush()
        os.fsync(file.fileno())
    difference = find_difference(part, remote.size, remote.checksum)
    if difference:
        part.unlink()
    else:
        part.replace(path)
    transfer.origin.unlink(missing_ok=True)
    if difference:
        raise TransferError(f"what came is not {remote.title} ({difference}): nothing of it was kept")


def find_difference(path: Path, size: int, checksum: str) -> str:
    """How a file differs from what is stated, see `Remote`; "" where it does not.

    Raises:
        OSError: it cannot be read.
    """
    actual = path.stat().st_size
    if size and actual != size:
        return f"{actual} bytes instead of {size}"
    kind, _, stated = checksum.partition(":")
    if not stated:
        return ""
    hasher = hashlib.new("sha1" if kind == "git" else kind, usedforsecurity=False)
    hasher.update(b"blob %d\0" % actual if kind == "git" else b"")
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            hasher.update(block)
    return "" if hasher.hexdigest() == stated else f"{kind} {hasher.hexdigest()} instead of {stated}"


def is_connection_error(error: BaseException) -> bool:
    """Whether the connection failed, rather than the server refusing or the disk.

    Recognised by name: the HTTP library is huggingface_hub's own choice, and has changed twice.
    """
    return type(error).__module__.partition(".")[0] in ("httpx", "httpx2")


def _version_of(headers: Mapping[str, str]) -> str:
    """What `If-Range` takes: a strong ETag, else a date."""
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified", "")


@dataclass
class _Transfer:
    """The bytes still to come of a file."""

    remote: Remote
    part: Path
    file: BinaryIO
    on_bytes: OnBytes
    timeout: float
    ended: bool = False

    @property
    def origin(self) -> Path:
        """The file that notes which version of which address the bytes are."""
        return self.part.with_name(f"{self.part.name}.origin")

    def run(self) -> None:
        """Ask again while every attempt brings the file further."""
        while not self._is_complete():
            reached = self.file.tell()
            self._check_room(self.remote.size - reached)
            cut = self._attempt()
            if not self._is_complete() and self.file.tell() <= reached:
                raise cut or TransferError(f"it ends after {reached} of {self.remote.size} bytes")

    def _is_complete(self) -> bool:
        return self.file.tell() == self.remote.size if self.remote.size else self.ended

    def _attempt(self) -> Exception | None:
        """Ask for what is missing. Returns what cut the connection, if it was cut."""
        from huggingface_hub import get_session

        try:
            with get_session().stream(
                "GET", self.remote.url, headers=self._headers(), timeout=self.timeout
            ) as response:
                if self._continues(response):
                    # As they come: a compressed answer, not asked for, could unfold without end.
                    self._write(response.iter_raw())
                    return None
        except Exception as error:
            if not is_connection_error(error):
                raise
            return error
        finally:
            with suppress(OSError):
                self.file.flush()
        self._start_over()
        return self._attempt()

    def _headers(self) -> dict[str, str]:
        headers = {**self.remote.headers, "Accept-Encoding": "identity"}
        version = self._known_version()
        if not version and not self.remote.checksum:
            self._start_over()  # nothing shows whether two halves belong together
        if not self.file.tell():
            return headers
        headers["Range"] = f"bytes={self.file.tell()}-"
        return headers | {"If-Range": version} if version else headers

    def _known_version(self) -> str:
        """Of the bytes that are here; "" where it was not stated or they came from elsewhere."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            known = json.loads(self.origin.read_text("utf-8"))
            return str(known["version"]) if known["url"] == self.remote.url else ""
        return ""

    def _continues(self, response: Any) -> bool:
        """Whether a body continues where the file ends; for a whole one the file is written from the start.

        Raises:
            TransferError: the server refuses, or has another file than the stated one.
            OutputError: the disk has too little room for it.
        """
        start, status, headers = self.file.tell(), response.status_code, response.headers
        if status == 200:
            self._check_size(headers.get("Content-Length"))
            self._start_over()
            origin = {"url": self.remote.url, "version": _version_of(headers)}
            self.origin.write_text(json.dumps(origin), "utf-8")
            return True
        if not start or status not in (206, 416):
            self.remote.check_response(response)
            raise TransferError(f"the server answered {status}: try again later")
        span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", headers.get("Content-Range", ""))
        before, now = self._known_version(), _version_of(headers)
        has_changed = before and now and before != now  # of a server that does not know If-Range
        if status == 416 or not span or int(span[1]) != start or has_changed:
            return False
        self._check_size(span[2])
        return True

    def _check_size(self, stated: str | None) -> None:
        """Refuse before gigabytes have come, not after."""
        size = int(stated) if stated and stated.isdigit() else 0
        if self.remote.size and size and size != self.remote.size:
            raise TransferError(f"it has {size} bytes, {self.remote.title} {self.remote.size}")
        self._check_room(size - self.file.tell())

    def _check_room(self, needed: int) -> None:
        check_free_space(self.part.parent, needed, self.remote.advice)

    def _write(self, blocks: Iterator[bytes]) -> None:
        limit = self.remote.size or self.file.tell() + free_space(self.part.parent)
        for block in blocks:
            reached = self.file.tell() + len(block)
            if reached > limit:
                self._start_over()
                kind = "it should have" if self.remote.size else "for which there is room"
                raise TransferError(f"more comes than the {limit} bytes {kind}")
            self.file.write(block)
            self.on_bytes(reached)
        self.ended = True

    def _start_over(self) -> None:
        self.origin.unlink(missing_ok=True)
        self.file.seek(self.file.truncate(0))
