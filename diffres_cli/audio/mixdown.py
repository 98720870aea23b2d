"""A recording's channels -> what is tagged: their mean, one of them, or each; does the mean lose sound?"""

from __future__ import annotations

from typing import Literal

import numpy as np

from diffres_cli.audio.decoder import Samples

Channel = int | Literal["mix", "each"]

CANCELLED = 0.1
"""Share of the channels' mean power below which their mix has lost sound: 10 dB. Two unrelated channels keep
half of it, and so do two of which one is silent."""
_SILENT = 1e-8  # mean power, re full scale
_MIN_LOST = 0.05  # seconds
_SECTION = 1.0  # seconds: a passage in opposite phase is found in a recording that is sound otherwise


class Mixdown:
    """Takes blocks, [n, channels], and gives what is to be tagged of them.

    Args:
        channels: of the recording. sample_rate: its own, in Hz.
        channel: "mix" for the mean, "each" for all as they are, or the number of one, from 1.

    Attributes:
        cancelled: seconds in which the mix has less than `CANCELLED` of the power of its channels.
    """

    def __init__(self, channels: int, sample_rate: int, channel: Channel = "mix") -> None:
        self.channel = channel
        self.cancelled = 0.0
        self._mean = np.full(channels, 1 / channels, np.float32)
        self._sample_rate = sample_rate
        self._section = max(1, round(_SECTION * sample_rate))
        self._begin()

    def __call__(self, block: Samples) -> Samples:
        """A block of the recording -> [n], or for "each" [n, channels]. What is not finite stays so."""
        if self.channel == "each":
            return block
        if self.channel != "mix":
            return block[:, self.channel - 1]
        if len(self._mean) == 1:
            return block[:, 0]
        with np.errstate(all="ignore"):
            mono: Samples = block @ self._mean
            self._measure(block, mono)
        return mono

    @property
    def warning(self) -> str:
        """What got lost by mixing, so far; "" for nothing."""
        lost = self.cancelled + self._lost()
        if lost < _MIN_LOST:
            return ""
        return (
            f"its channels cancel each other (opposite phase?): for {lost:.2f} s their mix is over 10 dB "
            "quieter than they are; choose one channel, or each"
        )

    def _begin(self) -> None:
        """Begin another section: samples, sum of each channel, energies of all channels and of the mix."""
        self._count = 0
        self._sums = np.zeros(len(self._mean))
        self._energy = self._mix_energy = 0.0

    def _measure(self, block: Samples, mono: Samples) -> None:
        while len(block):
            room = self._section - self._count
            part, mix = block[:room].astype(np.float64), mono[:room].astype(np.float64)
            block, mono = block[room:], mono[room:]
            self._count += len(part)
            self._sums += np.einsum("ij->j", part)
            # Not by `dot`, for which OpenBLAS wakes all cores: that takes longer than the sum.
            self._energy += float(np.einsum("ij,ij->", part, part))
            self._mix_energy += float(np.einsum("i,i->", mix, mix))
            if self._count == self._section:
                self.cancelled += self._lost()
                self._begin()

    def _lost(self) -> float:
        """How many seconds of the section are cancelled: all of them, or none."""
        if not self._count:
            return 0.0
        offsets = self._sums / self._count  # which are no sound
        channels = self._energy / self._count / len(offsets) - np.square(offsets).mean()
        mix = self._mix_energy / self._count - offsets.mean() ** 2
        is_cancelled = channels > _SILENT and mix < CANCELLED * channels
        return self._count / self._sample_rate if is_cancelled else 0.0
