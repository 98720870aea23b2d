"""A NumPy array as a decoder, converted block by block so that a long one is never held twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffres_cli.audio.decoder import Samples
from diffres_cli.errors import AudioError, SettingError, UsageError
from diffres_cli.text import printable

_MOST_CHANNELS = 1024  # libsndfile's own limit; more is an array laid out as [channels, samples]


class ArrayDecoder:
    """A `Decoder` on an array of shape [N] or [N, channels]: float, or PCM as (u)int8, int16, int32.

    Raises:
        UsageError: no sample rate was given, or it is no whole number.
        AudioError: the shape or the type is none of these.
    """

    notes: Sequence[str] = ()
    damage = ""

    def __init__(self, array: NDArray[Any], sample_rate: int | None, name: str) -> None:
        rate = check_rate(sample_rate, name)
        if array.ndim not in (1, 2):
            shape = "an array of samples is [samples] or [samples, channels]"
            raise AudioError(f"{printable(name)}: {shape}, not of shape {array.shape}")
        self._array = array.reshape(len(array), -1) if len(array) else array.reshape(0, 1)
        if self._array.shape[1] > _MOST_CHANNELS:
            raise AudioError(
                f"{printable(name)}: shape {array.shape} would be {self._array.shape[1]} channels, at most "
                f"{_MOST_CHANNELS} are read; arrays are [samples, channels]: transpose it"
            )
        self._zero, self._full_scale = _scale(array.dtype, name)
        self._position = 0
        self.sample_rate = rate
        self.frames: int | None = len(array)
        self.channels = self._array.shape[1]

    def read(self, frames: int) -> Samples:
        """See `Decoder.read`."""
        block = self._array[self._position : self._position + frames]
        self._position += len(block)
        if self._full_scale == 1:
            return block.astype(np.float32)
        return ((block.astype(np.float64) - self._zero) / self._full_scale).astype(np.float32)

    def close(self) -> None:
        """Nothing to let go of."""


class BlocksDecoder:
    """A `Decoder` on blocks of samples that come one after another, as from a microphone.

    Args:
        blocks: arrays as `ArrayDecoder` takes them, all with the same channels.

    Raises:
        AudioError: a block is no array of samples, or has other channels than the first.
        UsageError: see `ArrayDecoder`.
    """

    notes: Sequence[str] = ()
    damage = ""
    frames: int | None = None

    def __init__(self, blocks: Iterable[NDArray[Any]], sample_rate: int | None, name: str) -> None:
        self.sample_rate = check_rate(sample_rate, name)
        self._name = name
        self._blocks = (np.asarray(block) for block in blocks)
        self._current = self._next_block() or ArrayDecoder(np.zeros(0, np.float32), sample_rate, name)
        self.channels = self._current.channels

    def read(self, frames: int) -> Samples:
        """See `Decoder.read`."""
        while not len(samples := self._current.read(frames)):
            following = self._next_block()
            if following is None:
                break
            if following.channels != self.channels:
                raise AudioError(
                    f"{printable(self._name)}: a block has {following.channels} channels, the first had "
                    f"{self.channels}"
                )
            self._current = following
        return samples

    def close(self) -> None:
        """Nothing to close."""

    def _next_block(self) -> ArrayDecoder | None:
        block = next((block for block in self._blocks if not block.ndim or len(block)), None)
        return None if block is None else ArrayDecoder(block, self.sample_rate, self._name)


def check_rate(sample_rate: Any, name: str) -> int:
    """A sample rate in Hz as an int.

    Args:
        name: what the samples are called in the message.

    Raises:
        UsageError: there is none, or it is no whole number.
    """
    if sample_rate is None:
        raise UsageError(f"{printable(name)}: an array states no sample rate: pass sample_rate, in Hz")
    is_number = isinstance(sample_rate, Real) and not isinstance(sample_rate, bool)
    if is_number and float(sample_rate).is_integer():
        return int(sample_rate)
    raise SettingError("sample_rate", sample_rate, "expected a whole number of Hz")


def _scale(dtype: np.dtype[Any], name: str) -> tuple[int, int]:
    """(the value of silence, the distance from there to full scale) of a sample type."""
    if dtype.kind == "f":
        return 0, 1
    if dtype == np.uint8:  # WAV's 8 bits are unsigned
        return 128, 128
    if dtype.kind == "i" and dtype.itemsize <= 4:
        return 0, 2 ** (8 * dtype.itemsize - 1)
    allowed = "float, or PCM as uint8, int8, int16 or int32"
    raise AudioError(f"{printable(name)}: samples of type {dtype} are not read; allowed: {allowed}")
