"""WAV and similar formats: uncompressed samples are read in place, compressed ones by libsndfile."""

from __future__ import annotations

import io
from collections.abc import Iterator

import soundfile

from diffres_cli.audio.chunks import SampleBytes, find_samples, with_new_header
from diffres_cli.audio.decoder import Decoder, Samples
from diffres_cli.audio.sndfile import SndfileDecoder, UnknownFormatError
from diffres_cli.audio.sources import OpenFile

_PROBE = 2**16  # bytes of samples, enough for libsndfile to find the encoding
# Bytes a sample takes, by libsndfile's names of the encodings that do not compress.
_WIDTHS = {"PCM_S8": 1, "PCM_U8": 1, "ULAW": 1, "ALAW": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4}
_WIDTHS |= {"FLOAT": 4, "DOUBLE": 8}


def open_chunked(file: OpenFile) -> Decoder:
    """A decoder that reads all samples of a file libsndfile knows. Closing that is left to the caller.

    Raises:
        UnknownFormatError: libsndfile does not know the format, or the header is damaged beyond repair.
        AudioError: the system cannot read the file, or the temporary folder has no room for a copy.
    """
    found = find_samples(file)
    is_probe = False
    try:
        decoder = SndfileDecoder(file)
    except UnknownFormatError:
        if found is None or not found.length:
            raise
        decoder = SndfileDecoder(file, with_new_header(file, found, min(found.length, _PROBE)))
        is_probe = True
    if found is None:
        return decoder
    if decoder.coding[0] not in _WIDTHS:
        return _open_compressed(file, decoder, found, is_probe)
    decoder.close()
    return PcmDecoder(file, found, decoder)


def _open_compressed(
    file: OpenFile, decoder: SndfileDecoder, found: SampleBytes, is_probe: bool
) -> SndfileDecoder:
    """A decoder of a copy with a corrected header, if libsndfile reads more of that."""
    notes = [found.trailing_note] if found.trailing_note else []
    decoder.notes = notes
    if found.stated is None:
        decoder.frames = None
    elif found.length < found.stated:
        decoder.frames = decoder.found * found.stated // max(1, found.length)
    if not (is_probe or found.is_understated or (decoder.found == 0 and found.length)):
        return decoder
    better = SndfileDecoder(file, with_new_header(file, found, found.length))
    if is_probe or better.found > decoder.found:
        decoder.close()
        better.frames = None
        odd = "the header states fewer samples than are there; all are read"
        better.notes = [odd] * found.is_understated + notes
        return better
    better.close()
    decoder.notes = [f"not all of its {found.length} bytes of samples are read: the header states fewer"]
    return decoder


class PcmDecoder(Decoder):
    """Uncompressed samples, read in place. The caller closes the file.

    Args:
        header: what libsndfile made of it.
    """

    def __init__(self, file: OpenFile, found: SampleBytes, header: SndfileDecoder) -> None:
        self.sample_rate, self.channels = header.sample_rate, header.channels
        subtype, is_big = header.coding
        self._file, self._found = file, found
        self._frame = _WIDTHS[subtype] * self.channels  # bytes
        self._raw_format = {"format": "RAW", "subtype": subtype, "endian": "BIG" if is_big else "LITTLE"}
        stored, stated = found.length // self._frame, (found.stated or 0) // self._frame
        self.frames = max(stored, stated) if found.stated else None
        warning = ""
        if found.is_understated:
            short, long = stated / self.sample_rate, stored / self.sample_rate
            warning = f"the header states {short:.2f} s, but {long:.2f} s of samples are there; all are read"
        self.notes = [note for note in (warning, self._frame_size_conflict(), found.trailing_note) if note]

    def _frame_size_conflict(self) -> str:
        """A warning for a WAV file with 24 bits in 4 bytes: libsndfile looks at the bits alone; or ""."""
        lead, layout = self._found.lead, self._found.layout
        at = lead.find(b"fmt ") + layout.id + layout.size + 12
        stated = int.from_bytes(lead[at : at + 2], layout.order) if b"fmt " in lead else 0
        if stated <= self._frame or stated % self.channels:
            return ""
        read = self._frame
        return f"its header contradicts itself: a frame takes {stated} bytes or {read}; {read} are read"

    def blocks(self, frames: int) -> Iterator[Samples]:
        """See `Decoder.blocks`."""
        for start in range(self._found.start, self._found.end, frames * self._frame):
            data = self._file.peek(min(frames * self._frame, self._found.end - start), start)
            if whole := len(data) // self._frame * self._frame:
                yield soundfile.read(
                    io.BytesIO(data[:whole]),
                    dtype="float32",
                    always_2d=True,
                    samplerate=self.sample_rate,
                    channels=self.channels,
                    **self._raw_format,
                )[0]
