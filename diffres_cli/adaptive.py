"""`--fps auto`: every window at a low frame rate, and again at full rate where the model is unsure.

It is sure when its best score leads the second by `MARGIN`. `bench/auto.py` fitted the margin, so that
audioset-small's best label is that of full rate for 98 % of the windows; what this costs is in
`docs/bench-auto.md`. How far it holds for another model is for that script to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from time import perf_counter

import numpy as np

from diffres_cli.card import ModelCard
from diffres_cli.labels import Indices
from diffres_cli.prediction import Floats, Pass, Prediction, Rate
from diffres_cli.runtime import Runtime
from diffres_cli.timing import slots_at

LOW = 25.0  # fps
MARGIN = 0.28


@dataclass(frozen=True)
class Heard:
    """What the model says of one window: its outputs without the batch axis, t, and the runs it took."""

    values: dict[str, Floats]
    slots: int
    passes: tuple[Pass, ...]


def rates(fps: Rate, card: ModelCard) -> tuple[float, ...]:
    """The frame rates to try in turn, lowest first.

    >>> from diffres_cli.tagger import load_tagger
    >>> rates("auto", load_tagger().card), rates(50, load_tagger().card)
    ((25.0, 100.0), (50,))
    """
    return (max(LOW, card.minimum_fps), card.maximum_fps) if fps == "auto" else (fps,)


def is_sure(probabilities: Floats, allowed: Indices | None = None) -> bool:
    """Whether the best class leads by `MARGIN`, among all or among `allowed`.

    Args:
        probabilities: [classes], each in [0, 1].

    >>> is_sure(np.array([0.2, 0.9, 0.5])), is_sure(np.array([0.2, 0.9, 0.8]))
    (True, False)
    >>> is_sure(np.array([0.2, 0.9, 0.8]), np.array([0, 2])), is_sure(np.array([0.2]))
    (True, True)
    """
    scores = probabilities if allowed is None else probabilities[allowed]
    if len(scores) < 2:
        return True
    second, best = np.partition(scores, -2)[-2:]
    return bool(best - second >= MARGIN)


def listen(
    runtime: Runtime, waveform: Floats, fps: Rate, outputs: Sequence[str], allowed: Indices | None = None
) -> list[Heard]:
    """Run the model on a batch: at `fps`, or at each of `rates` until it is sure.

    Args:
        waveform: [B, N], mono at the model's sample rate. outputs: as `Runtime.run` takes them,
            "probabilities" among them. allowed: the classes that matter; None: all.

    Returns:
        What was heard in each of the B windows, in their order.
    """
    heard = [Heard({}, 0, ())] * len(waveform)
    unsure = list(range(len(waveform)))
    since = perf_counter()
    begun = runtime.begin(waveform)
    shared = (perf_counter() - since) / len(waveform)
    frames = runtime.card.mel.frames(waveform.shape[1])
    for rate in rates(fps, runtime.card):
        rest = begun if len(unsure) == len(waveform) else {name: each[unsure] for name, each in begun.items()}
        slots = slots_at(rate, frames, runtime.card.mel.frame_rate)
        since = perf_counter()
        found = runtime.finish(rest, slots, outputs)
        seconds = shared + (perf_counter() - since) / len(unsure)
        for i, row in enumerate(unsure):
            took = Pass(rate, seconds, shared if heard[row].passes else 0.0)
            values = {name: value[i] for name, value in found.items()}
            heard[row] = Heard(values, slots, (*heard[row].passes, took))
        unsure = [row for row in unsure if not is_sure(heard[row].values["probabilities"], allowed)]
        if not unsure:
            break
    return heard


@dataclass(frozen=True)
class Effort:
    """What `--fps auto` took, to be added up over recordings. Times are of the model, in seconds.

    Attributes:
        windows, redone: how many there were, and how many were tagged twice.
        first, again: time of all first runs, and what all second ones added.
        doubted, alone: time of the first runs redone, and what their second runs alone would take.
    """

    windows: int = 0
    redone: int = 0
    first: float = 0.0
    again: float = 0.0
    doubted: float = 0.0
    alone: float = 0.0

    @classmethod
    def of(cls, prediction: Prediction) -> Effort:
        """The effort that a recording took; none of this kind at a fixed rate."""
        if prediction.fps != "auto":
            return cls()
        first = [window.passes[0] for window in prediction.windows]
        twice = [window.passes for window in prediction.windows if len(window.passes) == 2]
        return cls(
            windows=len(first),
            redone=len(twice),
            first=sum(run.seconds for run in first),
            again=sum(run.seconds - run.shared for _, run in twice),
            doubted=sum(run.seconds for run, _ in twice),
            alone=sum(run.seconds for _, run in twice),
        )

    def __add__(self, other: Effort) -> Effort:
        return Effort(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))

    @property
    def share(self) -> float:
        """The share of windows redone, 0 to 1."""
        return self.redone / self.windows if self.windows else 0.0

    @property
    def ratio(self) -> float | None:
        """Time taken over what full rate alone would take: what a second run costs was measured where
        there was one. None: there was none.

        >>> Effort(windows=10, redone=2, first=10.0, doubted=2.0, again=3.0, alone=4.0).ratio
        0.65
        """
        if not self.redone:
            return None
        return (self.first + self.again) / (self.first * self.alone / self.doubted)

    def __str__(self) -> str:
        told = f"{self.redone} of {self.windows} windows ({self.share:.0%}) redone at full rate"
        if self.ratio is None:
            return told
        change = f"{abs(1 - self.ratio):.0%} {'less' if self.ratio < 1 else 'more'}"
        return f"{told}, {self.first + self.again:.2f} s in the model, about {change} than all at full rate"
