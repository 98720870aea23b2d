"""Lightning's Trainer, set up for a run."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as lightning
import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from diffres_cli.errors import UsageError
from diffres_cli.evaluation.runfolder import RunFolder
from diffres_cli.nn.network import DiffResNetwork
from diffres_cli.recipes.recipe import Recipe
from diffres_cli.training.batches import Plan
from diffres_cli.training.callbacks import Keeper, Meter, Teller
from diffres_cli.training.launch import cluster_environment, explicit_trainer
from diffres_cli.training.prepare import Prepared
from diffres_cli.training.state import SafetensorsIO


@dataclass(frozen=True)
class Listener:
    """Who hears of a run while it runs.

    Attributes:
        epoch: called with number and metrics after each validation. decoding: with the split, clips done,
            and of how many. note: with what a person should know. bar: show Lightning's progress bar.
    """

    epoch: Callable[[int, dict[str, float]], None]
    decoding: Callable[[str, int, int], None]
    note: Callable[[str], None]
    bar: bool = False


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
            raise UsageError(f"device cuda, devices {self.devices}: {found} GPUs were found; choose cpu")
        return "gpu" if self.device == "cuda" or (self.device == "auto" and found >= self.devices) else "cpu"

    @property
    def cluster(self) -> ClusterEnvironment | None:
        """What tells each process its rank; None: what Lightning finds.

        Raises:
            UsageError: Slurm or torchrun started another number of processes.
        """
        return cluster_environment(self.devices, self.nodes)


@dataclass(frozen=True)
class Job:
    """A run that is ready to begin or to go on."""

    recipe: Recipe
    prepared: Prepared
    network: DiffResNetwork
    command: Sequence[str]
    place: Place
    accelerator: str
    cluster: ClusterEnvironment | None
    listener: Listener


class Bar(RichProgressBar):
    """Lightning's progress bar, on standard error, counting epochs as people do."""

    def __init__(self) -> None:
        super().__init__(console_kwargs={"stderr": True})

    def get_metrics(self, trainer: Any, pl_module: Any) -> dict[str, Any]:
        """Without the version of the log, which says nothing here."""
        return {
            name: value for name, value in super().get_metrics(trainer, pl_module).items() if name != "v_num"
        }

    def _get_train_description(self, current_epoch: int) -> str:
        module: Any = self.trainer.lightning_module
        legs = module.plan.legs  # the bar is a leg's
        part = f", part {current_epoch % legs + 1} of {legs}" if legs > 1 else ""
        return f"Epoch {module.epoch} of {module.recipe.training.epochs}{part}"


def make_trainer(folder: RunFolder, job: Job, plan: Plan, session: int) -> lightning.Trainer:
    """The Trainer of one session of a run; its epochs are our legs."""
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
    callbacks += [Teller(job.listener.epoch), *([Bar()] if job.listener.bar else [])]
    return explicit_trainer(
        accelerator=accelerator,
        devices=place.devices,
        num_nodes=place.nodes,
        strategy="ddp" if place.world > 1 else "auto",
        sync_batchnorm=place.world > 1 and accelerator == "gpu",
        precision=precision,
        max_epochs=training.epochs * plan.legs,
        check_val_every_n_epoch=min(training.validate_every, training.epochs) * plan.legs,
        reload_dataloaders_every_n_epochs=1 if plan.legs > 1 else 0,  # legs may differ by a batch
        accumulate_grad_batches=training.accumulate,
        gradient_clip_val=training.clip_norm or None,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        log_every_n_steps=every,
        logger=[CSVLogger(save, name, version), TensorBoardLogger(save, name, version)],
        callbacks=callbacks,
        plugins=[SafetensorsIO(), *([job.cluster] if job.cluster else [])],
        default_root_dir=folder.path,  # else it looks for Slurm's checkpoints where it was started
        enable_checkpointing=False,
        enable_progress_bar=job.listener.bar,
        enable_model_summary=False,
    )


def hush() -> None:
    """Lightning's advice is for people who write their own loops."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning", "tensorboardX"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    warnings.filterwarnings("ignore", category=PossibleUserWarning)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
