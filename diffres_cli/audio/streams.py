"""The streams in a file as one decoder: `cat a.mp3 b.mp3`, an Ogg file of several links."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from diffres_cli.audio.chunks import find_samples
from diffres_cli.audio.decoder import Decoder, Samples, Stream
from diffres_cli.audio.flac import flac_streams
from diffres_cli.audio.mpeg import is_mpeg, mpeg_streams
from diffres_cli.audio.mpegframe import is_frame
from diffres_cli.audio.ogg import ogg_streams
from diffres_cli.audio.pcm import open_chunked
from diffres_cli.audio.resample import resample
from diffres_cli.audio.sndfile import SndfileDecoder, UnknownFormatError
from diffres_cli.audio.sources import OpenFile
from diffres_cli.audio.tags import skip_id3

_SHOWN = 3  # problems in a message


def open_decoder(file: OpenFile) -> Decoder:
    """A decoder for all streams of a file that libsndfile knows. Closing `file` is left to the caller.

    Raises:
        UnknownFormatError: libsndfile does not know the format, or the header is damaged.
        AudioError: the file cannot be read, or the temporary folder has no room for a copy.
    """
    head = file.peek(4)
    if head == b"OggS":
        return _open_streams(file, ogg_streams(file))
    if file.peek(4, skip_id3(file)) == b"fLaC":
        return _open_streams(file, flac_streams(file))
    if head.startswith(b"ID3") or is_frame(head):
        return _open_streams(file, mpeg_streams(file))
    try:
        decoder = open_chunked(file)
    except UnknownFormatError:
        if not is_mpeg(file):
            raise
    else:
        if not (isinstance(decoder, SndfileDecoder) and decoder.coding[0] == "MPEG_LAYER_III"):
            return decoder
        decoder.close()  # MP3 in WAV, whose length libsndfile guesses
    found = find_samples(file)
    return _open_streams(file, mpeg_streams(file, found.start if found else 0))


def _open_streams(file: OpenFile, streams: Sequence[Stream]) -> Decoder:
    first = SndfileDecoder(file, streams[0])
    return first if len(streams) == 1 else _ChainDecoder(file, first, streams)


class _ChainDecoder(Decoder):
    """Several streams. The whole has the sample rate and channels of the first.

    A later stream at another rate is resampled. One with other channels is mixed to its mean.
    """

    def __init__(self, file: OpenFile, first: SndfileDecoder, streams: Sequence[Stream]) -> None:
        self.sample_rate, self.channels = first.sample_rate, first.channels
        self.notes = [f"stream 1, at 0.00 s: {note}" for note in first.notes]
        self._file, self._streams, self._current = file, streams, first

    def blocks(self, frames: int) -> Iterator[Samples]:
        """See `Decoder.blocks`."""
        position, problems = 0, list[str]()
        for number, stream in enumerate(self._streams, 1):
            where = f"stream {number}, at {position / self.sample_rate:.2f} s: "
            try:
                if number > 1:
                    self._current.close()
                    self._current = SndfileDecoder(self._file, stream)
                    self.notes = [*self.notes, *(where + note for note in self._current.notes)]
            except UnknownFormatError as error:
                problems.append(f"{where}cannot be decoded ({error})")
                continue
            mixed = (self._match_channels(block) for block in self._current.blocks(frames))
            for block in resample(mixed, self._current.sample_rate, self.sample_rate):
                position += len(block)
                yield block
            if problem := _problem(self._current):
                problems.append(where + problem)
        more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        self.damage = "; ".join(problems[:_SHOWN] + more)

    def _match_channels(self, block: Samples) -> Samples:
        if block.shape[1] == self.channels:
            return block
        return np.repeat(block.mean(axis=1, keepdims=True), self.channels, axis=1)

    def close(self) -> None:
        """Close the stream that is being read."""
        self._current.close()


def _problem(decoder: SndfileDecoder) -> str:
    """What was wrong with a stream that has ended."""
    if decoder.frames is None or decoder.position >= decoder.frames:
        return decoder.damage
    stated, found = decoder.frames / decoder.sample_rate, decoder.position / decoder.sample_rate
    reason = f" ({decoder.damage})" if decoder.damage else ""
    return f"{found:.2f} s of {stated:.2f} s could be read{reason}"
