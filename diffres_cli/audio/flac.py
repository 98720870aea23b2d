"""FLAC: each frame states its samples, which shows where a damaged file resumes and where a file ends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from diffres_cli.audio.decoder import Stream
from diffres_cli.audio.sources import OpenFile
from diffres_cli.audio.tags import end_before_tags, skip_id3, skip_tags

_BEHIND, _AHEAD = 2**17, 2**20  # bytes searched around the place that libFLAC had read to
_TAIL = 2**17  # bytes at the end of a file in which the last frame begins
_SYNC = re.compile(rb"\xff[\xf8\xf9](?!..\xff)", re.DOTALL)  # no frame's number begins with ff
_MAX_HEADER = 16
_SMALLEST_FRAME = 10  # bytes, of silence in one channel
_MAX_BLOCK = 65_535  # samples
# Bytes that follow the frame's number where its block size or sample rate is not one of the common ones.
_BLOCK_SIZE_BYTES = {6: 1, 7: 2}
_RATE_BYTES = {12: 1, 13: 2, 14: 2}
# STREAMINFO, from the file's first four bytes on: block sizes, then rate, channels, depth and total.
_BLOCK_SIZES, _RATE, _TOTAL, _HEAD = 8, 18, 21, 26
_TOTAL_BITS = 2**36 - 1
_CRC_8, _CRC_16 = (0x107, 8), (0x18005, 16)  # of a frame's header; of a whole frame, with which it gives 0
_MARK = b"fLaC\0\0\0\x22"  # the first four bytes, and the head of STREAMINFO


class _Head(NamedTuple):
    """What STREAMINFO states."""

    block_size: int  # samples: of the smallest block, of the largest
    largest_block: int
    rate: int  # Hz
    total: int  # samples, 0 if it does not state them


class _Frame(NamedTuple):
    place: int  # byte
    first: int  # sample
    samples: int

    @property
    def end(self) -> int:
        return self.first + self.samples


def flac_streams(file: OpenFile) -> list[Stream]:
    """The FLAC streams in a file, most often a single one.

    One whose frames are numbered beyond the number of samples it states is copied with the number there are.
    """
    start, end = skip_id3(file), end_before_tags(file)
    total = _read_head(file, start).total
    frames = _tail(file, start, end)[1]
    if total and frames and frames[-1].end == total:
        return [Stream()]  # as nearly all are: no need to look for more
    starts = [start, *file.find(_MARK, start + 1)]
    return [_stream(file, *ends, is_only=len(starts) == 1) for ends in pairwise([*starts, end])]


def _stream(file: OpenFile, start: int, end: int, is_only: bool) -> Stream:
    head = _read_head(file, start)
    found = _end_by_last_frame(file, start, end) if head.total else 0
    if found <= head.total:
        return Stream(None if is_only else file.pieces(start, skip_tags(file, end)))
    stated, there = head.total / head.rate, found / head.rate
    note = f"the header states {stated:.2f} s, but {there:.2f} s are there; all are read"
    return Stream(_copy(file, start, end, found), notes=[note])


def _copy(file: OpenFile, start: int, end: int, total: int) -> Iterator[bytes]:
    yield with_total(file.peek(_HEAD, start), total)
    yield from file.pieces(start + _HEAD, end)


def with_total(head: bytes, total: int) -> bytes:
    """The beginning of a FLAC file, with another number of samples stated; 0 for unknown."""
    before, place = head[:_TOTAL], slice(_TOTAL, _HEAD)
    number = int.from_bytes(head[place], "big") & ~_TOTAL_BITS | total
    return before + number.to_bytes(_HEAD - _TOTAL, "big") + head[_HEAD:]


def is_whole(file: OpenFile, frames: int) -> bool:
    """Whether a file is one stream, whose last frame is whole and ends at sample `frames`, and tags."""
    start = skip_id3(file)
    data, frames_there = _tail(file, start, end_before_tags(file))
    last = next((frame for frame in frames_there if frame.end == frames), None)
    is_sound = last is not None and crc(data[last.place :], *_CRC_16) == 0
    return is_sound and next(file.find(_MARK, start + 1), None) is None


def _read_head(file: OpenFile, start: int) -> _Head:
    """The head of the stream that begins at byte `start`."""
    smallest, largest = file.number(2, start + _BLOCK_SIZES), file.number(2, start + _BLOCK_SIZES + 2)
    rate, total = file.number(3, start + _RATE) >> 4, file.number(5, start + _TOTAL) & _TOTAL_BITS
    return _Head(smallest, largest or _MAX_BLOCK, rate or 1, total)


def _tail(file: OpenFile, start: int, end: int) -> tuple[bytes, list[_Frame]]:
    """The last bytes of the stream from byte `start` up to `end`, and the frames that begin in them."""
    place = max(start, end - _TAIL)
    data = file.peek(end - place, place)
    return data, list(_frames(data, _read_head(file, start).block_size))


def _end_by_last_frame(file: OpenFile, start: int, end: int) -> int:
    """The last sample of a stream by the numbers of its frames, and one; 0 where no frame is whole."""
    data, frames = _tail(file, start, end)
    starts = [frame.place for frame in frames]
    for i, frame in reversed(list(enumerate(frames))):
        if any(crc(data[frame.place : stop], *_CRC_16) == 0 for stop in (*starts[i + 1 : i + 3], len(data))):
            # One that is cut short may follow: it shows how much is missing.
            return next((after.end for after in frames[i + 1 :] if after.first == frame.end), frame.end)
    return 0


def find_frames_after(file: OpenFile, after: int) -> list[int]:
    """The first samples of frames that begin after sample `after`, in order, as far as damage may reach.

    Looked for around where the stream stands. Where noise passes for a frame, as it may 1 time in 256,
    its number is anything, so that it hardly ever comes first. A number so large that the frames before
    it have no room in the bytes before it is left out: else a few bytes would make hours of silence.
    """
    head = _read_head(file, skip_id3(file))
    data = file.peek(_BEHIND + _AHEAD, max(0, file.stream.tell() - _BEHIND))
    frames = list(_frames(data, head.block_size))
    good = max((frame.place for frame in frames if frame.end == after), default=0)

    def has_room(frame: _Frame) -> bool:
        return frame.first - after <= ((frame.place - good) // _SMALLEST_FRAME + 1) * head.largest_block

    return sorted({frame.first for frame in frames if frame.first > after and has_room(frame)})


def _frames(data: bytes, block_size: int) -> Iterator[_Frame]:
    """What the checksum says is a frame's header; `block_size`: of a file's smallest blocks, in samples."""
    for match in _SYNC.finditer(data):
        header = data[match.start() : match.start() + _MAX_HEADER].ljust(_MAX_HEADER, b"\0")
        if (numbers := _samples(header, block_size)) is not None:
            yield _Frame(match.start(), *numbers)


def _samples(header: bytes, block_size: int) -> tuple[int, int] | None:
    """A frame's first sample and number of samples, None where the checksum says that this is not a header.

    >>> _samples(bytes.fromhex("fff8c9a8c388c94e"), block_size=4096)  # frame 200
    (819200, 4096)
    >>> _samples(bytes.fromhex("fff8c9a8c388ca4e"), block_size=4096) is None
    True
    """
    number, end = _coded_number(header, 4)
    code = header[2] >> 4
    size_bytes = _BLOCK_SIZE_BYTES.get(code, 0)
    samples = _block_samples(code, header[end : end + size_bytes])
    end += size_bytes + _RATE_BYTES.get(header[2] & 15, 0)
    if crc(header[:end], *_CRC_8) != header[end]:
        return None
    counts_samples = header[1] & 1  # else it counts frames, all of one size
    return (number if counts_samples else number * block_size), samples


def _block_samples(code: int, extra: bytes) -> int:
    if extra:
        return int.from_bytes(extra, "big") + 1
    return 192 if code < 2 else 576 << code - 2 if code < 6 else 256 << code - 8


def _coded_number(data: bytes, start: int) -> tuple[int, int]:
    """A number in the manner of UTF-8, up to 7 bytes, and where it ends."""
    length = 8 - (data[start] ^ 0xFF).bit_length()  # leading ones
    if length < 2:
        return data[start], start + 1
    number = data[start] & (0x7F >> length)
    for byte in data[start + 1 : start + length]:
        number = number << 6 | byte & 0x3F
    return number, start + length


def crc(data: bytes, polynomial: int, bits: int) -> int:
    """A checksum of `bits` bits, the high bit first, by a polynomial with its leading 1."""
    remainder = 0
    for byte in data:
        remainder ^= byte << bits - 8
        for _ in range(8):
            remainder <<= 1
            if remainder >> bits:
                remainder ^= polynomial
    return remainder
