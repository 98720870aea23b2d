"""NumPy arrays as a decoder, converted block by block so that a long one is never held twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffres_cli.audio.decoder import Decoder, Samples
from diffres_cli.errors import AudioError, SettingError, UsageError
from diffres_cli.text import printable, shortened

LOWEST_RATE, HIGHEST_RATE = 100, 1_000_000  # Hz
_MAX_CHANNELS = 1024  # libsndfile's own limit; more is an array laid out as [channels, samples]


class ArrayDecoder(Decoder):
    """Arrays that follow one another, as from a microphone, or a single one. `__init__` waits for the first.

    Args:
        arrays: [n] or [n, channels] each, any n, all with the same channels: float, or PCM as (u)int8,
            int16, int32.

    Raises:
        UsageError: no sample rate was given, or it is no whole number in range.
        AudioError: the shape or the type of an array is none of these; so does `blocks`.
    """

    def __init__(self, arrays: Iterable[NDArray[Any]], sample_rate: int | None, name: str) -> None:
        self.sample_rate = check_rate(sample_rate, name)
        self._name = printable(name)
        filled = (array for array in map(np.asarray, arrays) if not array.ndim or len(array))
        arrays = map(self._as_columns, filled)
        first = next(arrays, np.zeros((0, 1)))
        self._arrays = chain([first], arrays)
        self.channels = first.shape[1]

    def blocks(self, frames: int) -> Iterator[Samples]:
        """See `Decoder.blocks`."""
        for array in self._arrays:
            if array.shape[1] != self.channels:
                has = f"a block has {array.shape[1]} channels, the first had {self.channels}"
                raise AudioError(f"{self._name}: {has}")
            silence, full_scale = self._scale(array.dtype)
            for start in range(0, len(array), frames):
                block = array[start : start + frames]
                if full_scale > 1:
                    block = (block.astype(np.float64) - silence) / full_scale
                yield block.astype(np.float32)

    def _as_columns(self, array: NDArray[Any]) -> NDArray[Any]:
        if array.ndim not in (1, 2):
            shape = "an array of samples is [samples] or [samples, channels]"
            raise AudioError(f"{self._name}: {shape}, not of shape {array.shape}")
        columns = array.reshape(len(array), -1)
        if columns.shape[1] > _MAX_CHANNELS:
            raise AudioError(
                f"{self._name}: shape {array.shape} would be {columns.shape[1]} channels, at most "
                f"{_MAX_CHANNELS} are read; arrays are [samples, channels]: transpose it"
            )
        self._scale(array.dtype)
        return columns

    def _scale(self, dtype: np.dtype[Any]) -> tuple[int, int]:
        """(value of silence, distance from there to full scale) of a sample type."""
        if dtype.kind == "f":
            return 0, 1
        if dtype == np.uint8:  # WAV's 8 bits are unsigned
            return 128, 128
        if dtype.kind == "i" and dtype.itemsize <= 4:
            return 0, 2 ** (8 * dtype.itemsize - 1)
        allowed = "float, or PCM as uint8, int8, int16 or int32"
        raise AudioError(f"{self._name}: samples of type {dtype} are not read; allowed: {allowed}")


def check_rate(sample_rate: Any, name: str) -> int:
    """A sample rate in Hz as an int.

    Args:
        name: what the samples are called in the message.

    Raises:
        UsageError: there is none, or it is no whole number from `LOWEST_RATE` to `HIGHEST_RATE`.
    """
    if sample_rate is None:
        raise UsageError(f"{printable(name)}: an array states no sample rate: pass sample_rate, in Hz")
    is_number = isinstance(sample_rate, Real) and not isinstance(sample_rate, bool)
    if is_number and LOWEST_RATE <= sample_rate <= HIGHEST_RATE and float(sample_rate).is_integer():
        return int(sample_rate)
    allowed = f"expected a whole number of Hz, {LOWEST_RATE} to {HIGHEST_RATE}"
    raise SettingError("sample_rate", shortened(sample_rate), allowed)
