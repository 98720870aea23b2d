"""A training run, as Lightning sees it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, cast

import lightning.pytorch as lightning
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel

from diffres_cli.errors import TrainingError
from diffres_cli.evaluation.metrics import TaggingMetrics
from diffres_cli.nn.diffres import DiffRes
from diffres_cli.nn.network import DiffResNetwork, NetworkOutput
from diffres_cli.nn.objectives import empty_frames, frame_rms
from diffres_cli.recipes.recipe import Optimizer, Recipe
from diffres_cli.training.augment import add_noise, mask_spectrogram, mix, mixup_partners, shift_waveform
from diffres_cli.training.batches import BatchPlan
from diffres_cli.training.clips import EvalBatch, TrainBatch
from diffres_cli.training.loss import LossTerms, cross_entropy, training_loss
from diffres_cli.training.start import batch_norms
from diffres_cli.training.statistics import estimate_statistics

MAIN_METRIC = "validation/metric"
LOSS = "validation/loss"
WEIGHT_LIMIT = 1e12  # no weight of a network that still learns is as large


class TrainingModule(lightning.LightningModule):
    """Steps, validation, optimizer."""

    def __init__(self, network: DiffResNetwork, recipe: Recipe, plan: BatchPlan) -> None:
        super().__init__()
        self.network, self.recipe, self.plan = network, recipe, plan
        self.average = _averaged(network, recipe.training.ema)
        # Checked before frames are merged: rows that are no numbers would be looked up.
        for trained in {network, self.best}:
            if isinstance(trained.reduction, DiffRes):
                trained.reduction.importance.register_forward_hook(self._check_importance)
        rates = [f"{fps:g}" for fps in recipe.rate.validation]
        self.metrics = nn.ModuleDict({fps: TaggingMetrics(network.card.multi_label) for fps in rates})

    @property
    def best(self) -> DiffResNetwork:
        """The weights to keep: averaged ones where they are."""
        return self.network if self.average is None else cast("DiffResNetwork", self.average.module)

    def on_train_epoch_start(self) -> None:
        """Freeze BatchNorm once its epoch has come: in evaluation mode it keeps its statistics."""
        for module in batch_norms(self.network):
            module.train(not self._is_norm_frozen)

    @property
    def epoch(self) -> int:
        """The epoch at hand, counted from 1: each of Lightning's is a part of one."""
        return self.current_epoch // self.plan.parts + 1

    @property
    def _is_norm_frozen(self) -> bool:
        return self._is_top_fixed or 0 < self.recipe.model.freeze_batch_norm <= self.epoch

    @property
    def _is_top_fixed(self) -> bool:
        """Whether the scores at the highest rate stay what they were."""
        return self.recipe.model.trainable == "conditioning"

    def training_step(self, batch: TrainBatch, index: int) -> Tensor:
        """Shift, mix and mask a batch, classify it at each of its frame rates; the mean loss."""
        torch.manual_seed(batch.seed + self.global_rank)  # dropout: the same after a restart
        waveform = _augmented(batch)
        targets = mix(batch.targets, batch.shares)
        terms = self._terms(batch, waveform, targets)
        total = torch.stack([each.total for each in terms]).mean()
        self._check_finite(total, "loss")
        # At full rate importance has nothing to choose.
        below = terms if self._is_top_fixed else terms[1:] or terms
        logged = {f"train/{name}": torch.stack(values).mean() for name, values in _by_name(below)}
        self.log_dict(logged | {"train/total": total}, on_step=True, on_epoch=False)
        self.log("train/fps", batch.rates[len(batch.rates) // 2])
        return total * batch.weight

    def _terms(self, batch: TrainBatch, waveform: Tensor, targets: Tensor) -> list[LossTerms]:
        """The loss at each rate; the scores at the highest one are targets of the others, too."""
        lengths, empty = _mixed_lengths(batch), self._empty(waveform)
        terms: list[LossTerms] = []
        power = logits = None
        top: NetworkOutput | None = None
        for fps in batch.rates:
            if power is None or self.network.changes_hop:
                power = mask_spectrogram(self.network.spectrogram(waveform, fps), batch.masks)
            fixed = self._is_top_fixed and top is None
            with torch.set_grad_enabled(not fixed):
                output = self.network.from_spectrogram(power, fps, lengths, self._frames(waveform), logits)
            # Checked here, since cross entropy would refuse them with a message of its own.
            self._check_finite(output.probabilities, "scores")
            if not fixed:
                embedding = None if top is None else top.embedding
                terms.append(training_loss(output, empty, targets, self.recipe.loss, embedding))
                logits = output.importance_logits
            if top is None:
                top = output
                targets = targets.lerp(output.probabilities.detach().float(), self.recipe.loss.distillation)
        return terms

    def on_train_batch_end(self, outputs: Any, batch: TrainBatch, batch_idx: int) -> None:
        """Update the averaged weights, once an update."""
        if self.average is not None and (batch_idx + 1) % self.plan.accumulate == 0:
            self.average.update_parameters(self.network)

    def on_validation_start(self) -> None:
        """Estimate the statistics of each anchor anew, if they are still learned."""
        count = self.recipe.training.statistics_batches
        if count and not self._is_norm_frozen and self.best.conditioning:
            estimate_statistics(self.best, self.trainer.datamodule.plain_batches(count))  # type: ignore[attr-defined]

    def validation_step(self, batch: EvalBatch, index: int) -> None:
        """One batch at every rate of `rate.validation`."""
        lengths = None if _all_full(batch.lengths, batch.waveform) else batch.lengths
        power: Tensor | None = None
        for fps, metrics in self._measures():
            if power is None or self.best.changes_hop:
                power = self.best.spectrogram(batch.waveform, float(fps))
            output = self.best.from_spectrogram(power, float(fps), lengths, self._frames(batch.waveform))
            metrics.update(output.probabilities.float(), batch.targets)
            loss = cross_entropy(output.probabilities, batch.targets)
            size = len(batch.targets)
            self.log(f"{LOSS}@{fps}", loss, batch_size=size, sync_dist=True)
            self.log(LOSS, loss, batch_size=size, sync_dist=True)

    def on_validation_epoch_end(self) -> None:
        """Log every metric at every rate, and the mean over rates of the one that counts."""
        counts = []
        for fps, metrics in self._measures():
            values = metrics.compute()
            metrics.reset()
            self.log_dict(
                {f"validation/{name}@{fps}": value for name, value in values.items()}, sync_dist=False
            )
            counts.append(values["mAP" if self.network.card.multi_label else "accuracy"])
        self.log(MAIN_METRIC, torch.stack([value.float() for value in counts]).mean(), prog_bar=True)

    def check_weights(self) -> None:
        """Check every weight before it is saved.

        Raises:
            TrainingError: one is no number, or too large to be of use.
        """
        for name, values in self.network.state_dict().items():
            values = values.float()
            self._check_finite(torch.where(values.abs() < WEIGHT_LIMIT, values, torch.nan), f"weights {name}")

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Adam, its rate a function of the update's number."""
        table, epochs = self.recipe.optimizer, self.recipe.training.epochs
        betas = (table.betas[0], table.betas[1])
        adam = torch.optim.Adam(
            self.network.parameters(), lr=table.lr, betas=betas, weight_decay=table.weight_decay
        )
        rate = LambdaLR(adam, lambda update: lr_factor(table, epochs, self.plan.updates, update))
        return {"optimizer": adam, "lr_scheduler": {"scheduler": rate, "interval": "step"}}

    def _measures(self) -> list[tuple[str, TaggingMetrics]]:
        return [(fps, cast("TaggingMetrics", metrics)) for fps, metrics in self.metrics.items()]

    def _frames(self, waveform: Tensor) -> int:
        return self.network.card.mel.frames(waveform.shape[1])

    def _empty(self, waveform: Tensor) -> Tensor:
        """Frames that hold no sound, [B, T]."""
        loss = self.recipe.loss
        return empty_frames(frame_rms(waveform, self.network.card.mel), loss.empty_rms, loss.empty_db)

    def _check_importance(self, network: nn.Module, inputs: Any, logits: Tensor) -> None:
        self._check_finite(logits, "importance")

    def _check_finite(self, values: Tensor, what: str) -> None:
        if not torch.isfinite(values).all():
            raise TrainingError(
                f"the {what} became {values.detach().sum().item()} in epoch {self.epoch}, update "
                f"{self.global_step + 1}, and no checkpoint was made of it: start another run, with a "
                "smaller optimizer.lr or training.clip_norm=1"
            )


def lr_factor(optimizer: Optimizer, epochs: int, updates: int, update: int) -> float:
    """What to multiply lr by at an update, counted from 0, of a run of `epochs` of `updates` each.

    >>> paper = Optimizer(first=11, factor=0.5, every=5)
    >>> [lr_factor(paper, 30, 100, epoch * 100) for epoch in (0, 9, 10, 14, 15)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """
    warm = min(1.0, (update + 1) / optimizer.warmup) if optimizer.warmup else 1.0
    if optimizer.schedule == "cosine":
        return warm * 0.5 * (1 + math.cos(math.pi * update / (epochs * updates)))
    epoch = update // updates + 1
    cuts = (epoch - optimizer.first) // optimizer.every + 1 if epoch >= optimizer.first else 0
    return float(warm * optimizer.factor**cuts)


def _by_name(terms: Sequence[LossTerms]) -> Iterator[tuple[str, list[Tensor]]]:
    yield from ((name, [getattr(each, name) for each in terms]) for name in LossTerms._fields)


def _averaged(network: DiffResNetwork, decay: float) -> AveragedModel | None:
    if not decay:
        return None
    average = AveragedModel(network, multi_avg_fn=partial(_update_average, decay), use_buffers=True)
    return average.requires_grad_(False)


@torch.no_grad()
def _update_average(
    decay: float, averages: Sequence[Tensor], values: Sequence[Tensor], updates: Tensor | int
) -> None:
    """Exponential moving average; at first over the updates so far, so that the start is soon forgotten."""
    count = int(updates)
    weight = 1 - min(decay, (1 + count) / (10 + count))
    for average, value in zip(averages, values, strict=True):
        if average.is_floating_point():
            average.lerp_(value, weight)
        else:
            average.copy_(value)  # a counter


def _augmented(batch: TrainBatch) -> Tensor:
    """Its clips, moved, mixed, louder or softer, and over noise."""
    waveform = mix(shift_waveform(batch.waveform, batch.shifts), batch.shares)
    if batch.gains is not None:
        waveform = waveform * batch.gains.unsqueeze(1)
    return waveform if batch.floors is None else add_noise(waveform, batch.floors)


def _mixed_lengths(batch: TrainBatch) -> Tensor | None:
    """Samples that are sound after shift and mixup, [B]; None where no clip is padded."""
    if _all_full(batch.lengths, batch.waveform):
        return None
    lengths = (batch.lengths + batch.shifts.clamp_min(0)).clamp_max(batch.waveform.shape[1])
    other = lengths[mixup_partners(len(lengths), lengths.device)]
    return torch.where(batch.shares < 1, torch.maximum(lengths, other), lengths)


def _all_full(lengths: Tensor, waveform: Tensor) -> bool:
    return bool((lengths == waveform.shape[1]).all())
