"""A run's data, as Lightning asks for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import lightning.pytorch as lightning
import torch
from torch.utils.data import DataLoader

from diffres_cli.training.batches import LegSampler, Plan
from diffres_cli.training.material import Tested, TestedClips, TrainingClips
from diffres_cli.training.prepare import Prepared
from diffres_cli.training.recipe import Recipe


class Loaders(lightning.LightningDataModule):
    """The batches of this process."""

    def __init__(self, recipe: Recipe, plan: Plan, prepared: Prepared) -> None:
        super().__init__()
        self.recipe, self.plan, self.prepared = recipe, plan, prepared

    def train_dataloader(self) -> DataLoader[Any]:
        """The batches of the leg at hand."""
        trainer = self.trainer
        assert trainer is not None
        plan = replace(self.plan, rank=trainer.global_rank, world=trainer.world_size)
        clips = TrainingClips(self.prepared.train, self.recipe)
        return self._loader(clips, LegSampler(plan, lambda: trainer.current_epoch))

    def val_dataloader(self) -> DataLoader[Tested]:
        """The validation clips, in order."""
        trainer = self.trainer
        assert trainer is not None
        training = self.recipe.training
        size = max(1, training.batch_size // training.accumulate // trainer.world_size)
        clips = TestedClips(
            self.prepared.validation, size, self.recipe.data.seconds, trainer.global_rank, trainer.world_size
        )
        return self._loader(clips, None)

    def _loader(self, clips: Any, sampler: Any) -> DataLoader[Any]:
        return DataLoader(
            clips,
            batch_size=None,
            sampler=sampler,
            num_workers=self.recipe.training.workers,
            pin_memory=torch.cuda.is_available(),
        )
