"""Where the samples are in WAV, RF64, W64, AIFF, CAF and AU, whatever size the header states.

A program that was killed, that wrote to a pipe or that counts in 32 bits leaves a size of 0, one that means
unknown, or one that is too small. The stated size is believed where chunks, tags or a little padding follow
the samples. Where anything else follows, the samples reach to the end of the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from diffres_cli.audio.decoder import Stream
from diffres_cli.audio.sources import OpenFile
from diffres_cli.audio.tags import W64_RIFF, another_recording, begins_recording

_MAX_CHUNKS = 10_000
_STRAY = 1024  # bytes of any kind that may follow a recording and are no samples
_PADDING = 2**16  # bytes of zeros that may: some recorders fill the last block of a card
_OFF_BY = 32  # bytes by which a size may be wrong, and a chunk after the samples still be found
_KEPT = 2**12  # bytes; a longer chunk does not describe the samples
_WRAP = 2**32
# Chunks and tags that many programs append: known even where they are cut short.
_CHUNKS = b"LIST list id3 bext iXML cue smpl PEAK _PMX JUNK PAD FLLR ANNO APPL info"
_APPENDED = (*(name.ljust(4) for name in _CHUNKS.split()), b"ID3", b"TAG", b"APETAGEX", b"LYRICS")
_W64_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")


class _Layout(NamedTuple):
    """How a family of formats lays out its chunks; in bytes."""

    order: Literal["little", "big"]
    header: int = 12  # before the first chunk
    id: int = 4
    size: int = 4
    align: int = 2  # 0: there is one header, and no chunks
    samples: bytes = b"data"  # the id of the chunk that holds them
    counted: int = 0  # of a chunk's own head, in the size it states
    skipped: int = 0  # between that head and the samples


_RIFF, _RIFX = _Layout("little"), _Layout("big")
_AIFF = _Layout("big", samples=b"SSND", skipped=8)
_CAF = _Layout("big", header=8, size=8, align=1, skipped=4)
_W64 = _Layout("little", header=40, id=16, size=8, align=8, samples=b"data" + _W64_TAIL, counted=24)
_AU = {b".snd": _Layout("big", align=0), b"dns.": _Layout("little", align=0)}


class SampleBytes(NamedTuple):
    """Where the samples of a recording are in its file.

    Attributes:
        start, end: their first byte, and the first after them.
        stated: the number of bytes in the header, None if it states that this is unknown.
        lead: the header without chunks that do not describe the samples; the size in it is 0.
        size_offset: offset of the size in `lead`; `layout` gives its format.
        trailing_note: what follows and holds samples, too, "" for nothing.
    """

    start: int
    end: int
    stated: int | None
    lead: bytes
    size_offset: int
    layout: _Layout
    trailing_note: str = ""

    @property
    def length(self) -> int:
        """How many bytes of samples there are."""
        return self.end - self.start

    @property
    def is_understated(self) -> bool:
        """Whether the header states a size, and one far too small. A size of 0 was never filled in."""
        return bool(self.stated) and self.length > (self.stated or 0) + _OFF_BY


def find_samples(file: OpenFile) -> SampleBytes | None:
    """Where the samples of a file are, None in a format without chunks or where no chunk holds samples.

    Raises:
        AudioError: the file cannot be read.
    """
    head = file.peek(40)
    if layout := _AU.get(head[:4]):
        return _find_in_au(file, head, layout)
    found = _layout(head)
    return _find_in_chunks(file, head, found) if found else None


def with_new_header(file: OpenFile, found: SampleBytes, length: int) -> Stream:
    """The first `length` bytes of the samples, after a header that states that length."""

    def pieces() -> Iterator[bytes]:
        layout, size_offset = found.layout, found.size_offset
        stated = min(length + layout.skipped + layout.counted, 256**layout.size - 1)
        yield found.lead[:size_offset] + stated.to_bytes(layout.size, layout.order)
        yield found.lead[size_offset + layout.size :]
        yield from file.pieces(found.start, found.start + length)

    return Stream(pieces())


def _layout(head: bytes) -> _Layout | None:
    magic, form = head[:4], head[8:12]
    if form == b"WAVE" and magic in (b"RIFF", b"RF64", b"BW64", b"RIFX"):
        return _RIFX if magic == b"RIFX" else _RIFF
    if magic == b"FORM" and form in (b"AIFF", b"AIFC"):
        return _AIFF
    if head.startswith(W64_RIFF):
        return _W64
    return _CAF if magic == b"caff" else None


def _find_in_au(file: OpenFile, head: bytes, layout: _Layout) -> SampleBytes | None:
    start, size = file.number(4, 4, layout.order), file.number(4, 8, layout.order)
    if not 24 <= start <= file.size:
        return None
    lead = head[:4] + (24).to_bytes(4, layout.order) + bytes(4) + head[12:24]
    return _measure(file, SampleBytes(start, start + size, size, lead, 8, layout))


def _find_in_chunks(file: OpenFile, head: bytes, layout: _Layout) -> SampleBytes | None:
    lead, long_size = head[: layout.header], None
    if head[:4] in (b"RF64", b"BW64"):
        lead = b"RIFF" + lead[4:]
    for id_, start, size in _chunks(file, layout, layout.header):
        if id_ == layout.samples:
            if long_size is not None and (size == _WRAP - 1 or start + size > file.size):
                size = long_size
            skipped = layout.skipped
            if layout is _AIFF:  # states how far after its head the samples begin
                skipped += min(file.number(4, start), max(0, size - skipped))
            size_offset = len(lead) + layout.id
            lead += id_ + bytes(layout.size + layout.skipped)
            first, stated = start + skipped, max(0, size - skipped)
            return _measure(file, SampleBytes(first, first + stated, stated, lead, size_offset, layout))
        if id_ == b"ds64":
            long_size = file.number(8, start + 8, "little")
        elif size <= _KEPT:
            stated_size = (size + layout.counted).to_bytes(layout.size, layout.order)
            lead += id_ + stated_size + file.peek(size, start) + bytes(-size % layout.align)
    return None


def _chunks(file: OpenFile, layout: _Layout, position: int) -> Iterator[tuple[bytes, int, int]]:
    """(id, first byte of its content, size) of the chunks from `position` on; the last may be cut short."""
    for _ in range(_MAX_CHUNKS if layout.align else 0):
        id_, size = _read_head(file, layout, position)
        if not id_ or size < 0:
            return
        start = position + layout.id + layout.size
        yield id_, start, size
        if start + size >= file.size:
            return
        position = _padded_end(file, layout, start + size, size)


def _read_head(file: OpenFile, layout: _Layout, position: int) -> tuple[bytes, int]:
    """(id, size) of the chunk at a position, the id empty where there is none."""
    head = file.peek(layout.id + layout.size, position)
    is_chunk = len(head) == layout.id + layout.size and all(0x20 <= byte < 0x7F for byte in head[:4])
    size = int.from_bytes(head[layout.id :], layout.order) - layout.counted
    return head[: layout.id] if is_chunk else b"", size


def _padded_end(file: OpenFile, layout: _Layout, end: int, size: int) -> int:
    """Where the next chunk begins: some programs leave the padding out."""
    padded = end + (-size % layout.align if layout.align else 0)
    for place in (padded, end):
        id_, length = _read_head(file, layout, place)
        if id_ == layout.samples or (id_ and place + length < file.size):
            return place
    return padded


def _measure(file: OpenFile, claim: SampleBytes) -> SampleBytes:
    """Check what the header claims against the file: where the samples really end."""
    start, size = claim.start, claim.length
    wraps = range(0, file.size - start - size + 1, _WRAP) if claim.layout.size == 4 else (0,)
    for wrapped in wraps:
        end = start + size + wrapped
        note = _what_follows(file, claim, end) if end < file.size else None
        if note is not None or end == file.size:
            return claim._replace(end=end, trailing_note=note or "")
    near = _known_near(file, start + size) if size and claim.layout.align else None
    if near is not None:
        return claim._replace(end=max(start, near), stated=max(0, near - start))
    unknown = means_unknown(size) if claim.layout.size == 4 and size < _WRAP else size >= 2**62
    return claim._replace(end=max(start, file.size), stated=None if unknown else size)


def _what_follows(file: OpenFile, claim: SampleBytes, end: int) -> str | None:
    """The `trailing_note` if the samples end at `end`; None where what follows can only be samples."""
    if claim.stated and _is_stray(file, end):
        return ""
    position = reached = _padded_end(file, claim.layout, end, end - claim.start)
    head, note = file.peek(8, position), ""
    if begins_recording(head):
        return another_recording(position)
    known = head.startswith(_APPENDED)
    for id_, start, size in _chunks(file, claim.layout, position):
        if begins_recording(id_):
            return another_recording(reached)
        if id_ == claim.layout.samples and size:
            note = "it holds a second chunk of samples, which is not read"
        known = known or id_.startswith(_APPENDED)
        if start + size <= file.size:
            reached = start + size
    return note if known or (reached > position and _is_stray(file, reached)) else None


def _known_near(file: OpenFile, end: int) -> int | None:
    """Where a common chunk begins near `end`, None for nowhere: some sizes are off by a few bytes."""
    first = max(0, end - _OFF_BY)
    if first >= file.size:
        return None
    window = file.peek(2 * _OFF_BY, first)
    places = [first + window.index(name) for name in _APPENDED if name in window]
    return min(places, key=lambda place: abs(place - end), default=None)


def _is_stray(file: OpenFile, position: int) -> bool:
    rest = file.size - position
    return rest <= _STRAY or (rest <= _PADDING and not any(file.peek(rest, position)))


def means_unknown(size: int) -> bool:
    """Whether a size in bytes is a stand-in: a program that writes to a pipe cannot fill it in later.

    ffmpeg writes 0xFFFFFFFF, sox 0x7FFFF000, arecord 0x80000000, others the same less their header.

    >>> means_unknown(0xFFFFFFFF), means_unknown(0x7FFFF024), means_unknown(44100)
    (True, True, False)
    """
    return 0x7FFF_0000 <= size <= 0x8000_0000 or size >= 0xFFFF_0000
