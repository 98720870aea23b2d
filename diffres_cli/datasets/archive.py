"""What is known of an archive: where it is fetched from, and whether a file is it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from urllib.parse import urlsplit

from diffres_cli.datasets.clip import Archive
from diffres_cli.errors import DiffresError

MIRROR = "DIFFRES_DATA_MIRROR"
"""The variable that names another place with the same paths, such as http://mirror.example:8080."""

_BLOCK = 2**20


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


def wrong_with(archive: Archive, path: Path) -> str:
    """How a file differs from what its source states; "" where it does not.

    Raises:
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    if archive.size and size != archive.size:
        return f"{size} bytes instead of {archive.size}"
    kind, _, stated = archive.checksum.partition(":")
    if not stated:
        return ""
    hasher = hashlib.new(kind, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            hasher.update(block)
    return "" if hasher.hexdigest() == stated else f"{kind} {hasher.hexdigest()} instead of {stated}"
