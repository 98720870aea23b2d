"""Where a FLAC file goes on behind a damaged stretch: every frame says which samples it holds."""

from __future__ import annotations

import re

from diffres_cli.audio.sources import OpenFile

_BEHIND, _AHEAD = 2**17, 2**20  # bytes searched around the place that libFLAC had read to
_SYNC = re.compile(rb"\xff[\xf8\xf9]")
_LONGEST_HEADER = 16
# Bytes that follow the frame's number where its block size or sample rate is not one of the common ones.
_BLOCK_SIZE_BYTES = {6: 1, 7: 2}
_RATE_BYTES = {12: 1, 13: 2, 14: 2}


def frames_ahead(file: OpenFile, after: int) -> list[int]:
    """The first samples of frames that begin behind sample `after`, in order, as far as damage may reach.

    Looked for around where the stream stands. Where noise passes for a frame, as it may 1 time in 256,
    its number is anything, so that it hardly ever comes first.
    """
    block_size = int.from_bytes(file.peek(2, file.behind_id3() + 8), "big")  # the smallest, in STREAMINFO
    data = file.peek(_BEHIND + _AHEAD, max(0, file.stream.tell() - _BEHIND))
    headers = (data[match.start() : match.start() + _LONGEST_HEADER] for match in _SYNC.finditer(data))
    numbers = (_first_sample(header.ljust(_LONGEST_HEADER, b"\0"), block_size) for header in headers)
    return sorted({number for number in numbers if number is not None and number > after})


def _first_sample(header: bytes, block_size: int) -> int | None:
    """The number of a frame's first sample, None where the checksum says that this is not a header.

    >>> _first_sample(bytes.fromhex("fff8c9a8c388c94e"), block_size=4096)  # frame 200
    819200
    >>> _first_sample(bytes.fromhex("fff8c9a8c388ca4e"), block_size=4096) is None
    True
    """
    number, end = _coded_number(header, 4)
    end += _BLOCK_SIZE_BYTES.get(header[2] >> 4, 0) + _RATE_BYTES.get(header[2] & 15, 0)
    if _crc8(header[:end]) != header[end]:
        return None
    counts_samples = header[1] & 1  # else it counts frames, all of one size
    return number if counts_samples else number * block_size


def _coded_number(data: bytes, start: int) -> tuple[int, int]:
    """A number in the manner of UTF-8, up to 7 bytes, and where it ends."""
    length = 8 - (data[start] ^ 0xFF).bit_length()  # leading ones
    if length < 2:
        return data[start], start + 1
    number = data[start] & (0x7F >> length)
    for byte in data[start + 1 : start + length]:
        number = number << 6 | byte & 0x3F
    return number, start + length


def _crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc << 1 ^ (0x107 if crc & 0x80 else 0)
    return crc
