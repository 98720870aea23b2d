"""MPEG audio (MP3, MP2): the header of a frame, and the frame that states a stream's length.

A stream may begin with a frame without sound that states how many follow: Xing ("Info" where the bit rate is
constant) or VBRI. libsndfile reads so many and no more, and where it finds no number, as many as
the file's size and the first frame's bit rate make likely.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import NamedTuple

_MPEG1 = 3  # of the versions 3 (1), 2 (2) and 0 (2.5)
_RATES = (44100, 48000, 32000)  # Hz, of MPEG 1
_RATE_SHIFT = {3: 0, 2: 1, 0: 2}
_LAYER_1 = (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448)  # kbit/s
_LAYER_2 = (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384)
_LAYER_3 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_LOW = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_LOW_LAYER_1 = (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256)
_BIT_RATES = {True: (_LAYER_1, _LAYER_2, _LAYER_3), False: (_LOW_LAYER_1, _LOW, _LOW)}  # of MPEG 1, of others
_VBRI_OFFSET, _VBRI_COUNT = 36, 14  # bytes: from the frame's start, and from there to its number of frames
_HAS_COUNT = 1  # flag of a Xing header


class Header(NamedTuple):
    """The fields in the first 4 bytes of a frame."""

    layer: int
    is_mpeg1: bool
    is_mono: bool
    sample_rate: int  # Hz
    bit_rate: int  # kbit/s
    length: int  # bytes
    samples: int

    @property
    def kind(self) -> tuple[int, ...]:
        """What is the same for all frames of a stream. Of layers 1 and 2 that includes the bit rate:
        libsndfile estimates from it how long they are."""
        rate = 0 if self.layer == 3 else self.bit_rate
        return self.layer, self.is_mpeg1, self.is_mono, self.sample_rate, rate

    @property
    def side(self) -> int:
        """Bytes of side information in layer 3, after the header and its checksum. Xing follows it."""
        if self.is_mpeg1:
            return 17 if self.is_mono else 32
        return 9 if self.is_mono else 17


def is_frame(data: bytes) -> bool:
    """Whether `data` begins as a frame does, be it of a free format, and not as one of AAC."""
    return len(data) > 1 and data[0] == 0xFF and data[1] >= 0xE0 and data[1] & 6 != 0


def read_header(data: bytes) -> Header | None:
    """The header that `data` begins with; None where that is none, or one without a bit rate ("free format").

    >>> read_header(bytes.fromhex("fffb9064")).length  # 44.1 kHz stereo, 128 kbit/s
    417
    >>> read_header(b"ID3") is None
    True
    """
    if len(data) < 4 or data[0] != 0xFF:
        return None
    return _header(data[1], data[2], data[3] >> 6)


def header_of(frame: bytes) -> Header:
    """The header of what is known to be a frame."""
    header = read_header(frame)
    assert header is not None
    return header


@lru_cache(maxsize=4096)
def _header(second: int, third: int, mode: int) -> Header | None:
    version, layer = second >> 3 & 3, 4 - (second >> 1 & 3)
    index, rate_index, padding = third >> 4, third >> 2 & 3, third >> 1 & 1
    if second < 0xE0 or version == 1 or layer == 4 or index in (0, 15) or rate_index == 3:
        return None
    is_mpeg1 = version == _MPEG1
    rate = _RATES[rate_index] >> _RATE_SHIFT[version]
    bit_rate = _BIT_RATES[is_mpeg1][layer - 1][index]
    samples = 384 if layer == 1 else 1152 if layer == 2 or is_mpeg1 else 576
    slot = 4 if layer == 1 else 1  # bytes
    length = (samples // 8 * bit_rate * 1000 // rate // slot + padding) * slot
    return Header(layer, is_mpeg1, mode == 3, rate, bit_rate, length, samples)


class Counter(NamedTuple):
    """A header that counts frames, in a frame without sound."""

    is_xing: bool  # the only one that libsndfile knows
    frames: int = 0  # that follow, 0 if it does not state them
    place: int = 0  # offset of that number in the frame, 0 if there is none


def read_counter(frame: bytes) -> Counter | None:
    """The Xing or VBRI header that a frame is, None for a frame of sound."""
    header = read_header(frame)
    place = 4 + header.side if header else 0
    if header and header.layer == 3 and frame[place : place + 4] in (b"Xing", b"Info"):
        if not int.from_bytes(frame[place + 4 : place + 8], "big") & _HAS_COUNT:
            return Counter(is_xing=True)
        return Counter(True, int.from_bytes(frame[place + 8 : place + 12], "big"), place + 8)
    if frame[_VBRI_OFFSET : _VBRI_OFFSET + 4] == b"VBRI":
        place = _VBRI_OFFSET + _VBRI_COUNT
        return Counter(False, int.from_bytes(frame[place : place + 4], "big"), place)
    return None


def with_frames(frame: bytes, count: int) -> bytes:
    """A frame in the format of `frame` that states `count` frames.

    A Xing header keeps its other fields, such as how much of the first frame and of the last is padding.

    >>> len(with_frames(bytes.fromhex("fffb9064").ljust(417, b"\\0"), 1000))
    417
    """
    counter = read_counter(frame)
    if counter and counter.is_xing and counter.place:
        return frame[: counter.place] + struct.pack(">I", count) + frame[counter.place + 4 :]
    # Of a bit rate that has room for it: 128 kbit/s in MPEG 1, 64 in MPEG 2 and 2.5. No checksum, no padding.
    rate = 9 if header_of(frame).is_mpeg1 else 8
    start = bytes([0xFF, frame[1] | 1, rate << 4 | frame[2] & 0x0C, frame[3]])
    own = header_of(start)
    lead = start + bytes(own.side)
    return (lead + b"Xing" + struct.pack(">II", _HAS_COUNT, count)).ljust(own.length, b"\0")


def muted_frame(frame: bytes) -> tuple[bytes, int, int]:
    """A frame of layer 3 that is silent, and still holds what later ones need of it.

    Returns:
        (frame, needed, held): how many bytes it needed of earlier frames, and has for itself and later ones.
    """
    header, has_checksum = header_of(frame), not frame[1] & 1
    start = 4 + 2 * has_checksum
    end = start + header.side
    needed = frame[start] << 1 | frame[start + 1] >> 7 if header.is_mpeg1 else frame[start]
    return frame[:start] + bytes(header.side) + frame[end:], needed, header.length - end


def silent_frame(frame: bytes) -> bytes:
    """A frame of silence in the format and of the length of `frame`."""
    return bytes([0xFF, frame[1] | 1, *frame[2:4]]).ljust(header_of(frame).length, b"\0")
