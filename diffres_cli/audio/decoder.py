"""What every decoder offers, so that a recording need not know which one it has; and what one decodes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Stream:
    """One of the streams of samples that follow one another in a file; most files are one.

    Attributes:
        pieces: the bytes of a copy to read in place of the file, once; None: the file itself will do.
        states_length: whether the stream states a length that is to be kept to.
        notes: what is odd about its header. damage: what is wrong with its data.
        gaps: (first sample, samples) that are silence in the copy, where the file is damaged.
    """

    pieces: Iterable[bytes] | None = None
    states_length: bool = True
    notes: Sequence[str] = ()
    damage: str = ""
    gaps: tuple[tuple[int, int], ...] = ()


class Decoder(ABC):
    """The samples of one recording.

    Attributes:
        sample_rate: Hz. channels: how many.
        frames: samples per channel that the header states, None where it states none.
        notes: what is odd about the header.
        damage: what was wrong with the samples, "" for nothing; complete once all were read.
    """

    sample_rate: int
    channels: int
    frames: int | None = None
    notes: Sequence[str] = ()
    damage: str = ""

    @abstractmethod
    def blocks(self, frames: int) -> Iterator[Samples]:
        """All samples, once: [n, channels], with n > 0 and about `frames` at most.

        Raises:
            AudioError: the system cannot read the recording, or it is of a kind that is refused.
        """

    def close(self) -> None:  # noqa: B027 (most have nothing to close)
        """Close the files and processes it opened; those it was given stay open."""
