"""Lightning's Trainer, set up for a run."""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import lightning.pytorch as lightning
from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from diffres_cli.evaluation.runfolder import RunFolder
from diffres_cli.nn.network import DiffResNetwork
from diffres_cli.recipes.recipe import Recipe
from diffres_cli.training.batches import BatchPlan
from diffres_cli.training.callbacks import CheckpointWriter, EpochBar, EpochReporter, Reporter, SpeedLogger
from diffres_cli.training.data import TrainingData
from diffres_cli.training.launch import Hardware
from diffres_cli.training.state import SafetensorsIO


@dataclass(frozen=True)
class TrainingJob:
    """A run that is ready to start or to resume. command: what started it, for run.json."""

    folder: RunFolder
    recipe: Recipe
    data: TrainingData
    network: DiffResNetwork
    command: Sequence[str]
    hardware: Hardware
    reporter: Reporter


def make_trainer(job: TrainingJob, plan: BatchPlan, session: int) -> lightning.Trainer:
    """The Trainer of one session of a run. One of its epochs is one part of an epoch of the recipe."""
    training, hardware, folder = job.recipe.training, job.hardware, job.folder.path
    on_gpu = hardware.accelerator == "gpu"
    precision = {"auto": "bf16-mixed" if on_gpu else "32-true"}.get(training.precision, training.precision)
    log_every = min(10, plan.part_length(0))
    callbacks: list[lightning.Callback] = [
        SpeedLogger(log_every),
        CheckpointWriter(job.folder, training.keep, bool(job.recipe.data.soft_labels)),
        EpochReporter(job.reporter.epoch),
    ]
    settings = {
        "accelerator": hardware.accelerator,
        "devices": hardware.devices,
        "num_nodes": hardware.nodes,
        "strategy": "ddp" if hardware.world_size > 1 else "auto",
        "sync_batchnorm": hardware.world_size > 1 and on_gpu,
        "precision": precision,
        "max_epochs": training.epochs * plan.parts,
        "check_val_every_n_epoch": min(training.validate_every, training.epochs) * plan.parts,
        "reload_dataloaders_every_n_epochs": 1 if plan.parts > 1 else 0,  # parts may differ by a batch
        "accumulate_grad_batches": training.accumulate,
        "gradient_clip_val": training.clip_norm or None,
        "use_distributed_sampler": False,
        "num_sanity_val_steps": 0,
        "log_every_n_steps": log_every,
        "logger": [each(folder, "logs", str(session)) for each in (CSVLogger, TensorBoardLogger)],
        "callbacks": [*callbacks, *([EpochBar()] if job.reporter.bar else [])],
        "plugins": [SafetensorsIO(), *([hardware.cluster] if hardware.cluster else [])],
        "default_root_dir": folder,  # else it looks for Slurm's checkpoints where it was started
        "enable_checkpointing": False,
        "enable_progress_bar": job.reporter.bar,
        "enable_model_summary": False,
    }
    # Pass all other defaults explicitly: otherwise variables such as PL_TRAINER_MAX_STEPS would set them.
    known = inspect.signature(lightning.Trainer).parameters
    return lightning.Trainer(**{name: each.default for name, each in known.items()} | settings)


def silence_lightning() -> None:
    """Hide Lightning's warnings, which are for people who write their own loops."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning", "tensorboardX"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    warnings.filterwarnings("ignore", category=PossibleUserWarning)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
