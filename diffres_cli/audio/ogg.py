"""The streams of an Ogg file (RFC 3533): chained one after the other, or interleaved with video.

libsndfile reads the first stream of a chain and nothing else, and refuses FLAC in Ogg and interleaved sound.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from typing import NamedTuple

from diffres_cli.audio.decoder import Stream
from diffres_cli.audio.flac import crc, with_total
from diffres_cli.audio.sources import OpenFile
from diffres_cli.audio.tags import skip_tags

_MAGIC = b"OggS\0"
_HEADER = 27  # bytes, before the table of segments
_FIRST_PAGE, _LAST_PAGE = 2, 4  # flags
_FLAC = b"\x7fFLAC"
_AUDIO_SIGNATURES = (b"\x01vorbis", b"OpusHead", b"Speex   ", _FLAC)
_FLAC_MAPPING = 9  # bytes of a FLAC stream's first page before those that a FLAC file begins with
_STRAY = 1024  # bytes; fewer after the last page are not reported
_ENOUGH = 2**21  # samples, more than a page holds


class _Page(NamedTuple):
    start: int  # bytes: of the header, of the body
    body: int
    end: int
    flags: int
    granule: int  # samples up to the end of the page, -1 where none ends in it
    serial: bytes
    content: bytes  # the beginning of the body: on the first page of a stream, what it is
    is_whole: bool


@dataclass
class _Link:
    """One link of a chain: one stream, or several interleaved ones. Pages are keyed by serial number."""

    start: int
    end: int = 0
    first: dict[bytes, _Page] = field(default_factory=dict)
    last: dict[bytes, _Page] = field(default_factory=dict)  # so far
    highest: dict[bytes, _Page] = field(default_factory=dict)  # those with the most samples so far
    orphaned: int = 0  # bytes of pages that belong to none of its streams
    has_data: bool = False

    @property
    def audio_serial(self) -> bytes:
        """The serial number of its first audio stream, b"" if it has none."""
        return next(
            (serial for serial, page in self.first.items() if page.content.startswith(_AUDIO_SIGNATURES)), b""
        )

    def add(self, page: _Page) -> None:
        self.end = page.end
        self.last[page.serial] = page
        if page.granule >= self.highest.get(page.serial, page).granule:
            self.highest[page.serial] = page
        if page.flags & _FIRST_PAGE:
            self.first[page.serial] = page
        else:
            self.has_data = True
            self.orphaned += 0 if page.serial in self.first else page.end - page.start


def ogg_streams(file: OpenFile) -> list[Stream]:
    """The links of the chain that an Ogg file is, most often a single one.

    Each link gives its first audio stream; a link without audio is left out.
    """
    links = [link for link in _links(file) if link.audio_serial]
    trailing = _describe_rest(file, links[-1].end) if links else ""
    streams = [_stream(file, link, len(links) == 1, trailing if link is links[-1] else "") for link in links]
    return streams or [Stream()]


def _describe_rest(file: OpenFile, end: int) -> str:
    """A warning about bytes after the last link, which are not Ogg and are not read."""
    start = skip_tags(file, end)
    head, size = file.peek(_STRAY, start), file.size - start
    if size < _STRAY or head.startswith(_MAGIC) or not any(head):
        return ""
    return f"{size} bytes after its last page are not Ogg"


def _stream(file: OpenFile, link: _Link, is_only: bool, trailing: str) -> Stream:
    last, problems = link.last[link.audio_serial], [trailing] if trailing else []
    if not (last.flags & _LAST_PAGE and last.is_whole):
        problems.append("it breaks off before its last page")
    if link.orphaned:
        problems.append(f"{link.orphaned} bytes are of a stream whose beginning is missing")
    damage = ", ".join(problems)
    if link.first[link.audio_serial].content.startswith(_FLAC):
        return Stream(_flac_file(file, link), states_length=False, damage=damage)
    is_short = _is_understated(file, last, link.highest[link.audio_serial])
    notes = ["its last page states fewer samples than are there; all are read"] if is_short else []
    is_whole = is_only and len(link.first) == 1 and not is_short
    pieces = None if is_whole else _ogg_file(file, link, is_short)
    return Stream(pieces, states_length=not is_short, notes=notes, damage=damage)


def _is_understated(file: OpenFile, last: _Page, highest: _Page) -> bool:
    """Whether the last page of a link's sound states fewer samples than an earlier one, that is undamaged."""
    if last.granule >= highest.granule or (last.granule < 0 and not last.flags & _LAST_PAGE):
        return False
    page = file.peek(highest.end - highest.start, highest.start)
    return _with_granule(page, highest.granule) == page


def _ogg_file(file: OpenFile, link: _Link, is_short: bool) -> Iterator[bytes]:
    """The sound of a link, with enough samples stated in its last page."""
    for page in _audio_pages(file, link):
        data = file.peek(page.end - page.start, page.start)
        if is_short and page == link.last[link.audio_serial]:
            data = _with_granule(data, link.highest[link.audio_serial].granule + _ENOUGH)
        yield data


def _flac_file(file: OpenFile, link: _Link) -> Iterator[bytes]:
    """A FLAC stream as a FLAC file that states no length: such a file is the stream's packets in sequence."""
    for page in _audio_pages(file, link):
        data = file.peek(page.end - page.body, page.body)
        yield with_total(data[_FLAC_MAPPING:], 0) if page == link.first[link.audio_serial] else data


def _with_granule(page: bytes, granule: int) -> bytes:
    """A page that states another number of samples, and has the right checksum."""
    head = page[:6] + granule.to_bytes(8, "little", signed=True) + page[14:22]
    checksum = crc(head + bytes(4) + page[26:], 0x1_04C1_1DB7, 32)
    return head + checksum.to_bytes(4, "little") + page[26:]


def _audio_pages(file: OpenFile, link: _Link) -> Iterator[_Page]:
    within = takewhile(lambda page: page.start < link.end, _pages(file, link.start))
    return (page for page in within if page.serial == link.audio_serial)


def _links(file: OpenFile) -> Iterator[_Link]:
    link = _Link(0)
    for page in _pages(file, 0):
        # The first pages of all interleaved streams come before any other.
        if page.flags & _FIRST_PAGE and link.has_data:
            yield link
            link = _Link(page.start)
        link.add(page)
    yield link


def _pages(file: OpenFile, start: int) -> Iterator[_Page]:
    """The pages from byte `start` on. After damage it resumes at the next page it finds."""
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
        granule = int.from_bytes(head[6:14], "little", signed=True)
        content = head[body : body + 8]
        yield _Page(
            place, place + body, min(end, limit), head[5], granule, head[14:18], content, end <= limit
        )
        place = following
