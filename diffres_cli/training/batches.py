"""Which clips are in which batch: a function of seed, epoch and number alone.

No state is kept between batches. A killed run therefore resumes with exactly the batches an uninterrupted one
would have had, and each of several processes knows its share without asking.
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
class BatchIndices:
    """The clips of one process in one batch.

    Attributes:
        epoch, number: which batch, counted from 0. clips: [b], this process's, by index.
        rows: where they stand in the whole batch, which has `total` clips for `world_size` processes.
    """

    epoch: int
    number: int
    clips: Indices
    rows: slice
    total: int
    world_size: int = 1


@dataclass(frozen=True)
class BatchPlan:
    """The batches of a run. An epoch has one part or more, each of which ends with a checkpoint.

    Attributes:
        clips: how many there are to train on. seed: of the run.
        batch_size: clips an update sees, over all processes; accumulate: in how many batches.
        weights: [clips], how often to draw each; None: each once an epoch.
        checkpoint_every: batches in a part, at most.
        rank, world_size: this process, and how many there are.
    """

    clips: int
    batch_size: int
    seed: int
    accumulate: int = 1
    weights: NDArray[np.float64] | None = None
    checkpoint_every: int = 500
    rank: int = 0
    world_size: int = 1

    @property
    def updates(self) -> int:
        """Updates in an epoch. What does not fill the last one is left for another epoch."""
        return max(1, self.clips // self.batch_size)

    @property
    def parts(self) -> int:
        """Parts of an epoch."""
        return min(self.updates, -(-self.updates * self.accumulate // self.checkpoint_every))

    def order(self, epoch: int) -> Indices:
        """The clips of an epoch in the order of training."""
        random = np.random.default_rng((self.seed, _ORDER, epoch))
        if self.weights is None:
            return random.permutation(self.clips)
        return random.choice(self.clips, self.clips, p=self.weights / self.weights.sum())

    def part_batches(self, part: int) -> Iterator[BatchIndices]:
        """The batches of a part, counted from 0 over all epochs, as far as they are this process's."""
        epoch = part // self.parts
        order, size = self.order(epoch), min(self.batch_size, self.clips) // self.accumulate
        for number in self._numbers(part):
            yield self._batch(epoch, number, order[number * size : (number + 1) * size])

    def part_length(self, part: int) -> int:
        """Batches in a part."""
        return len(self._numbers(part))

    def _numbers(self, part: int) -> range:
        # Cut between updates: Lightning ends an update where its epoch, our part, ends.
        part %= self.parts
        first, last = (self.updates * edge // self.parts * self.accumulate for edge in (part, part + 1))
        return range(first, last)

    def _batch(self, epoch: int, number: int, clips: Indices) -> BatchIndices:
        rows = slice(*(share_start(len(clips), rank, self.world_size) for rank in (self.rank, self.rank + 1)))
        return BatchIndices(epoch, number, clips[rows], rows, len(clips), self.world_size)


def share_start(clips: int, rank: int, world_size: int) -> int:
    """Where the share of process `rank` begins in a batch of `world_size` processes; `clips` after the last.

    Mixup's pairs stay together where there are enough for all processes.

    >>> [share_start(22, rank, 4) for rank in range(5)]
    [0, 4, 10, 16, 22]
    """
    if rank == world_size:
        return clips
    unit = 2 if clips // 2 >= world_size else 1
    return clips // unit * rank // world_size * unit


class PartSampler(Sampler[BatchIndices]):
    """The batches of the current part. `part` is called when iteration begins."""

    def __init__(self, plan: BatchPlan, part: Callable[[], int]) -> None:
        self.plan, self.part = plan, part

    def __iter__(self) -> Iterator[BatchIndices]:
        return self.plan.part_batches(self.part())

    def __len__(self) -> int:
        return self.plan.part_length(self.part())


def batch_generator(seed: int, batch: BatchIndices) -> np.random.Generator:
    """The random numbers of one batch, the same in every process."""
    return np.random.default_rng((seed, _BATCH, batch.epoch, batch.number))
