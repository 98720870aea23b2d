"""One archive: where it comes from, fetched by `diffres_cli.transfer`, and what can be wrong with it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from diffres_cli import __version__, transfer
from diffres_cli.datasets.clip import Archive
from diffres_cli.errors import DiffresError, OutputError
from diffres_cli.files import reason
from diffres_cli.imports import import_failure
from diffres_cli.transfer import STALL, OnBytes, Remote, TransferError, is_connection_error

NO_ROOM_ADVICE = "make room, or choose another data folder"

MIRROR = "DIFFRES_DATA_MIRROR"
"""The variable that names another place with the same paths, such as http://mirror.example:8080."""


class ArchiveError(DiffresError):
    """An archive that cannot be fetched, is not what its source states, or is not safe to unpack."""


def mirrored_url(url: str) -> str:
    """Where a file is fetched from: its own address, or the same path and query on the mirror."""
    mirror = os.environ.get(MIRROR)
    if not mirror:
        return url
    parts = urlsplit(url)
    return f"{mirror.rstrip('/')}{parts.path}" + (f"?{parts.query}" if parts.query else "")


def part_path(path: Path) -> Path:
    """Where a file is kept while it is incomplete."""
    return path.with_name(f"{path.name}.part")


def fetch(
    archive: Archive, path: Path, on_bytes: OnBytes = lambda count: None, *, timeout: float = STALL
) -> None:
    """Fetch an archive to `path` and verify it; see `diffres_cli.transfer.fetch`. No token is sent.

    Raises:
        ArchiveError: it cannot be fetched, or is not what its source states; then nothing of it is kept.
        OutputError: the disk is full, or the folder read-only.
    """
    remote = Remote(
        mirrored_url(archive.url), archive.size, archive.checksum, {"User-Agent": f"diffres/{__version__}"},
        _check_response, "the official file", NO_ROOM_ADVICE,
    )  # fmt: skip
    with explain_disk_failures(path):
        try:
            transfer.fetch(remote, path, part_path(path), on_bytes, timeout=timeout)
        except Exception as error:
            problem = _problem_of(error)
            if not problem:
                raise
            raise ArchiveError(f"{archive.name}: {remote.url}: {problem}") from error


@contextmanager
def explain_disk_failures(path: Path) -> Iterator[None]:
    """Turn what the disk raises into an error that says what to do.

    Raises:
        OutputError: something cannot be read or written: `path`, where nothing else is named.
    """
    try:
        yield
    except OSError as error:
        where = error.filename or path
        raise import_failure(error) or OutputError(
            f"cannot read or write {where}: {reason(error)}: {NO_ROOM_ADVICE}; the same command resumes it"
        ) from error


def _check_response(response: Any) -> None:
    status = response.status_code
    if status in (404, 410):
        raise TransferError(f"no longer there ({status}): set {MIRROR} to a mirror that has it")
    if status in (401, 403):
        raise TransferError(f"the server denies access ({status})")


def _problem_of(error: Exception) -> str:
    """Why an archive cannot be fetched; "" for an error that is neither the network's nor the server's."""
    from huggingface_hub.errors import OfflineModeIsEnabled

    if isinstance(error, TransferError):
        return str(error)
    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE forbids the network: unset it"
    if not is_connection_error(error):
        return ""
    why = (str(error) or type(error).__name__).partition("\n")[0]
    again = "check the network, then run the same command again: it resumes where it stopped"
    return f"the connection failed ({why}): {again}"
