"""How long a header says a recording is, told apart from what is there and from a guess."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from diffres_cli.audio.sources import OpenFile

if TYPE_CHECKING:
    import soundfile

# libsndfile corrects a length that the file does not bear out, and keeps a note of it.
_CORRECTED_BYTES = re.compile(r"^\s*(?:data|SSND|Data Size|riff)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)
_CORRECTED_FRAMES = re.compile(r"'ds64' chunk of (\d+)")
_NO_LENGTH = 2**62  # frames; libsndfile's figure for a FLAC header without one is larger


def promised_frames(sound: soundfile.SoundFile, file: OpenFile) -> int | None:
    """Samples a channel that the header promises, None where it makes no promise."""
    frames = int(sound.frames)
    if sound.format == "MP3":
        return frames if _has_xing_header(file) else None  # libsndfile's guess from the file's size
    if frames > _NO_LENGTH:
        return None
    if match := _CORRECTED_FRAMES.search(sound.extra_info):
        return int(match[1])
    if match := _CORRECTED_BYTES.search(sound.extra_info):
        claimed, found = int(match[1]), int(match[2])
        return None if _means_unknown(claimed) else max(frames, frames * claimed // max(found, 1))
    return frames


def _means_unknown(size: int) -> bool:
    """Whether a size in bytes is a stand-in: a program that writes to a pipe cannot fill it in later.

    ffmpeg writes 0xFFFFFFFF, sox 0x7FFFF000, arecord 0x80000000, others the same less their header.

    >>> _means_unknown(0xFFFFFFFF), _means_unknown(0x7FFFF024), _means_unknown(44100)
    (True, True, False)
    """
    return 0x7FFF_0000 <= size <= 0x8000_0000 or size >= 0xFFFF_0000


def _has_xing_header(file: OpenFile) -> bool:
    """Whether an MP3 states its length: in its first frame, behind the ID3v2 tag."""
    position = file.stream.tell()
    head = file.head(10)
    has_tag = head.startswith(b"ID3")  # 10 bytes and a size of four times seven bits
    file.stream.seek(10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]) if has_tag else 0)
    first_frame = file.stream.read(1024)
    file.stream.seek(position)
    return b"Xing" in first_frame or b"Info" in first_frame
