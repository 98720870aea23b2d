"""The streams of an Ogg file (RFC 3533): chained one behind the other, or interleaved with pictures.

libsndfile reads the first stream of a chain and nothing else, and refuses FLAC in Ogg and interleaved sound.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile
from typing import NamedTuple

from diffres_cli.audio.part import Part, stretch
from diffres_cli.audio.sources import OpenFile

_MAGIC = b"OggS\0"
_HEADER = 27  # bytes, before the table of segments
_FIRST_PAGE, _LAST_PAGE = 2, 4  # flags
_FLAC = b"\x7fFLAC"
_SOUND = (b"\x01vorbis", b"OpusHead", b"Speex   ", _FLAC)
_FLAC_MAPPING = 9  # bytes of a FLAC stream's first page before those that a FLAC file begins with
_FLAC_TOTAL = 21  # bytes from there to the number of samples, 36 bits
_SEARCHED = 2**20  # bytes at once, where a page is missing


class _Page(NamedTuple):
    start: int  # bytes: of the header, of the body
    body: int
    end: int
    flags: int
    serial: bytes
    first: bytes  # of the body: on the first page of a stream, what it is
    is_whole: bool


@dataclass
class _Link:
    """What begins and ends together: one stream, or several interleaved."""

    start: int
    end: int
    serials: dict[bytes, bytes] = field(default_factory=dict)  # of its streams, and what these begin with
    ended: set[bytes] = field(default_factory=set)  # those whose last page is there
    strange: int = 0  # bytes of pages that belong to none of its streams
    has_data: bool = False

    @property
    def sound(self) -> bytes | None:
        """The serial number of its first stream of sound."""
        return next((serial for serial, first in self.serials.items() if first.startswith(_SOUND)), None)

    def add(self, page: _Page) -> None:
        self.end = page.end
        if page.flags & _FIRST_PAGE:
            self.serials[page.serial] = page.first
        else:
            self.has_data = True
            self.strange += 0 if page.serial in self.serials else page.end - page.start
        if page.flags & _LAST_PAGE and page.is_whole:
            self.ended.add(page.serial)


def ogg_parts(file: OpenFile) -> Iterator[Part]:
    """The links of the chain that an Ogg file is, most often a single one.

    Of each, the first stream of sound; a link without sound is left out.
    """
    links = _links(file)
    link, following = next(links, None), next(links, None)
    if link is None:
        yield Part()
    is_only = following is None
    while link is not None:
        if link.sound is not None or is_only:
            yield _part(file, link, is_only)
        link, following = following, next(links, None)


def _part(file: OpenFile, link: _Link, is_only: bool) -> Part:
    problems = []
    if link.sound not in link.ended:
        problems.append("it breaks off before its last page")
    if link.strange:
        problems.append(f"{link.strange} bytes are of a stream whose beginning is missing")
    chunks: partial[Iterator[bytes]] | None = None
    is_flac = link.sound is not None and link.serials[link.sound].startswith(_FLAC)
    if is_flac and link.sound is not None:
        chunks = partial(_flac_of, file, link, link.sound)
    elif len(link.serials) > 1 and link.sound is not None:
        chunks = partial(_pages_of, file, link, link.sound)
    elif not is_only:
        chunks = partial(stretch, file, link.start, link.end)
    return Part(chunks, states_length=not is_flac, complaint=", ".join(problems))


def _pages_of(file: OpenFile, link: _Link, serial: bytes) -> Iterator[bytes]:
    """One of the streams of a link."""
    for page in _pages_in(file, link, serial):
        yield from stretch(file, page.start, page.end)


def _flac_of(file: OpenFile, link: _Link, serial: bytes) -> Iterator[bytes]:
    """A FLAC stream as a FLAC file that states no length: packets are what that has one behind the other."""
    pages = _pages_in(file, link, serial)
    head = bytearray(b"".join(stretch(file, (page := next(pages)).body + _FLAC_MAPPING, page.end)))
    total = slice(_FLAC_TOTAL, _FLAC_TOTAL + 5)
    head[total] = bytes([head[_FLAC_TOTAL] & 0xF0, 0, 0, 0, 0])
    yield bytes(head)
    for page in pages:
        yield from stretch(file, page.body, page.end)


def _pages_in(file: OpenFile, link: _Link, serial: bytes) -> Iterator[_Page]:
    within = takewhile(lambda page: page.start < link.end, _pages(file, link.start))
    return (page for page in within if page.serial == serial)


def _links(file: OpenFile) -> Iterator[_Link]:
    link = None
    for page in _pages(file, 0):
        # The first pages of all interleaved streams come before any other.
        if link is None or (page.flags & _FIRST_PAGE and link.has_data):
            if link is not None:
                yield link
            link = _Link(page.start, page.end)
        link.add(page)
    if link is not None:
        yield link


def _pages(file: OpenFile, start: int) -> Iterator[_Page]:
    """The pages from byte `start` on. Behind damage they begin again at the next that can be found."""
    place: int | None = start
    size = file.size
    while place is not None:
        head = file.peek(_HEADER + 255 + 8, place)
        if not head.startswith(_MAGIC) or len(head) < _HEADER:
            place = _next_page(file, place + 1)
            continue
        body = _HEADER + head[26]
        end = place + body + sum(head[_HEADER:body])
        following: int | None = end
        if file.peek(len(_MAGIC), end) != _MAGIC:
            following = _next_page(file, place + 1)  # this one may be cut short
        limit = size if following is None else following
        first = head[body : body + 8]
        yield _Page(place, place + body, min(end, limit), head[5], head[14:18], first, end <= limit)
        place = following


def _next_page(file: OpenFile, start: int) -> int | None:
    while data := file.peek(_SEARCHED, start):
        found = data.find(_MAGIC)
        if found >= 0:
            return start + found
        start += max(1, len(data) - 4) if len(data) == _SEARCHED else len(data)
    return None
