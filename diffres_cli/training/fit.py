"""From a recipe to a run folder with a trained network in it."""

from __future__ import annotations

import logging
import math
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import torch
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch.utils.data import DataLoader

from diffres_cli.datasets.locks import locked
from diffres_cli.errors import TrainingError, UsageError
from diffres_cli.model.network import DiffResNetwork
from diffres_cli.training.batches import LegSampler, Plan
from diffres_cli.training.callbacks import Keeper, Meter, Teller
from diffres_cli.training.material import Material, Tested, TestedClips, TrainingClips
from diffres_cli.training.module import TrainingModule
from diffres_cli.training.prepare import Prepared, prepare
from diffres_cli.training.recipe import Recipe
from diffres_cli.training.rules import checked
from diffres_cli.training.runfolder import RunFolder, surroundings
from diffres_cli.training.start import starting_network
from diffres_cli.training.state import SafetensorsIO

_RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID")

Progress = Callable[[str, int, int], None]
Tell = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True)
class Place:
    """Where to train. device: "auto", "cpu" or "cuda"; devices: on each of `nodes` machines."""

    device: str = "auto"
    devices: int = 1
    nodes: int = 1

    @property
    def world(self) -> int:
        """Processes."""
        return self.devices * self.nodes

    @property
    def accelerator(self) -> str:
        """As Lightning calls it.

        Raises:
            UsageError: there is no such device here.
        """
        found = torch.cuda.device_count()
        if self.device == "cuda" and found < self.devices:
            raise UsageError(
                f"--device cuda --devices {self.devices}: {found} GPUs were found; use --device cpu"
            )
        return "gpu" if self.device == "cuda" or (self.device == "auto" and found >= self.devices) else "cpu"


@dataclass(frozen=True)
class Job:
    """A run that is ready to begin or to go on."""

    recipe: Recipe
    prepared: Prepared
    network: DiffResNetwork
    place: Place
    accelerator: str
    tell: Tell
    bar: bool


def train(recipe: Recipe, path: Path, place: Place, tell: Tell, progress: Progress, bar: bool) -> RunFolder:
    """Begin a run in a new folder and finish it.

    Args:
        tell: called with epoch and metrics after each validation. progress: while clips are decoded.
        bar: show Lightning's progress bar on standard error.

    Raises:
        DiffresError: the recipe, the data, the folder or the loss forbid it.
    """
    folder, main = RunFolder(path), is_main()
    accelerator = place.accelerator
    recipe = checked(recipe)
    if main:
        folder.refuse_taken()
    prepared = prepare(recipe, place.world, progress)
    network = starting_network(recipe, prepared.dataset, path.name)
    if main:
        folder.begin(recipe, {"seed": recipe.training.seed, "data": prepared.facts, **surroundings()})
        folder.report(prepared.problems)
    _run(folder, Job(recipe, prepared, network, place, accelerator, tell, bar))
    return folder


def resume(path: Path, place: Place, tell: Tell, progress: Progress, bar: bool) -> RunFolder:
    """Go on with a run that was stopped, from its last checkpoint.

    Raises:
        TrainingError: its recipe or its data changed, or it is finished, or at work elsewhere.
        DiffresError: as for `train`.
    """
    folder = RunFolder(path)
    recipe = folder.unchanged_recipe()
    if folder.read().get("status") == "finished":
        raise UsageError(f"{path}: the run is finished; its network is {folder.model}")
    prepared = prepare(recipe, place.world, progress)
    folder.refuse_other_data(prepared.facts)
    network = starting_network(recipe, prepared.dataset, path.name)
    _run(folder, Job(recipe, prepared, network, place, place.accelerator, tell, bar))
    return folder


def _run(folder: RunFolder, job: Job) -> None:
    if not is_main():
        _fit(folder, job, 0)
        return
    with locked(folder.path / ".lock", wait=False) as held:
        if not held:
            raise UsageError(f"{folder.path}: another process is at work on this run")
        session = folder.begin_session(devices=job.place.world, accelerator=job.accelerator)
        began = time.monotonic()
        try:
            _fit(folder, job, session)
        except BaseException as error:
            why = type(error).__name__
            folder.end_session("stopped", seconds=round(time.monotonic() - began, 1), why=why)
            raise
        folder.end_session("finished", seconds=round(time.monotonic() - began, 1))


