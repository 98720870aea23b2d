"""The formats libsndfile reads: WAV, FLAC, OGG, Opus, MP3, AIFF, AU, CAF and their relatives."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import numpy as np

from diffres_cli.audio.decoder import Samples
from diffres_cli.audio.sources import OpenFile

if TYPE_CHECKING:
    import soundfile

# Formats that state their length in bytes; libsndfile corrects a false one and notes it in its log.
_CORRECTED = re.compile(r"^\s*(?:data|SSND|Data Size|riff)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)
_CORRECTED_RF64 = re.compile(r"'ds64' chunk of (\d+)")
_UNKNOWN_FRAMES = 2**62
_stderr_lock = threading.Lock()


class UnknownFormatError(Exception):
    """libsndfile cannot make sense of the file; `str(error)` is its own reason."""

    def __init__(self, reason: str, recognised: bool) -> None:
        super().__init__(reason)
        self.recognised = recognised


class SndfileDecoder:
    """A `Decoder` on libsndfile. It reads `file` and leaves closing it to the caller.

    Raises:
        UnknownFormatError: libsndfile does not know the format, or the header is damaged.
    """

    def __init__(self, file: OpenFile) -> None:
        import soundfile

        self._error = soundfile.LibsndfileError
        try:
            # The descriptor rather than the name: any bytes make a name, and it is the file we checked.
            with _quiet_stderr():
                self._sound = soundfile.SoundFile(file.stream.fileno(), closefd=False)
        except soundfile.LibsndfileError as error:
            reason = error.error_string.strip(" .")
            raise UnknownFormatError(reason, recognised="not recognised" not in reason) from error
        self._file = file
        self._mpeg = self._sound.format == "MP3"
        self.sample_rate: int = self._sound.samplerate
        self.channels: int = self._sound.channels
        self.frames = _xing_frames(self._sound, file) if self._mpeg else _promised_frames(self._sound)
        self.complaint = ""
        self._ended = False

    def read(self, frames: int) -> Samples:
        """See `Decoder.read`. What was decoded before an error is returned; the error ends the stream."""
        # On an error soundfile does not say how much it had decoded: the NaN that are left do.
        block = np.full((0 if self._ended else frames, self.channels), np.nan, np.float32)
        if self._ended:
            return block
        try:
            with _quiet_stderr() if self._mpeg else nullcontext():
                block = self._sound.read(frames, out=block)
        except self._error as error:
            self._ended = True
            block = block[: frames - int(np.argmin(np.isnan(block[::-1, 0])))]
            self._complain(error)
        return block

    def _complain(self, error: soundfile.LibsndfileError) -> None:
        # A FLAC file that went through a pipe states no length, and libsndfile fails at its end.
        at_end = self._file.stream.tell() == os.fstat(self._file.stream.fileno()).st_size
        if self.frames is not None or not at_end:
            self.complaint = error.error_string.strip(" .")

    def close(self) -> None:
        """Let go of libsndfile's state."""
        self._sound.close()


def _promised_frames(sound: soundfile.SoundFile) -> int | None:
    frames, log = int(sound.frames), sound.extra_info
    if frames >= _UNKNOWN_FRAMES:
        return None
    if match := _CORRECTED_RF64.search(log):
        return int(match[1])
    if match := _CORRECTED.search(log):
        claimed, found = int(match[1]), int(match[2])
        if _means_unknown(claimed):
            return None
        return max(frames, frames * claimed // max(found, 1))
    return frames


def _means_unknown(size: int) -> bool:
    """Whether a size in bytes is a stand-in: a program writing to a pipe cannot go back to fill it in.

    ffmpeg writes 0xFFFFFFFF, sox 0x7FFFF000, arecord 0x80000000, some the same less their header.
    """
    return 0x7FFF_0000 <= size <= 0x8000_0000 or size >= 0xFFFF_0000


def _xing_frames(sound: soundfile.SoundFile, file: OpenFile) -> int | None:
    """MP3 states its length in a Xing header or not at all; without one libsndfile only guesses."""
    position = file.stream.tell()
    head = file.head(10)
    tag = 0
    if head[:3] == b"ID3":  # ID3v2: 10 bytes, then a size of four times seven bits
        tag = 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])
    file.stream.seek(tag)
    first_frame = file.stream.read(512)
    file.stream.seek(position)
    return int(sound.frames) if b"Xing" in first_frame or b"Info" in first_frame else None


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Keep libmpg123, which writes to the process's standard error even for good files, quiet."""
    with _stderr_lock:
        try:
            kept = os.dup(2)
        except OSError:  # standard error is closed
            yield
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(nowhere)
            os.close(kept)
