"""The formats libsndfile reads: WAV, FLAC, OGG, Opus, MP3, AIFF, AU, CAF and their relatives."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np

from diffres_cli.audio.chunks import means_unknown
from diffres_cli.audio.decoder import Samples
from diffres_cli.audio.flac import find_frames_after, is_whole
from diffres_cli.audio.quiet import quiet_stderr
from diffres_cli.audio.sources import OpenFile, unreadable
from diffres_cli.audio.stream import Stream
from diffres_cli.imports import required

if TYPE_CHECKING:
    import soundfile


_NOT_A_FILE = 7  # SFE_BAD_FILE: libsndfile's word for MPEG audio without one whole frame, too
_SYSTEM_ERROR = 2  # libsndfile's SF_ERR_SYSTEM: a call of the system failed, whatever is in the file
_WHOLE = Stream()
# libsndfile corrects a length that the file does not bear out, and keeps a note of it.
_CORRECTED_BYTES = re.compile(r"^\s*(?:data|SSND|Data Size|riff)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)
_CORRECTED_FRAMES = re.compile(r"'ds64' chunk of (\d+)")
_NO_LENGTH = 2**62  # frames; libsndfile's figure for a FLAC header without one is larger


class UnknownFormatError(Exception):
    """libsndfile cannot make sense of the file; `str(error)` is its own reason."""


class SndfileDecoder:
    """A `Decoder` on libsndfile. It reads `file`, which the caller closes, or a copy in its place.

    A damaged part of a FLAC file, whose frames can be found again, is read as silence, so that
    what follows keeps its time; so is one of an MPEG file, by `mpeg`. In Ogg what is lost is left out.

    Raises:
        UnknownFormatError: libsndfile does not know the format, or the header is damaged.
        AudioError: the system cannot read the file; so does `read`.
    """

    notes: Sequence[str]

    def __init__(self, file: OpenFile, copy: OpenFile | None = None, stream: Stream = _WHOLE) -> None:
        with required("reading audio"):
            import soundfile

        self._given, self._file = file, copy or file
        self._error = soundfile.LibsndfileError
        try:
            self._sound = _open(self._file)
        except self._error as error:
            if copy is not None:
                copy.stream.close()
            self._check_medium(error)
            raise UnknownFormatError(_words(error)) from error
        self.sample_rate: int = self._sound.samplerate
        self.channels: int = self._sound.channels
        self.notes = (stream.note,) if stream.note else ()
        self.frames = _header_frames(self._sound) if stream.states_length else None
        self._position = 0
        self._ended = False
        self._gap = 0  # samples of a damaged part that are still to be read as silence
        self._gaps = list(stream.gaps)  # (first sample, samples)
        self._fault = stream.damage

    @property
    def found(self) -> int:
        """Samples a channel that libsndfile expects to read."""
        return int(self._sound.frames)

    @property
    def coding(self) -> tuple[str, bool]:
        """How samples are stored: libsndfile's name, "PCM_16" say, and whether the high byte comes first."""
        endian, container = self._sound.endian, self._sound.format
        is_big = endian == "BIG" or (endian == "FILE" and container in ("AIFF", "AU", "CAF"))
        return self._sound.subtype, is_big

    def read(self, frames: int) -> Samples:
        """See `Decoder.read`."""
        block = self._silence(frames) if self._gap else self._decode(frames)
        if not len(block) and self._gap:
            block = self._silence(frames)
        self._position += len(block)
        return block

    def _silence(self, frames: int) -> Samples:
        frames = min(frames, self._gap)
        self._gap -= frames
        return np.zeros((frames, self.channels), np.float32)

    def _decode(self, frames: int) -> Samples:
        if self._ended:
            return np.zeros((0, self.channels), np.float32)
        # When decoding fails soundfile does not say how far it came: the NaN that are left do.
        block = np.full((frames, self.channels), np.nan, np.float32)
        try:
            with quiet_stderr() if self._sound.format == "MP3" else nullcontext():
                block = self._sound.read(frames, out=block)
        except self._error as error:
            self._check_medium(error)
            block = _without_nan_tail(block)
            self._skip_damage(self._position + len(block), _words(error))
        return block

    def _check_medium(self, error: soundfile.LibsndfileError) -> None:
        if error.code == _SYSTEM_ERROR:
            self._given.check_readable()  # says why
            failure = OSError(errno.EIO, os.strerror(errno.EIO))
            raise unreadable(self._given.name, failure) from failure

    def _skip_damage(self, start: int, fault: str) -> None:
        """Resume behind the damage that begins at sample `start`, or end the stream there."""
        self._gap = self._find_resumption(start)
        if self._gap:
            self._gaps.append((start, self._gap))
            return
        self._ended = True
        # libFLAC also fails at a tag behind the last frame, and at the end of a stream of unstated length.
        is_at_end = self._sound.format == "FLAC" and self.frames in (None, start)
        if not (is_at_end and is_whole(self._file, start)):
            self._fault = ", ".join(filter(None, (self._fault, fault)))

    def _find_resumption(self, start: int) -> int:
        """Samples from `start` to where FLAC decodes again, 0 where it does not."""
        if self._sound.format != "FLAC":
            return 0
        for sample in find_frames_after(self._file, start)[:4]:
            try:
                self._sound.close()
                self._sound = _open(self._file)  # libsndfile does not recover from a failure
                self._sound.seek(sample)
            except self._error:
                continue
            return sample - start
        return 0

    @property
    def damage(self) -> str:
        """See `Decoder`."""
        if not self._gaps:
            return self._fault
        seconds = sum(length for _, length in self._gaps) / self.sample_rate
        first = self._gaps[0][0] / self.sample_rate
        places = f"in {len(self._gaps)} places, the first" if len(self._gaps) > 1 else ""
        silence = " ".join(f"{seconds:.2f} s {places} at {first:.2f} s read as silence".split())
        return f"{silence}; {self._fault}" if self._fault else silence

    def close(self) -> None:
        """Let go of libsndfile's state, and of the copy where one was needed."""
        self._sound.close()
        self._close_copy()

    def _close_copy(self) -> None:
        if self._file is not self._given:
            self._file.stream.close()


def _open(file: OpenFile) -> soundfile.SoundFile:
    import soundfile

    file.stream.seek(0)
    with quiet_stderr():
        # The descriptor, not the name: any bytes make a name, and this is the file that was examined.
        # (On Windows a descriptor does not carry over to another C library.)
        source = file.stream if os.name == "nt" else file.stream.fileno()
        sound = soundfile.SoundFile(source, closefd=False)
    # It would seek after every block, and behind a seek MP3 decodes to other samples.
    sound.seekable = lambda: False
    return sound


def _words(error: soundfile.LibsndfileError) -> str:
    if error.code == _NOT_A_FILE:
        return "Format not recognised"
    return str(error.error_string).removeprefix("Error : ").strip(" .")


def _without_nan_tail(block: Samples) -> Samples:
    written = np.flatnonzero(~np.isnan(block[:, 0]))
    return block[: written[-1] + 1 if len(written) else 0]


def _header_frames(sound: soundfile.SoundFile) -> int | None:
    """Samples a channel that the header states, None where it states none. Not for MP3."""
    frames = int(sound.frames)
    if frames > _NO_LENGTH:
        return None
    if match := _CORRECTED_FRAMES.search(sound.extra_info):
        return int(match[1])
    if match := _CORRECTED_BYTES.search(sound.extra_info):
        claimed, found = int(match[1]), int(match[2])
        return None if means_unknown(claimed) else max(frames, frames * claimed // max(found, 1))
    return frames
