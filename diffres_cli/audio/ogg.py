"""Where an Ogg file breaks off: it states no length, but marks the last page of its stream (RFC 3533)."""

from __future__ import annotations

import os

from diffres_cli.audio.sources import OpenFile

_HEADER, _LONGEST_PAGE = 27, 65_307  # bytes
_LAST_PAGE = 4  # bit of the header's flags


def breaks_off(file: OpenFile) -> bool:
    """Whether an Ogg file ends before the last page of its stream, or in the middle of that."""
    size = os.fstat(file.stream.fileno()).st_size
    tail = file.peek(2 * _LONGEST_PAGE, max(0, size - 2 * _LONGEST_PAGE))  # tags may follow the last page
    page = tail[max(0, tail.rfind(b"OggS\0")) :]
    if len(page) < _HEADER or len(page) < _HEADER + page[26]:
        return True
    length = _HEADER + page[26] + sum(page[_HEADER : _HEADER + page[26]])
    return len(page) < length or not page[5] & _LAST_PAGE
