"""Which clips are in which batch: a function of seed, epoch and number alone.

Nothing here remembers what was drawn before, so that a run that was killed goes on with the very batches
an uninterrupted run would have had, and each of several processes knows its part without asking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

Indices = NDArray[np.int64]
_ORDER, _BATCH = 0, 1  # streams of random numbers


@dataclass(frozen=True)
class Batch:
    """What one process hears at one step.

    Attributes:
        epoch, number: which batch, counted from 0. clips: [b], this process's, by index.
        mine: where they stand in the whole batch, which is of `whole` clips, for `world` processes.
    """

    epoch: int
    number: int
    clips: Indices
    mine: slice
    whole: int
    world: int = 1


@dataclass(frozen=True)
class Plan:
    """The batches of a run.

    Attributes:
        clips: how many there are to train on. seed: of the run.
        batch_size: clips an update sees, over all processes; accumulate: in how many batches.
        weights: [clips], how often to draw each; None: each once an epoch.
        leg: batches from one checkpoint to the next, at most.
        rank, world: this process, and how many there are.
    """

    clips: int
    batch_size: int
    seed: int
    accumulate: int = 1
    weights: NDArray[np.float64] | None = None
    leg: int = 500
    rank: int = 0
    world: int = 1

    @property
    def updates(self) -> int:
        """Updates in an epoch. What does not fill the last one is left for another epoch."""
        return max(1, self.clips // self.batch_size)

    @property
    def legs(self) -> int:
        """Checkpoints in an epoch."""
        return min(self.updates, -(-self.updates * self.accumulate // self.leg))

    def order(self, epoch: int) -> Indices:
        """The clips of an epoch in the order they are heard."""
        random = np.random.default_rng((self.seed, _ORDER, epoch))
        if self.weights is None:
            return random.permutation(self.clips)
        return random.choice(self.clips, self.clips, p=self.weights / self.weights.sum())

    def leg_batches(self, leg: int) -> Iterator[Batch]:
        """The batches of a leg, counted from 0 over all epochs, as this process hears them."""
        epoch = leg // self.legs
        order, size = self.order(epoch), min(self.batch_size, self.clips) // self.accumulate
        for number in self._numbers(leg):
            yield self._batch(epoch, number, order[number * size : (number + 1) * size])

    def leg_length(self, leg: int) -> int:
        """Batches in a leg."""
        return len(self._numbers(leg))

    def _numbers(self, leg: int) -> range:
        # Cut between updates: Lightning ends an update where it ends a leg.
        part = leg % self.legs
        first, last = (self.updates * edge // self.legs * self.accumulate for edge in (part, part + 1))
        return range(first, last)

    def _batch(self, epoch: int, number: int, clips: Indices) -> Batch:
        mine = slice(*(share_edge(len(clips), rank, self.world) for rank in (self.rank, self.rank + 1)))
        return Batch(epoch, number, clips[mine], mine, len(clips), self.world)


def share_edge(clips: int, rank: int, world: int) -> int:
    """Where the share of process `rank` begins in a batch of `world` processes; `clips` behind the last.

    Mixup's pairs stay together where there are enough for all processes.

    >>> [share_edge(22, rank, 4) for rank in range(5)]
    [0, 4, 10, 16, 22]
    """
    if rank == world:
        return clips
    unit = 2 if clips // 2 >= world else 1
    return clips // unit * rank // world * unit


class LegSampler(Sampler[Batch]):
    """The batches of the leg at hand. `leg` is asked when iteration begins."""

    def __init__(self, plan: Plan, leg: Callable[[], int]) -> None:
        self.plan, self.leg = plan, leg

    def __iter__(self) -> Iterator[Batch]:
        return self.plan.leg_batches(self.leg())

    def __len__(self) -> int:
        return self.plan.leg_length(self.leg())


def generator(seed: int, batch: Batch) -> np.random.Generator:
    """The random numbers of one batch, the same in every process."""
    return np.random.default_rng((seed, _BATCH, batch.epoch, batch.number))
