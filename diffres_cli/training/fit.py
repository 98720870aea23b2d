"""From a recipe to a run folder with a trained network in it."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

import torch

from diffres_cli.datasets.locks import locked
from diffres_cli.errors import OutputError, TrainingError, UsageError
from diffres_cli.training.batches import Plan
from diffres_cli.training.loaders import Loaders
from diffres_cli.training.material import Material
from diffres_cli.training.module import TrainingModule
from diffres_cli.training.prepare import find, prepare
from diffres_cli.training.recipe import Recipe
from diffres_cli.training.rules import checked
from diffres_cli.training.runfolder import RunFolder, surroundings
from diffres_cli.training.start import starting_network
from diffres_cli.training.trainer import Job, Listener, Place, hush, make_trainer

_RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID")


def train(recipe: Recipe, path: Path, place: Place, listener: Listener) -> RunFolder:
    """Begin a run in a new folder and finish it.

    Raises:
        DiffresError: the recipe, the data, the folder or the loss forbid it.
    """
    folder, accelerator = RunFolder(path), place.accelerator
    recipe = checked(recipe)
    if is_main():
        folder.refuse_taken()
    found = find(recipe, place.world)
    network = starting_network(recipe, found.dataset, path.name)
    prepared = prepare(found, recipe, listener.decoding)
    if is_main():
        folder.begin(recipe, {"seed": recipe.training.seed, "data": prepared.facts, **surroundings()})
        folder.report(prepared.problems)
    if prepared.problems:
        listener.note(
            f"{len(prepared.problems)} clips are missing or cannot be decoded: {path}/clips.csv has them"
        )
    _run(folder, Job(recipe, prepared, network, place, accelerator, listener))
    return folder


def resume(path: Path, place: Place, listener: Listener, root: Path | None = None) -> RunFolder:
    """Go on with a run that was stopped, from its last checkpoint.

    Args:
        root: where the data is now, if it was moved.

    Raises:
        TrainingError: its recipe or its data changed. UsageError: it is finished, or at work elsewhere.
        DiffresError: as for `train`.
    """
    folder = RunFolder(path)
    recipe = folder.unchanged_recipe()
    if folder.read().get("status") == "finished":
        raise UsageError(f"{path}: the run is finished; its network is {folder.model}")
    moved = recipe if root is None else recipe.changed({"data.root": str(root)}, "--data")
    found = find(moved, place.world)
    network = starting_network(recipe, found.dataset, path.name, resumed=folder.state.exists())
    prepared = prepare(found, moved, listener.decoding)
    folder.refuse_other_data(prepared.facts)
    _run(folder, Job(recipe, prepared, network, place, place.accelerator, listener))
    return folder


def _run(folder: RunFolder, job: Job) -> None:
    if not is_main():
        _fit(folder, job, 0)
        return
    with locked(folder.path / ".lock", wait=False) as held:
        if not held:
            raise UsageError(f"{folder.path}: another process is at work on this run")
        session = folder.begin_session(devices=job.place.world, accelerator=job.accelerator, **surroundings())
        began = time.monotonic()
        try:
            _fit(folder, job, session)
        except BaseException as error:
            why = type(error).__name__
            with suppress(OutputError):  # the disk may be full, and that be the reason
                folder.end_session("stopped", seconds=round(time.monotonic() - began, 1), why=why)
            raise
        folder.end_session("finished", seconds=round(time.monotonic() - began, 1))


def _fit(folder: RunFolder, job: Job, session: int) -> None:
    hush()
    plan = _plan(job.recipe, job.prepared.train)
    module = TrainingModule(job.network, job.recipe, plan)
    trainer = make_trainer(folder, job, plan, session)
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
            f"training.accumulate={training.accumulate * 2} hears as much in smaller parts, "
            "or lower training.batch_size"
        ) from error


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


def is_main() -> bool:
    """Whether this process tells and writes.

    Lightning starts the same command again for each further process and says by LOCAL_RANK which it is;
    torchrun and Slurm do so on each node.
    """
    return all(int(os.environ.get(name) or 0) == 0 for name in _RANKS)


def _is_memory(error: BaseException) -> bool:
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in str(error)
