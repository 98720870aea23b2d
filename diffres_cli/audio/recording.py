"""Any recording as one object: what it is, its samples, and what was odd about it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from diffres_cli.audio.arrays import HIGHEST_RATE, LOWEST_RATE, ArrayDecoder
from diffres_cli.audio.decoder import Decoder, Samples
from diffres_cli.audio.mixdown import Channel, Mixdown
from diffres_cli.audio.resample import resample
from diffres_cli.audio.scale import FullScale
from diffres_cli.audio.sources import OpenFile, open_file, open_stdin, open_stream, spool
from diffres_cli.errors import AudioError, UsageError
from diffres_cli.imports import required
from diffres_cli.text import STDIN, pluralize, printable
from diffres_cli.timeouts import report_progress

Source = str | Path | bytes | BinaryIO | NDArray[Any]

_MAX_SAMPLE = 2.0**31  # full scale is 1; what overflows later does not pass
_BLOCK_VALUES = 2**18  # samples read at once, over all channels
_DIRECT = "WAV, FLAC, OGG, Opus, MP3, AIFF, AU and CAF are"
_TEXT_BYTES = b"\t\n\f\r\x1b" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100))


class Recording:
    """One open recording. A context manager; its samples are read once, as a stream.

    Attributes:
        name: the file's name, "-" for standard input.
        sample_rate: the recording's own, in Hz.
        channels: how many.
        frames: samples per channel that the header states, None where it states none.
    """

    def __init__(self, name: str, decoder: Decoder, file: OpenFile | None = None) -> None:
        self.name = name
        self.sample_rate = decoder.sample_rate
        self.channels = decoder.channels
        self.frames = decoder.frames
        self._decoder, self._file = decoder, file
        self._blocks = decoder.blocks(max(1, _BLOCK_VALUES // max(1, self.channels)))
        self._full_scale = FullScale(self.sample_rate)
        self._mixdown = Mixdown(self.channels, self.sample_rate)
        self._warnings: list[str] = []
        self._decoded = 0
        self._ended = False

    @property
    def duration(self) -> float:
        """The recording's duration in seconds: exact once the stream has ended, before it what is known."""
        known = self._decoded if self._ended else max(self._decoded, self.frames or 0)
        return known / self.sample_rate

    @property
    def warnings(self) -> list[str]:
        """What is odd although samples can be read: about the header from the start, all once they ended."""
        scale, mix = ([text] if text else [] for text in (self._full_scale.note, self._mixdown.warning))
        return [*self._decoder.notes, *scale, *self._warnings, *mix]

    @property
    def damage(self) -> list[str]:
        """The warnings about damaged or missing samples."""
        return [*self._decoder.notes, *self._warnings]

    def blocks(self, target_rate: int, channel: Channel = "mix") -> Iterator[Samples]:
        """The rest of the recording at `target_rate` Hz: float32 blocks, in constant memory.

        Args:
            channel: "mix" for the mean of all channels, the number of one, from 1, or "each".

        Shape:
            [n]; for "each" [n, channels].

        Raises:
            AudioError: there is not one sample, or one is no finite number; the system cannot read the file;
                there is no such channel.
        """
        if not isinstance(channel, str) and not 1 <= channel <= self.channels:
            has = pluralize(self.channels, "channel")
            raise AudioError(
                f"{printable(self.name)}: it has {has}, and no channel {channel}; choose another"
            )
        self._mixdown = Mixdown(self.channels, self.sample_rate, channel)
        return resample(self._chosen(), self.sample_rate, target_rate)

    def _chosen(self) -> Iterator[Samples]:
        for block in self._blocks:
            chosen = self._mixdown(self._full_scale(block))
            self._check_samples(chosen)
            report_progress()
            self._decoded += len(chosen)
            yield chosen
        self._check_end()

    def _check_samples(self, samples: Samples) -> None:
        good = np.abs(samples) <= _MAX_SAMPLE  # false for NaN
        if good.all():
            return
        place = np.argwhere(~good)[0]
        seconds = (self._decoded + int(place[0])) / self.sample_rate
        wanted = "samples must be finite numbers, full scale is ±1"
        raise AudioError(
            f"{printable(self.name)}: a sample is {samples[tuple(place)]:.3g} at {seconds:.3f} s; {wanted}"
        )

    def _check_end(self) -> None:
        """At the end of the stream: was there anything, and was it all?"""
        self._ended = True
        why = self._decoder.damage
        is_short = self.frames is not None and self._decoded < self.frames
        if self._file is not None and (why or is_short or not self._decoded):
            self._file.check_readable()  # a failing drive does not mean a damaged file
        if not self._decoded:
            reason = f"nothing in it could be decoded ({why})" if why else "it holds no samples"
            raise AudioError(f"{printable(self.name)}: {reason}")
        if self.frames is not None and is_short:
            stated = self.frames / self.sample_rate
            digits = 2 if stated - self.duration > 0.01 else 6  # both numbers are to differ
            found = f"the header promises {stated:.{digits}f} s, {self.duration:.{digits}f} s could be read"
            self._warnings.append(f"{found} ({why})" if why else found)
        elif why:
            self._warnings.append(f"damaged: {why}; {self.duration:.2f} s could be read")

    def close(self) -> None:
        """Close the file, and ffmpeg if it was started."""
        self._decoder.close()
        if self._file is not None:
            self._file.stream.close()

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def open_recording(source: Source, sample_rate: int | None = None, name: str | None = None) -> Recording:
    """Open a recording: a path, "-" for standard input, a file's bytes, a binary stream or an array.

    Args:
        source: an array is [samples] or [samples, channels], float or integer PCM. A stream is read
            from where it stands.
        sample_rate: Hz; an array needs it, a file states its own.
        name: what to call it in messages and results.

    Raises:
        AudioError: it cannot be read; the message says what it is and what can be.
        UsageError: an array without a sample rate, a file with one, or a source that is none of these.

    >>> with open_recording(np.zeros((44100, 2), np.int16), sample_rate=44100) as recording:
    ...     samples = np.concatenate(list(recording.blocks(32000)))
    >>> samples.shape, recording.duration
    ((32000,), 1.0)
    """
    if hasattr(source, "__array__"):
        array = np.asarray(source)
        recording = open_blocks([array], sample_rate, name or "array")
        recording.frames = len(array)
        return recording
    if sample_rate is not None and (isinstance(source, (str, Path, bytes)) or hasattr(source, "read")):
        raise UsageError(f"sample_rate={sample_rate}: only an array needs one, a file states its own")
    file = _open_source(source, name)
    try:
        return _check_sample_rate(Recording(file.name, _decoder(file), file))
    except BaseException:
        file.stream.close()
        raise


