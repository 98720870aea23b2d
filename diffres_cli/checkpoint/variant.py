"""What a model does otherwise than the paper's DiffRes on mel: its front end, its reduction, its switches.

Everything here is for comparison; a model that is to be used is `PLAIN`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from diffres_cli.checkpoint.frontend import KINDS
from diffres_cli.text import shortened

REDUCTIONS = (
    "diffres",
    "hop",
    "frame-picking",
    "average-pool",
    "max-pool",
    "average-max-pool",
    "conv-average-pool",
)


@dataclass(frozen=True)
class Variant:
    """How a network comes from T input frames to t output frames.

    Attributes:
        front_end: what makes the time-frequency representation.
        reduction: "diffres"; "hop", which analyses the waveform anew at a larger hop; "frame-picking", which
            keeps the input frames nearest to that hop's; a pooling over equal stretches of time; or
            "conv-average-pool", three convolution blocks before it.
        encoding, maximum: whether the classifier sees the resolution encoding and the maximum (section 3.3),
            or else the encoding of evenly spread frames, and the mean again.
        algorithm1: whether a frame between two rows is split, so that every row is full (Algorithm 1).
        dilation: of the importance network's convolutions, for a context of 40 * dilation + 1 frames.
    """

    front_end: str = "mel"
    reduction: str = "diffres"
    encoding: bool = True
    maximum: bool = True
    algorithm1: bool = True
    dilation: int = 1

    def faults(self) -> Iterator[str]:
        """What makes it no variant of ours, in words."""
        wrong = [
            name for name in ("encoding", "maximum", "algorithm1") if type(getattr(self, name)) is not bool
        ]
        yield from (f"{name} {shortened(getattr(self, name))} is neither true nor false" for name in wrong)
        if type(self.dilation) is not int or not 1 <= self.dilation <= 1024:
            yield f"dilation {shortened(self.dilation)} is no whole number from 1 to 1024"
        if self.front_end not in KINDS:
            yield f"front_end {shortened(self.front_end)} is none of {', '.join(KINDS)}"
        if self.reduction not in REDUCTIONS:
            yield f"reduction {shortened(self.reduction)} is none of {', '.join(REDUCTIONS)}"
        if self.reduction == "hop" and self.front_end not in ("mel", "stft"):
            yield f"reduction 'hop' needs mel (front_end paper, audioset-small) or stft, not {self.front_end}"
        if self.reduction != "diffres" and asdict(self) | {"front_end": ""} != asdict(
            Variant("", self.reduction)
        ):
            yield f"encoding, maximum, algorithm1, dilation are switches of diffres, not of {self.reduction}"

    def __str__(self) -> str:
        """Words for a model card: "DiffRes", or what stands in its place.

        >>> str(Variant()), str(Variant("leaf", encoding=False)), str(Variant(reduction="max-pool"))
        ('DiffRes', 'leaf, DiffRes (encoding false)', 'max-pool')
        """
        switched = {name: value for name, value in asdict(self).items() if value != getattr(Variant(), name)}
        front = [switched.pop("front_end")] if "front_end" in switched else []
        reduction = switched.pop("reduction", "DiffRes")
        words = ", ".join(f"{name} {str(value).lower()}" for name, value in switched.items())
        return ", ".join([*front, f"{reduction} ({words})" if words else reduction])


PLAIN = Variant()
"""The paper's model."""
