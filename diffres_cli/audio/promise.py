"""How long a header says a recording is, told apart from what is there and from a guess."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import soundfile

# libsndfile corrects a length that the file does not bear out, and keeps a note of it.
_CORRECTED_BYTES = re.compile(r"^\s*(?:data|SSND|Data Size|riff)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)
_CORRECTED_FRAMES = re.compile(r"'ds64' chunk of (\d+)")
_NO_LENGTH = 2**62  # frames; libsndfile's figure for a FLAC header without one is larger


def promised_frames(sound: soundfile.SoundFile) -> int | None:
    """Samples a channel that the header promises, None where it makes no promise. Not for MP3."""
    frames = int(sound.frames)
    if frames > _NO_LENGTH:
        return None
    if match := _CORRECTED_FRAMES.search(sound.extra_info):
        return int(match[1])
    if match := _CORRECTED_BYTES.search(sound.extra_info):
        claimed, found = int(match[1]), int(match[2])
        return None if means_unknown(claimed) else max(frames, frames * claimed // max(found, 1))
    return frames


def means_unknown(size: int) -> bool:
    """Whether a size in bytes is a stand-in: a program that writes to a pipe cannot fill it in later.

    ffmpeg writes 0xFFFFFFFF, sox 0x7FFFF000, arecord 0x80000000, others the same less their header.

    >>> means_unknown(0xFFFFFFFF), means_unknown(0x7FFFF024), means_unknown(44100)
    (True, True, False)
    """
    return 0x7FFF_0000 <= size <= 0x8000_0000 or size >= 0xFFFF_0000
