"""The formats libsndfile reads: WAV, FLAC, OGG, Opus, MP3, AIFF, AU, CAF and their relatives.

It is imported when a file needs it: it loads libsndfile.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress

import numpy as np
import soundfile

from diffres_cli.audio.decoder import Decoder, Samples, Stream
from diffres_cli.audio.flac import find_frames_after, is_whole
from diffres_cli.audio.sources import OpenFile, spool, unreadable
from diffres_cli.timeouts import on_cancel

_NOT_A_FILE = 7  # SFE_BAD_FILE: libsndfile's word for MPEG audio without one whole frame, too
_SYSTEM_ERROR = 2  # libsndfile's SF_ERR_SYSTEM: a call of the system failed, whatever is in the file
_WHOLE = Stream()
_NO_LENGTH = 2**62  # frames; libsndfile's figure for a FLAC header without one is larger
_stderr_lock = threading.Lock()


class UnknownFormatError(Exception):
    """libsndfile cannot make sense of the file; `str(error)` is its own reason."""


class SndfileDecoder(Decoder):
    """One stream of `file`, which the caller closes, decoded by libsndfile.

    A damaged part of a FLAC file, whose frames can be found again, is read as silence, so that
    what follows keeps its time; so is one of an MPEG file, by `mpeg`. In Ogg what is lost is left out.

    Raises:
        UnknownFormatError: libsndfile does not know the format, or the header is damaged.
        AudioError: the system cannot read the file, or the temporary folder has no room for a copy.
    """

    def __init__(self, file: OpenFile, stream: Stream = _WHOLE) -> None:
        self._given = file
        self._file = file if stream.pieces is None else spool(stream.pieces, file.name)
        try:
            self._sound = _open(self._file)
        except soundfile.LibsndfileError as error:
            self._close_copy()
            self._check_medium(error)
            raise UnknownFormatError(_reason(error)) from error
        self.sample_rate = int(self._sound.samplerate)
        self.channels = int(self._sound.channels)
        self.notes = list(stream.notes)
        states_length = stream.states_length and self.found < _NO_LENGTH
        self.frames = self.found if states_length else None
        self.position = 0  # samples read
        self._gaps = list(stream.gaps)
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

    def blocks(self, frames: int) -> Iterator[Samples]:
        """See `Decoder.blocks`."""
        error, more = None, True
        while more:
            block, error = self._decode(frames)
            more = len(block) > 0
            self.position += len(block)
            if more:
                yield block
            if error:
                gap = self._find_gap(self.position)
                more = gap > 0
                self.position += gap
                for start in range(0, gap, frames):
                    yield np.zeros((min(frames, gap - start), self.channels), np.float32)
        if error and not self._is_harmless():
            self._fault = ", ".join(filter(None, (self._fault, _reason(error))))
        self.damage = "; ".join(filter(None, (self._silence(), self._fault)))

    def _decode(self, frames: int) -> tuple[Samples, soundfile.LibsndfileError | None]:
        # When decoding fails soundfile does not say how far it came: the NaN that are left do.
        block = np.full((frames, self.channels), np.nan, np.float32)
        try:
            with silence_stderr() if self._sound.format == "MP3" else nullcontext():
                return self._sound.read(frames, out=block), None
        except soundfile.LibsndfileError as error:
            self._check_medium(error)
            written = np.flatnonzero(~np.isnan(block[:, 0]))
            return block[: written[-1] + 1 if len(written) else 0], error

    def _check_medium(self, error: soundfile.LibsndfileError) -> None:
        if error.code == _SYSTEM_ERROR:
            self._given.check_readable()  # says why
            failure = OSError(errno.EIO, os.strerror(errno.EIO))
            raise unreadable(self._given.name, failure) from failure

    def _find_gap(self, start: int) -> int:
        """Samples from `start`, where decoding failed, to where FLAC decodes again; 0 where it does not."""
        if self._sound.format != "FLAC":
            return 0
        for sample in find_frames_after(self._file, start)[:4]:
            with suppress(soundfile.LibsndfileError):
                self._sound.close()
                self._sound = _open(self._file)  # libsndfile does not recover from a failure
                self._sound.seek(sample)
                self._gaps.append((start, sample - start))
                return sample - start
        return 0

    def _is_harmless(self) -> bool:
        """libFLAC fails at a tag after the last frame, and at the end of a stream of unstated length."""
        is_at_end = self._sound.format == "FLAC" and self.frames in (None, self.position)
        return is_at_end and is_whole(self._file, self.position)

    def _silence(self) -> str:
        if not self._gaps:
            return ""
        seconds = sum(length for _, length in self._gaps) / self.sample_rate
        first = self._gaps[0][0] / self.sample_rate
        places = f" in {len(self._gaps)} places, the first" if len(self._gaps) > 1 else ""
        return f"{seconds:.2f} s{places} at {first:.2f} s read as silence"

    def close(self) -> None:
        """Close libsndfile's handle, and the copy if one was made."""
        self._sound.close()
        self._close_copy()

    def _close_copy(self) -> None:
        if self._file is not self._given:
            self._file.stream.close()


def _open(file: OpenFile) -> soundfile.SoundFile:
    file.stream.seek(0)
    with silence_stderr():
        # The descriptor, not the name: any bytes make a name, and this is the file that was examined.
        # (On Windows a descriptor does not carry over to another C library.)
        source = file.stream if os.name == "nt" else file.stream.fileno()
        sound = soundfile.SoundFile(source, closefd=False)
    # It would seek after every block, and after a seek MP3 decodes to other samples.
    sound.seekable = lambda: False
    return sound


def _reason(error: soundfile.LibsndfileError) -> str:
    if error.code == _NOT_A_FILE:
        return "Format not recognised"
    words = str(error.error_string).removeprefix("Error : ").strip(" .")
    return "its header states a sample rate of 0 Hz" if "SF_INFO struct incomplete" in words else words


@contextmanager
def silence_stderr() -> Iterator[None]:
    """Point file descriptor 2 to the null device: libmpg123 writes pages to it, even for valid files."""
    if sys.__stderr__ is None:  # closed from the start: descriptor 2 may by now be the recording itself
        yield
        return
    _stderr_lock.acquire()  # the descriptor belongs to the whole process
    kept = [os.dup(2)]

    def restore() -> None:
        with suppress(IndexError):  # done already
            original = kept.pop()
            os.dup2(original, 2)
            os.close(original)
            _stderr_lock.release()

    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        on_cancel("silence", restore)  # a library that never returns would keep the whole process silent
        yield
    finally:
        restore()
