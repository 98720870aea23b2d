"""The streams of an Ogg file (RFC 3533): chained one behind the other, or interleaved with pictures.

libsndfile reads the first stream of a chain and nothing else, and refuses FLAC in Ogg and interleaved sound.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile
from typing import NamedTuple

from diffres_cli.audio.sources import OpenFile
from diffres_cli.audio.stream import Stream, read_range
from diffres_cli.audio.tags import skip_tags

_MAGIC = b"OggS\0"
_HEADER = 27  # bytes, before the table of segments
_FIRST_PAGE, _LAST_PAGE = 2, 4  # flags
_FLAC = b"\x7fFLAC"
_SOUND = (b"\x01vorbis", b"OpusHead", b"Speex   ", _FLAC)
_FLAC_MAPPING = 9  # bytes of a FLAC stream's first page before those that a FLAC file begins with
_FLAC_TOTAL = 21  # bytes from there to the number of samples, 36 bits
_STRAY = 1024  # bytes; fewer behind the last page are not worth a word
_ENOUGH = 2**21  # samples, more than a page holds


class _Page(NamedTuple):
    start: int  # bytes: of the header, of the body
    body: int
    end: int
    flags: int
    granule: int  # samples up to the end of the page, -1 where none ends in it
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
    last: dict[bytes, _Page] = field(default_factory=dict)  # their last pages so far
    highest: dict[bytes, _Page] = field(default_factory=dict)  # and those with the most samples
    strange: int = 0  # bytes of pages that belong to none of its streams
    has_data: bool = False

    @property
    def sound(self) -> bytes | None:
        """The serial number of its first stream of sound."""
        return next((serial for serial, first in self.serials.items() if first.startswith(_SOUND)), None)

    def add(self, page: _Page) -> None:
        self.end = page.end
        self.last[page.serial] = page
        if page.granule >= self.highest.get(page.serial, page).granule:
            self.highest[page.serial] = page
        if page.flags & _FIRST_PAGE:
            self.serials[page.serial] = page.first
        else:
            self.has_data = True
            self.strange += 0 if page.serial in self.serials else page.end - page.start
        if page.flags & _LAST_PAGE and page.is_whole:
            self.ended.add(page.serial)


def ogg_streams(file: OpenFile) -> Iterator[Stream]:
    """The links of the chain that an Ogg file is, most often a single one.

    Of each, the first stream of sound; a link without sound is left out.
    """
    links = (link for link in _links(file) if link.sound is not None)
    link, following = next(links, None), next(links, None)
    if link is None:
        yield Stream()
    is_only = following is None
    while link is not None:
        behind = _behind(file, link) if following is None else ""
        yield _stream(file, link, is_only, behind)
        link, following = following, next(links, None)


def _behind(file: OpenFile, link: _Link) -> str:
    """What is said of bytes behind the last link that are not Ogg, and so are not read."""
    start = skip_tags(file, link.end)
    head, size = file.peek(_STRAY, start), file.size - start
    if size < _STRAY or head.startswith(_MAGIC) or not any(head):
        return ""
    return f"{size} bytes behind its last page are not Ogg"


def _stream(file: OpenFile, link: _Link, is_only: bool, behind: str) -> Stream:
    problems = [behind] if behind else []
    if link.sound not in link.ended:
        problems.append("it breaks off before its last page")
    if link.strange:
        problems.append(f"{link.strange} bytes are of a stream whose beginning is missing")
    damage = ", ".join(problems)
    if link.serials[link.sound or b""].startswith(_FLAC):
        return Stream(partial(_flac_of, file, link), states_length=False, damage=damage)
    is_short = _is_understated(file, link)
    note = "its last page states fewer samples than are there; all are read" if is_short else ""
    is_whole = is_only and len(link.serials) == 1 and not is_short
    chunks = None if is_whole else partial(_pages_of, file, link, is_short)
    return Stream(chunks, states_length=not is_short, note=note, damage=damage)


def _is_understated(file: OpenFile, link: _Link) -> bool:
    """Whether the last page of a link's sound states fewer samples than an earlier one, that is undamaged."""
    last, highest = link.last[link.sound or b""], link.highest[link.sound or b""]
    if last.granule >= highest.granule or (last.granule < 0 and not last.flags & _LAST_PAGE):
        return False
    page = file.peek(highest.end - highest.start, highest.start)
    return _with_granule(page, highest.granule) == page


def _pages_of(file: OpenFile, link: _Link, is_short: bool) -> Iterator[bytes]:
    """The sound of a link, with enough samples stated in its last page."""
    for page in _pages_in(file, link):
        data = file.peek(page.end - page.start, page.start)
        if is_short and page == link.last[page.serial]:
            data = _with_granule(data, link.highest[page.serial].granule + _ENOUGH)
        yield data


def _with_granule(page: bytes, granule: int) -> bytes:
    """A page that states another number of samples, and has the right checksum."""
    head = page[:6] + granule.to_bytes(8, "little", signed=True) + page[14:22]
    return head + _crc(head + bytes(4) + page[26:]).to_bytes(4, "little") + page[26:]


def _crc(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = crc << 1 ^ (0x1_04C1_1DB7 if crc & 0x8000_0000 else 0)
    return crc


def _flac_of(file: OpenFile, link: _Link) -> Iterator[bytes]:
    """A FLAC stream as a FLAC file that states no length: packets are what that has one behind the other."""
    pages = _pages_in(file, link)
    head = bytearray(b"".join(read_range(file, (page := next(pages)).body + _FLAC_MAPPING, page.end)))
    total = slice(_FLAC_TOTAL, _FLAC_TOTAL + 5)
    head[total] = bytes([head[_FLAC_TOTAL] & 0xF0, 0, 0, 0, 0])
    yield bytes(head)
    for page in pages:
        yield from read_range(file, page.body, page.end)


def _pages_in(file: OpenFile, link: _Link) -> Iterator[_Page]:
    """The pages of a link's sound."""
    within = takewhile(lambda page: page.start < link.end, _pages(file, link.start))
    return (page for page in within if page.serial == link.sound)


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
            place = next(file.find(_MAGIC, place + 1), None)
            continue
        body = _HEADER + head[26]
        end = place + body + sum(head[_HEADER:body])
        following: int | None = end
        if file.peek(len(_MAGIC), end) != _MAGIC:
            following = next(file.find(_MAGIC, place + 1), None)  # this one may be cut short
        limit = size if following is None else following
        first = head[body : body + 8]
        granule = int.from_bytes(head[6:14], "little", signed=True)
        yield _Page(place, place + body, min(end, limit), head[5], granule, head[14:18], first, end <= limit)
        place = following
