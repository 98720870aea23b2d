"""Floats on the scale of integers, ±32768 in place of ±1, as a cast without a division leaves them.

They are judged by the first block that is not all zeros, since a stream is read once: they are integers
stored as floats if all are whole numbers and some go beyond ±1, or if most go beyond ±1 and some beyond ±100.
All blocks are then divided by the full scale of the 16, 24 or 32 bits that they fit in, and a note says so.
Music in floats may well go a little beyond ±1: that is left as it is. What goes beyond ±10 is noted, unless
it is a click, as damage leaves.
"""

from __future__ import annotations

import numpy as np

from diffres_cli.audio.decoder import Samples

_BITS = (16, 24, 32)
_SURELY_INTEGER, _ODD = 100, 10  # where full scale is 1
_MANY = 0.01  # of the samples of a block
_ROOM = 2  # times full scale: resampling and filters overshoot


class FullScale:
    """Takes the blocks of a recording, [n, channels], and gives them with a full scale of 1.

    Attributes:
        note: what was found about the scale so far, "" for nothing.
    """

    def __init__(self, sample_rate: int) -> None:
        self.note = ""
        self._sample_rate = sample_rate
        self._divisor = 0  # 0 while nothing but zeros was seen
        self._position = 0

    def __call__(self, block: Samples) -> Samples:
        """A block of the recording, of the same shape. What is not finite stays so."""
        with np.errstate(all="ignore"):
            if not self._divisor and block.any():
                self._find_scale(block)
            if self._divisor > 1:
                block = block / np.float32(self._divisor)
            if not self.note:
                self._find_outlier(block)
        self._position += len(block)
        return block

    def _find_scale(self, block: Samples) -> None:
        size = np.abs(block)
        peak = float(size.max())
        bits = next((bits for bits in _BITS if peak <= _ROOM * 2.0 ** (bits - 1)), None)  # None for NaN
        self._divisor = 1
        if bits is not None and _are_integers(size, peak):
            self._divisor = 2 ** (bits - 1)
            cause = f"its samples reach {peak:.6g}, where full scale is 1"
            self.note = f"{cause}: read as {bits}-bit integers stored as floats, divided by {self._divisor}"

    def _find_outlier(self, block: Samples) -> None:
        size = np.abs(block)
        odd = size > _ODD
        if odd.any() and np.mean(size > 1) > _MANY:
            place = tuple(np.argwhere(odd)[0])
            seconds = (self._position + int(place[0])) / self._sample_rate
            self.note = f"a sample is {block[place]:.6g} at {seconds:.2f} s, where full scale is 1"


def _are_integers(size: Samples, peak: float) -> bool:
    if peak <= 1:
        return False
    whole = bool((size == np.rint(size)).all())
    return whole or (peak > _SURELY_INTEGER and float(np.mean(size[size > 0] > 1)) > 0.5)
