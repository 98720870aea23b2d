"""libsndfile, or another way to the samples where a header states fewer of them than there are."""

from __future__ import annotations

from diffres_cli.audio.chunks import SampleBytes, find_samples, with_new_header
from diffres_cli.audio.decoder import Decoder
from diffres_cli.audio.pcm import PcmDecoder, sample_width
from diffres_cli.audio.sndfile import SndfileDecoder, UnknownFormatError
from diffres_cli.audio.sources import OpenFile

_PROBE = 2**16  # bytes of samples that tell libsndfile how to read them


def open_sndfile(file: OpenFile) -> Decoder:
    """A decoder that reads all samples of a file libsndfile knows. Closing that is left to the caller.

    Raises:
        UnknownFormatError: libsndfile does not know the format, or the header is damaged beyond repair.
        AudioError: the system cannot read the file, or the temporary folder has no room for a copy.
    """
    found = find_samples(file)
    try:
        decoder, is_probe = SndfileDecoder(file), False
    except UnknownFormatError:
        if found is None or not found.length:
            raise
        decoder, is_probe = (
            SndfileDecoder(file, with_new_header(file, found, min(found.length, _PROBE))),
            True,
        )
    if found is None:
        return decoder
    width = sample_width(decoder.coding[0])
    if width is None:
        return _compressed(file, decoder, found, is_probe)
    frame = width * decoder.channels
    odd = _frame_size_conflict(found, decoder.channels, frame)
    # In W64 libsndfile reads on to the end of the file, and takes padding there for samples.
    if is_probe or found.is_understated or found.length // frame != decoder.found:
        return _uncompressed(file, decoder, found, frame, odd)
    decoder.notes = _notes(odd, found.more)
    return decoder


def _frame_size_conflict(found: SampleBytes, channels: int, frame: int) -> str:
    """What to say of a WAV file that stores 24 bits in 4 bytes, say: libsndfile goes by the bits alone."""
    at = found.lead.find(b"fmt ") + found.layout.id + found.layout.size + 12
    stated = int.from_bytes(found.lead[at : at + 2], found.layout.order) if b"fmt " in found.lead else 0
    if stated <= frame or stated % channels:
        return ""
    return f"its header is at odds with itself: a frame takes {stated} bytes or {frame}; {frame} are read"


def _uncompressed(
    file: OpenFile, decoder: SndfileDecoder, found: SampleBytes, frame: int, odd: str
) -> PcmDecoder:
    decoder.close()
    less = ""
    if found.is_understated:
        stated, there = (size // frame / decoder.sample_rate for size in (found.stated or 0, found.length))
        less = f"the header states {stated:.2f} s, but {there:.2f} s of samples are there; all are read"
    return PcmDecoder(
        file,
        found.start,
        found.end,
        sample_rate=decoder.sample_rate,
        channels=decoder.channels,
        coding=decoder.coding,
        notes=_notes(less, odd, found.more),
        states_length=bool(found.stated),
    )


def _compressed(
    file: OpenFile, decoder: SndfileDecoder, found: SampleBytes, is_probe: bool
) -> SndfileDecoder:
    """libsndfile on a copy with another header, if it reads more of that."""
    decoder.notes = _notes(found.more)
    if not (is_probe or found.is_understated or (decoder.found == 0 and found.length)):
        return decoder
    better = SndfileDecoder(file, with_new_header(file, found, found.length))
    if is_probe or better.found > decoder.found:
        decoder.close()
        better.frames = None
        odd = "the header states fewer samples than are there; all are read" if found.is_understated else ""
        better.notes = _notes(odd, found.more)
        return better
    better.close()
    decoder.notes = _notes(
        f"not all of its {found.length} bytes of samples are read: the header states fewer"
    )
    return decoder


def _notes(*texts: str) -> tuple[str, ...]:
    return tuple(text for text in texts if text)
