"""How a model differs from the paper's DiffRes on mel: its front end, its reduction, its switches.

Everything here is for comparison, except `importance` and `conditioning`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from diffres_cli.checkpoint.frontend import MAX_FPS
from diffres_cli.checkpoint.parts import FRONT_END_KINDS, IMPORTANCE_NETWORKS, REDUCTIONS, spec_of_kind
from diffres_cli.checkpoint.registry import is_import_path
from diffres_cli.text import shortened

_REGISTRIES = {"front_end": FRONT_END_KINDS, "reduction": REDUCTIONS, "importance": IMPORTANCE_NETWORKS}
CONDITIONINGS = ("nothing", "statistics", "affine", "light", "all")
"""Which parts of a backbone depend on the frame rate; each option includes those before it."""
MAX_ANCHORS = 16
_SWITCHES = ("encoding", "maximum", "algorithm1", "dilation", "importance")


@dataclass(frozen=True)
class Variant:
    """How a network comes from T input frames to t output frames. Names are those of `parts`.

    Attributes:
        front_end: what makes the time-frequency representation.
        reduction: "diffres"; "hop", which analyses the waveform at a larger hop; "frame-picking", which
            keeps the input frames nearest to that hop's; a pooling over equal stretches of time; or
            "conv-average-pool", three convolution blocks before it.
        encoding, maximum: whether the classifier sees the resolution encoding and the maximum (section 3.3),
            or else the encoding of evenly spread frames, and the mean again.
        algorithm1: whether a frame between two rows is split, so that every row is full (Algorithm 1).
        dilation: of the importance network's convolutions, for a context of 40 * dilation + 1 frames.
        importance: the network that scores the frames.
        conditioning: what in the backbone depends on the frame rate: "statistics" of BatchNorm, kept for each
            anchor; "affine", its weights and biases too; "light", depthwise and the first convolutions too;
            "all" features; or "nothing". anchors: frame rates, fps, the highest first.
    """

    front_end: str = "mel"
    reduction: str = "diffres"
    encoding: bool = True
    maximum: bool = True
    algorithm1: bool = True
    dilation: int = 1
    importance: str = "resconv1d"
    conditioning: str = "nothing"
    anchors: tuple[float, ...] = ()

    def faults(self) -> Iterator[str]:
        """A message for each value that is not allowed."""
        wrong = [
            name for name in ("encoding", "maximum", "algorithm1") if type(getattr(self, name)) is not bool
        ]
        yield from (f"{name} {shortened(getattr(self, name))} is neither true nor false" for name in wrong)
        if type(self.dilation) is not int or not 1 <= self.dilation <= 1024:
            yield f"dilation {shortened(self.dilation)} is not a whole number from 1 to 1024"
        for name, registry in _REGISTRIES.items():
            if not registry.accepts(getattr(self, name)):
                yield f"{name} {shortened(getattr(self, name))} is none of {registry.describe()}"
        yield from self._conditioning_faults()
        known = FRONT_END_KINDS.accepts(self.front_end)
        if self.reduction == "hop" and known and not spec_of_kind(self.front_end).any_hop:
            yield f"reduction 'hop' needs mel (front_end paper, audioset-small) or stft, not {self.front_end}"
        if self.switches and self.reduction != "diffres" and not is_import_path(self.reduction):
            yield f"{', '.join(_SWITCHES)} are switches of diffres, not of {self.reduction}"

    def _conditioning_faults(self) -> Iterator[str]:
        if self.conditioning not in CONDITIONINGS:
            yield f"conditioning {shortened(self.conditioning)} is none of {', '.join(CONDITIONINGS)}"
        elif self.conditioning == "nothing" and self.anchors:
            yield f"anchors {shortened(self.anchors)} without a conditioning"
        elif self.conditioning != "nothing" and not _are_anchors(self.anchors):
            most = f"1 to {MAX_ANCHORS} frame rates, the highest first"
            yield f"anchors {shortened(self.anchors)} must be {most}, for conditioning {self.conditioning}"

    @property
    def switches(self) -> dict[str, Any]:
        """The arguments of the reduction that differ from its defaults."""
        return {
            name: getattr(self, name)
            for name in _SWITCHES
            if getattr(self, name) != getattr(PAPER_VARIANT, name)
        }

    @property
    def import_paths(self) -> list[str]:
        """The parts that are named by import path."""
        return [name for name in (self.front_end, self.reduction, self.importance) if is_import_path(name)]

    def __str__(self) -> str:
        """Words for a model card: "DiffRes", or what replaces it.

        >>> str(Variant()), str(Variant("leaf", encoding=False)), str(Variant(reduction="max-pool"))
        ('DiffRes', 'leaf, DiffRes (encoding false)', 'max-pool')
        """
        switched = {name: value for name, value in asdict(self).items() if value != getattr(Variant(), name)}
        front = [switched.pop("front_end")] if "front_end" in switched else []
        reduction, anchors = switched.pop("reduction", "DiffRes"), switched.pop("anchors", ())
        if anchors:
            switched["conditioning"] += " at " + ", ".join(f"{fps:g}" for fps in anchors) + " fps"
        words = ", ".join(
            f"{name} {value if isinstance(value, str) else str(value).lower()}"
            for name, value in switched.items()
        )
        return ", ".join([*front, f"{reduction} ({words})" if words else reduction])


def _are_anchors(values: Any) -> bool:
    """Whether these are frame rates, the highest first."""
    if not isinstance(values, tuple) or any(type(each) not in (int, float) for each in values):
        return False
    falling = all(before > after for before, after in pairwise((MAX_FPS + 1, *values, 0)))
    return 1 <= len(values) <= MAX_ANCHORS and falling


PAPER_VARIANT = Variant()
"""The paper's model."""
