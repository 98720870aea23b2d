"""A run's data, as Lightning asks for it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any, Generic, TypeVar

import lightning.pytorch as lightning

from diffres_cli.recipes.recipe import Recipe
from diffres_cli.training.batches import BatchPlan, PartSampler
from diffres_cli.training.clips import EvalBatch, EvalBatches, TrainBatch, TrainBatches
from diffres_cli.training.data import TrainingData

_AHEAD = 2  # batches for each thread
_Batch = TypeVar("_Batch", TrainBatch, EvalBatch)


@dataclass(frozen=True)
class ReadAheadLoader(Generic[_Batch]):
    """Batches, some of them read before they are asked for.

    Threads read, not processes: they copy out of a memory map, for which NumPy releases the interpreter.
    Nothing passes through /dev/shm, which is small in containers, and no child can die or outlive the run.

    Attributes:
        read: a key -> a batch. keys: of all batches, in order. threads: 0 reads when a batch is asked for.
    """

    read: Callable[[Any], _Batch]
    keys: PartSampler | range
    threads: int = 0

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[_Batch]:
        if not self.threads:
            yield from map(self.read, self.keys)
            return
        pending: deque[Future[_Batch]] = deque()
        pool = ThreadPoolExecutor(self.threads, "read-ahead")
        try:
            for key in self.keys:
                pending.append(pool.submit(self.read, key))
                if len(pending) > _AHEAD * self.threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


class RunDataModule(lightning.LightningDataModule):
    """The batches of this process."""

    def __init__(self, recipe: Recipe, plan: BatchPlan, data: TrainingData) -> None:
        super().__init__()
        self.recipe, self.plan, self.data = recipe, plan, data

    def train_dataloader(self) -> ReadAheadLoader[TrainBatch]:
        """The batches of the current part of an epoch."""
        trainer = self.trainer
        assert trainer is not None
        plan = replace(self.plan, rank=trainer.global_rank, world_size=trainer.world_size)
        batches = TrainBatches(self.data.train, self.recipe)
        # Not `current_epoch`: a resumed run asks for batches before Lightning has moved that on.
        progress = trainer.fit_loop.epoch_progress
        sampler = PartSampler(plan, lambda: progress.current.processed)  # type: ignore[attr-defined]
        return ReadAheadLoader(batches.__getitem__, sampler, self.recipe.training.workers)

    def plain_batches(self, count: int) -> Callable[[], Iterator[TrainBatch]]:
        """The first batches of the run, at most `count`, without augmentation; the same in every process."""
        plain = {f"augment.{name}": 0.0 for name in ("mixup", "shift", "frequency_mask", "time_mask")}
        batches = TrainBatches(self.data.train, self.recipe.changed(plain, ""))
        plan = replace(self.plan, rank=0, world_size=1)
        parts = chain.from_iterable(map(plan.part_batches, range(plan.parts)))
        indices = list(islice(parts, count))
        return lambda: map(batches.__getitem__, indices)

    def val_dataloader(self) -> ReadAheadLoader[EvalBatch]:
        """The validation clips, in order."""
        trainer = self.trainer
        assert trainer is not None
        training = self.recipe.training
        size = max(1, training.batch_size // training.accumulate // trainer.world_size)
        batches = EvalBatches(
            self.data.validation, size, self.recipe.data.seconds, trainer.global_rank, trainer.world_size
        )
        return ReadAheadLoader(batches.__getitem__, range(len(batches)), training.workers)
