"""What every decoder offers, so that a recording need not know which one it has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]


class Decoder(Protocol):
    """Blocks of samples from one recording.

    `sample_rate` is in Hz. `frames`: samples a channel that the header states, None where it states none.
    `notes` say what is odd about the header. `damage` says what was wrong with the samples, "" for nothing.
    """

    notes: Sequence[str]

    sample_rate: int
    channels: int
    frames: int | None

    @property
    def damage(self) -> str:
        """What was wrong with the recording; complete once `read` has returned nothing."""
        ...

    def read(self, frames: int) -> Samples:
        """The next samples, [n, channels] with n <= frames; n = 0 at the end and only there."""
        ...

    def close(self) -> None:
        """Let go of files and processes."""
        ...