def _fit(folder: RunFolder, job: Job, session: int) -> None:
    _hush()
    plan = _plan(job.recipe, job.prepared.train)
    module = TrainingModule(job.network, job.recipe, plan)
    trainer = _trainer(folder, job, plan, session)
    material = Loaders(job.recipe, plan, job.prepared)
    try:
        trainer.fit(module, datamodule=material, ckpt_path=folder.state if folder.state.exists() else None)
    except SystemExit as error:  # SIGTERM, or what Lightning makes of Ctrl-C
        if isinstance(error.__context__, KeyboardInterrupt):
            raise
        raise TrainingError(f"told to stop: `diffres train --resume {folder.path}` goes on") from error
    except (MemoryError, RuntimeError) as error:
        if not _is_memory(error):
            raise
        training = job.recipe.training
        raise TrainingError(
            f"out of memory with training.batch_size {training.batch_size} in {training.accumulate} parts; "
            f"training.accumulate={training.accumulate * 2} gives the same updates in smaller parts, "
            "or lower training.batch_size"
        ) from error


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


def _plan(recipe: Recipe, material: Material) -> Plan:
    training = recipe.training
    weights = material.targets.weights() if recipe.data.rebalance else None
    return Plan(
        len(material),
        training.batch_size,
        training.seed,
        training.accumulate,
        weights,
        training.checkpoint_every,
    )


def _trainer(folder: RunFolder, job: Job, plan: Plan, session: int) -> lightning.Trainer:
    recipe, place, accelerator = job.recipe, job.place, job.accelerator
    training = recipe.training
    precision = {"auto": "bf16-mixed" if accelerator == "gpu" else "32-true"}.get(
        training.precision, training.precision
    )
    save, name, version = folder.path, "logs", str(session)
    every = min(10, plan.leg_length(0))
    callbacks: list[lightning.Callback] = [
        Meter(every),
        Keeper(folder, training.keep, bool(recipe.data.soft_labels)),
    ]
    callbacks += [Teller(job.tell), *([RichProgressBar(console_kwargs={"stderr": True})] if job.bar else [])]
    return lightning.Trainer(
        accelerator=accelerator,
        devices=place.devices,
        num_nodes=place.nodes,
        strategy="ddp" if place.world > 1 else "auto",
        sync_batchnorm=place.world > 1 and accelerator == "gpu",
        precision=precision,  # type: ignore[arg-type]
        max_epochs=training.epochs * plan.legs,
        check_val_every_n_epoch=training.validate_every * plan.legs,
        reload_dataloaders_every_n_epochs=1 if plan.legs > 1 else 0,  # legs may differ by a batch
        accumulate_grad_batches=training.accumulate,
        gradient_clip_val=training.clip_norm or None,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        log_every_n_steps=every,
        logger=[CSVLogger(save, name, version), TensorBoardLogger(save, name, version)],
        callbacks=callbacks,
        plugins=[SafetensorsIO()],
        enable_checkpointing=False,
        enable_progress_bar=job.bar,
        enable_model_summary=False,
    )


def is_main() -> bool:
    """Whether this process tells and writes.

    Lightning starts the same command again for each further process and says by LOCAL_RANK which it is;
    torchrun and Slurm do so on each node.
    """
    return all(int(os.environ.get(name) or 0) == 0 for name in _RANKS)


def _is_memory(error: BaseException) -> bool:
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in str(error)


def _hush() -> None:
    """Lightning's advice is for people who write their own loops."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning", "tensorboardX"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")


def best_score(facts: dict[str, Any]) -> float:
    """The validation metric of the network that was kept; NaN before there is one."""
    return float(facts.get("best", {}).get("validation/metric", math.nan))
