"""The streams that follow one another in a file as one: `cat a.mp3 b.mp3`, an Ogg file of several links."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import numpy as np

from diffres_cli.audio.chunks import find_samples
from diffres_cli.audio.decoder import Decoder, Samples
from diffres_cli.audio.flac import flac_streams
from diffres_cli.audio.mpeg import is_mpeg, mpeg_streams
from diffres_cli.audio.mpegframe import is_frame
from diffres_cli.audio.ogg import ogg_streams
from diffres_cli.audio.repair import open_sndfile
from diffres_cli.audio.resample import resample
from diffres_cli.audio.sndfile import SndfileDecoder, UnknownFormatError
from diffres_cli.audio.sources import OpenFile
from diffres_cli.audio.stream import Stream
from diffres_cli.audio.tags import skip_id3

_SHOWN = 3  # problems in a message


def find_streams(file: OpenFile) -> Iterator[Stream] | None:
    """The streams in an Ogg, FLAC or MPEG file, at least one; None for other formats."""
    head, behind_id3 = file.peek(4), file.peek(4, skip_id3(file))
    if head == b"OggS":
        return ogg_streams(file)
    if behind_id3 == b"fLaC":
        return flac_streams(file)
    if head.startswith(b"ID3") or is_frame(head):
        return mpeg_streams(file)
    return None


def open_decoder(file: OpenFile) -> Decoder:
    """A decoder for all streams of a file that libsndfile knows. Closing `file` is left to the caller.

    Raises:
        UnknownFormatError: libsndfile does not know the format, or the header is damaged.
        AudioError: the file cannot be read, or the temporary folder has no room for a copy.
    """
    streams = find_streams(file)
    if streams is not None:
        return open_streams(file, streams)
    try:
        decoder = open_sndfile(file)
    except UnknownFormatError:
        if not is_mpeg(file):
            raise
    else:
        if not (isinstance(decoder, SndfileDecoder) and decoder.coding[0] == "MPEG_LAYER_III"):
            return decoder
        decoder.close()  # MP3 in WAV, whose length libsndfile guesses
    found = find_samples(file)
    return open_streams(file, mpeg_streams(file, found.start if found else 0))


def open_streams(file: OpenFile, streams: Iterator[Stream]) -> Decoder:
    """A decoder for the streams in a file, at least one; raises as `open_decoder` does."""
    first, following = next(streams), next(streams, None)
    decoder = SndfileDecoder(file, first.copy(file), first)
    return decoder if following is None else ChainDecoder(file, decoder, chain([following], streams))


class ChainDecoder:
    """A `Decoder` for several streams. The first one's sample rate and channels are those of the whole.

    A later stream at another rate is resampled. In one with other channels each becomes the mean of all.
    """

    frames: int | None = None  # known once all streams have been opened

    def __init__(self, file: OpenFile, first: SndfileDecoder, following: Iterator[Stream]) -> None:
        self.sample_rate, self.channels, self.notes = first.sample_rate, first.channels, first.notes
        self._file, self._following = file, following
        self._current = first
        self._problems: list[str] = []
        self._position, self._count = 0, 0  # samples given; streams begun
        self._wanted = 0
        self._blocks = self._all_blocks()
        self._rest = np.zeros((0, self.channels), np.float32)

    @property
    def damage(self) -> str:
        """See `Decoder`."""
        more = len(self._problems) - _SHOWN
        shown = self._problems[:_SHOWN] + ([f"and {more} more"] if more > 0 else [])
        return "; ".join(shown)

    def read(self, frames: int) -> Samples:
        """See `Decoder.read`."""
        self._wanted = frames
        if not len(self._rest):
            self._rest = next(self._blocks, self._rest)
        block, self._rest = self._rest[:frames], self._rest[frames:]
        self._position += len(block)
        return block

    def close(self) -> None:
        """Let go of the stream that is being read."""
        self._current.close()

    def _all_blocks(self) -> Iterator[Samples]:
        yield from self._blocks_of(self._current)
        for stream in self._following:
            self._current.close()
            try:
                self._current = SndfileDecoder(self._file, stream.copy(self._file), stream)
            except UnknownFormatError as error:
                self._count += 1
                self._report(self._position, f"cannot be decoded ({error})")
                continue
            yield from self._blocks_of(self._current)

    def _blocks_of(self, decoder: SndfileDecoder) -> Iterator[Samples]:
        """A stream's samples, like the first one's."""
        self._count += 1
        start, decoded = self._position, 0

        def blocks() -> Iterator[Samples]:
            nonlocal decoded
            while len(block := decoder.read(self._wanted)):
                decoded += len(block)
                yield _with_channels(block, self.channels)

        yield from resample(blocks(), decoder.sample_rate, self.sample_rate)
        problem = decoder.damage
        if decoder.frames is not None and decoded < decoder.frames:
            stated, found = decoder.frames / decoder.sample_rate, decoded / decoder.sample_rate
            reason = f" ({problem})" if problem else ""
            problem = f"{found:.2f} s of {stated:.2f} s could be read{reason}"
        if problem:
            self._report(start, problem)

    def _report(self, start: int, problem: str) -> None:
        self._problems.append(f"stream {self._count}, at {start / self.sample_rate:.2f} s: {problem}")


def _with_channels(block: Samples, channels: int) -> Samples:
    if block.shape[1] == channels:
        return block
    return np.repeat(block.mean(axis=1, keepdims=True), channels, axis=1)
