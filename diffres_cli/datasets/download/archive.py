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
from diffres_cli.transfer import STALL, OnBytes, Remote, TransferError, is_transport, refuse_status

ANOTHER_FOLDER = "make room, or choose another data folder"

MIRROR = "DIFFRES_DATA_MIRROR"
"""The variable that names another place with the same paths, such as http://mirror.example:8080."""


class ArchiveError(DiffresError):
    """An archive that cannot be fetched, is not what its source states, or is not safe to unpack."""


def address(url: str) -> str:
    """Where a file is fetched from: its own address, or the same path on the mirror.

    >>> os.environ[MIRROR] = "http://127.0.0.1:8000/"
    >>> address("https://example.org/records/1/a.zip?download=1")
    'http://127.0.0.1:8000/records/1/a.zip?download=1'
    >>> del os.environ[MIRROR]
    """
    mirror = os.environ.get(MIRROR)
    if not mirror:
        return url
    parts = urlsplit(url)
    return f"{mirror.rstrip('/')}{parts.path}" + (f"?{parts.query}" if parts.query else "")


def partial(path: Path) -> Path:
    """Where the bytes of a file stay until all have come."""
    return path.with_name(f"{path.name}.part")


def fetch(
    archive: Archive, path: Path, on_bytes: OnBytes = lambda count: None, *, timeout: float = STALL
) -> None:
    """Let a verified archive be at `path`; see `diffres_cli.transfer.fetch`. No token is sent along.

    Raises:
        ArchiveError: it cannot be fetched, or is not what its source states; then nothing of it is kept.
        OutputError: the disk is full, or the folder read-only.
    """
    headers = {"User-Agent": f"diffres/{__version__}"}
    remote = Remote(
        address(archive.url),
        archive.size,
        archive.checksum,
        headers,
        _refuse,
        "the official file",
        ANOTHER_FOLDER,
    )
    with _explained(archive, path):
        transfer.fetch(remote, path, partial(path), on_bytes, timeout=timeout)


def _refuse(response: Any) -> None:
    status = response.status_code
    if status in (404, 410):
        raise TransferError(f"not there any more ({status}): set {MIRROR} to a mirror that has it")
    if status in (401, 403):
        raise TransferError(f"the server does not give it to everybody ({status})")
    refuse_status(response)


@contextmanager
def _explained(archive: Archive, path: Path) -> Iterator[None]:
    """Turn what the network and the disk raise into errors of ours."""
    from huggingface_hub.errors import OfflineModeIsEnabled

    try:
        yield
    except TransferError as error:
        raise _refusal(archive, str(error)) from error
    except OfflineModeIsEnabled as error:
        raise _refusal(archive, "HF_HUB_OFFLINE forbids the network: unset it") from error
    except OSError as error:
        where = error.filename or path
        raise import_failure(error) or OutputError(
            f"cannot read or write {where}: {reason(error)}: {ANOTHER_FOLDER}; the same command resumes it"
        ) from error
    except Exception as error:
        if not is_transport(error):
            raise
        why = (str(error) or type(error).__name__).partition("\n")[0]
        again = "check the network, then run the same command again: it resumes where it stopped"
        raise _refusal(archive, f"the connection failed ({why}): {again}") from error


def _refusal(archive: Archive, why: str) -> ArchiveError:
    return ArchiveError(f"{archive.name}: {address(archive.url)}: {why}")
