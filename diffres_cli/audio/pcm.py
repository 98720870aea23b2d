"""Uncompressed samples read from where they stand, whatever the header says of their number."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from diffres_cli.audio.decoder import Samples
from diffres_cli.audio.sources import OpenFile, unreadable

_Bytes = NDArray[np.uint8]
_NUMBERS = {"PCM_16": "i2", "PCM_32": "i4", "FLOAT": "f4", "DOUBLE": "f8"}  # NumPy's types
_WIDTHS = {"PCM_S8": 1, "PCM_U8": 1, "ULAW": 1, "ALAW": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4}
_WIDTHS |= {"FLOAT": 4, "DOUBLE": 8}  # bytes


def sample_width(subtype: str) -> int | None:
    """Bytes a sample takes in an encoding by libsndfile's name for it; None where samples are compressed.

    >>> sample_width("PCM_24"), sample_width("IMA_ADPCM")
    (3, None)
    """
    return _WIDTHS.get(subtype)


class PcmDecoder:
    """A `Decoder` on the bytes from `start` to `end` of a file. Closing that is left to the caller.

    Args:
        coding: libsndfile's name for how samples are stored, and whether the high byte comes first.
    """

    damage = ""

    def __init__(
        self,
        file: OpenFile,
        start: int,
        end: int,
        *,
        sample_rate: int,
        channels: int,
        coding: tuple[str, bool],
        notes: Sequence[str] = (),
        states_length: bool = True,
    ) -> None:
        self.sample_rate, self.channels, self.notes = sample_rate, channels, notes
        self._file = file
        self._position = start
        self._subtype, self._is_big = coding
        self._width = _WIDTHS[self._subtype] * channels
        self._left = (end - start) // self._width
        self.frames = self._left if states_length else None

    def read(self, frames: int) -> Samples:
        """See `Decoder.read`."""
        frames = min(frames, self._left)
        self._file.stream.seek(self._position)
        try:
            data = self._file.stream.read(frames * self._width)
        except OSError as error:
            raise unreadable(self._file.name, error) from error
        whole = len(data) // self._width
        self._left -= whole
        self._position += whole * self._width
        raw = np.frombuffer(data, np.uint8, whole * self._width)
        return _converted(raw, self._subtype, self._is_big).reshape(whole, self.channels)

    def close(self) -> None:
        """Nothing to let go of."""


def _converted(raw: _Bytes, subtype: str, is_big: bool) -> Samples:
    """Stored samples as float32, [n]; full scale is 1."""
    order = ">" if is_big else "<"
    if subtype in ("FLOAT", "DOUBLE"):
        return raw.view(order + _NUMBERS[subtype]).astype(np.float32)
    if subtype in _NUMBERS:
        return _scaled(raw.view(order + _NUMBERS[subtype]))
    if subtype == "PCM_24":
        padded = np.zeros((len(raw) // 3, 4), np.uint8)  # the low byte is the one that is missing
        padded[:, slice(0, 3) if is_big else slice(1, 4)] = raw.reshape(-1, 3)
        return _scaled(padded.reshape(-1).view(order + "i4"))
    if subtype == "PCM_S8":
        return _scaled(raw.view("i1"))
    return _byte_values(subtype)[raw]


def _scaled(values: NDArray[np.signedinteger]) -> Samples:
    return (values / 2.0 ** (8 * values.itemsize - 1)).astype(np.float32)


def _byte_values(subtype: str) -> Samples:
    """What each of the 256 bytes means in an encoding of one byte a sample, by libsndfile itself."""
    import soundfile

    all_bytes = io.BytesIO(bytes(range(256)))
    how = {"samplerate": 8000, "channels": 1, "subtype": subtype, "format": "RAW"}
    values: Samples = soundfile.read(all_bytes, dtype="float32", **how)[0]
    return values