def open_blocks(blocks: Iterable[NDArray[Any]], sample_rate: int | None, name: str = "stream") -> Recording:
    """Blocks of samples that come one after another, as one recording. It waits for the first.

    Args:
        blocks: arrays [n] or [n, channels], as `open_recording` takes them, any n. sample_rate: Hz.

    Raises:
        UsageError: no sample rate. AudioError: a block is no array of samples.
    """
    return _check_sample_rate(Recording(name, ArrayDecoder(blocks, sample_rate, name)))


def _check_sample_rate(recording: Recording) -> Recording:
    if LOWEST_RATE <= recording.sample_rate <= HIGHEST_RATE:
        return recording
    recording.close()
    allowed = f"allowed: {LOWEST_RATE} to {HIGHEST_RATE} Hz"
    raise AudioError(f"{printable(recording.name)}: its sample rate is {recording.sample_rate} Hz; {allowed}")


def import_decoders() -> None:
    """Import what opening a file needs, which takes 10 ms.

    Raises:
        DependencyError: a package is not installed, or does not load.
    """
    with required("reading audio"):
        import diffres_cli.audio.streams  # noqa: F401


def _open_source(source: str | Path | bytes | BinaryIO, name: str | None) -> OpenFile:
    if isinstance(source, (str, Path)):
        return open_stdin() if str(source) == STDIN else open_file(source, name or str(source))
    if isinstance(source, bytes):
        return spool([source], name or "bytes")
    return open_stream(source, name or str(getattr(source, "name", "stream")))


def _decoder(file: OpenFile) -> Decoder:
    """libsndfile where it knows the format, else ffmpeg."""
    import_decoders()
    from diffres_cli.audio.sndfile import UnknownFormatError
    from diffres_cli.audio.streams import open_decoder

    try:
        return open_decoder(file)
    except UnknownFormatError as error:
        if _is_text(file.peek(4096)):
            raise AudioError(f"{printable(file.name)}: a text file, not audio") from error
        try:
            return _ffmpeg_decoder(file, error)
        except AudioError:
            file.check_readable()  # a read error would look like an unknown format
            raise


def _ffmpeg_decoder(file: OpenFile, error: Exception) -> Decoder:
    from diffres_cli.audio.ffmpeg import FfmpegDecoder

    program = shutil.which("ffmpeg")
    if program is not None:
        return FfmpegDecoder(file, program)
    direct = f"{_DIRECT} read directly"
    help_ = "everything else (M4A, MP4, MKV, …) needs ffmpeg on the PATH, which is not there"
    raise AudioError(f"{printable(file.name)}: libsndfile: {error}; {direct}, {help_}") from error


def _is_text(head: bytes) -> bool:
    """Whether a file begins like text in a common encoding, which ffmpeg need not try."""
    return not head.translate(None, _TEXT_BYTES)
