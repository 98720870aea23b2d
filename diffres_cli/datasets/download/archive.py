"""Where an archive is fetched from, and what is said of one that is not right."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from diffres_cli.errors import DiffresError

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
