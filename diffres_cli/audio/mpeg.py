"""MP3 states its length in its first frame, a Xing header, or not at all.

Where it does not, libmpg123 guesses from the first frame's bit rate and the file's size, and libsndfile
reads no further than that. Of a recording that begins loud and then falls silent, encoded at a varying
bit rate, most would be lost. Such a file is therefore copied behind a Xing header that promises more
than it can hold, and so read to its end.
"""

from __future__ import annotations

import os
import struct

from diffres_cli.audio.sources import OpenFile, spool

_SMALLEST_FRAME = 24  # bytes: 8 kbit/s at 24 kHz


def states_length(file: OpenFile) -> bool:
    """Whether an MP3 has a Xing header ("Info" where the bit rate is constant)."""
    first_frame = file.peek(512, file.behind_id3())
    return b"Xing" in first_frame or b"Info" in first_frame


def with_length(file: OpenFile) -> OpenFile:
    """A copy of an MP3 that has no Xing header, with one that promises enough. `file` itself is not closed.

    Raises:
        AudioError: the temporary folder has no room for the copy.
    """
    start = file.behind_id3()
    most = os.fstat(file.stream.fileno()).st_size // _SMALLEST_FRAME + 1
    lead = _xing_frame(file.peek(4, start), most)
    file.stream.seek(start)
    return spool(file.stream, file.name, lead)


def _xing_frame(header: bytes, frames: int) -> bytes:
    """A frame of silence in the format that `header`, the 4 bytes of another, states, with a Xing header.

    >>> len(_xing_frame(bytes.fromhex("fffb9064"), 1000))  # 44.1 kHz stereo, at 128 kbit/s
    417
    """
    version, mono = header[1] >> 3 & 3, header[3] >> 6 == 3
    rate = (44100, 48000, 32000)[header[2] >> 2 & 3] >> {3: 0, 2: 1, 0: 2}[version]
    if version == 3:  # MPEG 1, here at 128 kbit/s
        bit_rate, length, side = 9, 144 * 128_000 // rate, 17 if mono else 32
    else:  # MPEG 2 and 2.5, here at 64
        bit_rate, length, side = 8, 72 * 64_000 // rate, 9 if mono else 17
    no_checksum = header[1] | 1
    start = bytes([0xFF, no_checksum, bit_rate << 4 | header[2] & 0x0C, header[3]])
    return (start + bytes(side) + b"Xing" + struct.pack(">II", 1, frames)).ljust(length, b"\0")
