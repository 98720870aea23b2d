"""From a recipe to a run folder with a trained network in it."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from diffres_cli.errors import DataError, OutputError, TrainingError, UsageError
from diffres_cli.evaluation.provenance import environment
from diffres_cli.evaluation.runfolder import FINISHED, RunFolder
from diffres_cli.files import reason
from diffres_cli.locks import locked
from diffres_cli.recipes.recipe import Recipe, Training
from diffres_cli.recipes.rules import checked
from diffres_cli.training.batches import Plan
from diffres_cli.training.launch import is_main, limit_threads, stopped_by_lightning, stopped_by_signals
from diffres_cli.training.loaders import Loaders
from diffres_cli.training.material import Material
from diffres_cli.training.module import TrainingModule
from diffres_cli.training.prepare import Found, Prepared, find, prepare
from diffres_cli.training.start import starting_network
from diffres_cli.training.trainer import Job, Listener, Place, hush, make_trainer

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def train(recipe: Recipe, path: Path, command: Sequence[str], place: Place, listener: Listener) -> RunFolder:
    """Begin a run in a new folder and finish it.

    The folder is there before the first clip is decoded, which may take hours: killed in between, too, the
    run is gone on with by `resume`.

    Args:
        command: what does the same on a command line, `diffres` first; run.json notes it.

    Raises:
        DiffresError: the recipe, the data, the folder or the loss forbid it.
    """
    hush()
    folder, accelerator, cluster = RunFolder(path), place.accelerator, place.cluster
    recipe = checked(recipe)
    if is_main():
        folder.check_free()
    found = find(recipe, place.world)
    if not recipe.data.seconds:
        recipe = recipe.changed({"data.seconds": found.dataset.seconds}, "")
    network = starting_network(recipe, found.dataset, path.name)
    with _stoppable(folder):
        if is_main():
            folder.create(recipe, {"seed": recipe.training.seed, "data": found.facts, **environment(command)})
        with _alone(folder):
            try:
                prepared = _prepared(folder, found, recipe, listener)
            except DataError:
                if is_main():
                    folder.discard()
                raise
            _run(folder, Job(recipe, prepared, network, command, place, accelerator, cluster, listener))
    return folder


def resume(
    path: Path, command: Sequence[str], place: Place, listener: Listener, root: Path | None = None
) -> RunFolder:
    """Go on with a run that was stopped, from its last checkpoint.

    Args:
        command: see `train`. root: where the data is now, if it was moved.

    Raises:
        TrainingError: its recipe or its data changed. UsageError: it is finished, or at work elsewhere.
        DiffresError: as for `train`.
    """
    hush()
    folder, accelerator, cluster = RunFolder(path), place.accelerator, place.cluster
    recipe = folder.unchanged_recipe()
    if folder.read_facts().get("status") == FINISHED:
        raise UsageError(f"{path}: the run is finished; its network is {folder.weights}")
    moved = recipe if root is None else recipe.changed({"data.root": str(root)}, "--data")
    with _alone(folder), _stoppable(folder):
        found = find(moved, place.world)
        folder.check_same_data(found.facts)
        network = starting_network(recipe, found.dataset, path.name, resumed=folder.checkpoint.exists())
        prepared = _prepared(folder, found, moved, listener)
        _run(folder, Job(recipe, prepared, network, command, place, accelerator, cluster, listener))
    return folder


@contextmanager
def _alone(folder: RunFolder) -> Iterator[None]:
    """Let no other process work on the same run.

    Raises:
        UsageError: one does.
    """
    if not is_main():  # it works for the main process
        yield
        return
    with locked(folder.lock, wait=False) as held:
        if not held:
            raise UsageError(f"{folder.path}: another process is at work on this run")
        yield


@contextmanager
def _stoppable(folder: RunFolder) -> Iterator[None]:
    """Say how to go on with a run that a signal stops.

    Raises:
        TrainingError: one did.
    """
    try:
        with stopped_by_signals():
            yield
    except SystemExit as error:  # of ours, or of what Lightning makes of a signal
        if isinstance(error.__context__, KeyboardInterrupt):
            raise
        raise TrainingError(f"told to stop: `diffres train --resume {folder.path}` goes on") from error


def _prepared(folder: RunFolder, found: Found, recipe: Recipe, listener: Listener) -> Prepared:
    prepared = prepare(found, recipe, listener.decoding)
    if is_main():
        folder.update_facts(data=prepared.facts)
        folder.write_problems(prepared.problems)
    if prepared.problems:
        listener.note(
            f"{len(prepared.problems)} clips are missing or cannot be decoded: {folder.problems} has them"
        )
    return prepared


def _run(folder: RunFolder, job: Job) -> None:
    if not is_main():
        _fit(folder, job, 0)
        return
    session = folder.start_session(
        devices=job.place.world, accelerator=job.accelerator, **environment(job.command)
    )
    began = time.monotonic()
    try:
        _fit(folder, job, session)
    except BaseException as error:
        why = type(error).__name__
        with suppress(OutputError):  # the disk may be full, and that be the reason
            folder.end_session("stopped", seconds=round(time.monotonic() - began, 1), why=why)
        raise
    folder.end_session(FINISHED, seconds=round(time.monotonic() - began, 1))


def _fit(folder: RunFolder, job: Job, session: int) -> None:
    limit_threads(job.place.devices)
    plan = _plan(job.recipe, job.prepared.train)
    module = TrainingModule(job.network, job.recipe, plan)
    trainer = make_trainer(folder, job, plan, session)
    material = Loaders(job.recipe, plan, job.prepared)
    try:
        state = folder.checkpoint if folder.checkpoint.exists() else None
        with stopped_by_lightning():
            trainer.fit(module, datamodule=material, ckpt_path=state)
    except (MemoryError, RuntimeError) as error:
        if trainer.received_sigterm:  # the other processes heard it first, and closed their connections
            raise SystemExit(1) from error
        if not _is_memory(error):
            raise
        raise TrainingError(_out_of_memory(job.recipe.training, job.place.world)) from error
    except OSError as error:  # of a log: checkpoints have words of their own
        if error.errno not in _NO_ROOM:
            raise
        raise folder.disk_full(f"cannot write to {folder.path}: {reason(error)}") from error


def _out_of_memory(training: Training, world: int) -> str:
    """Which knob to turn. A batch can be heard only in as many parts as divide it."""
    size, parts = training.batch_size, training.accumulate
    more = next((n for n in range(parts + 1, size // world + 1) if size % n == 0), None)
    knobs = [f"training.accumulate={more}, which hears as much in smaller parts"] if more else []
    knobs += ["a lower training.batch_size" if size > 1 else "a lower data.seconds"]
    return (
        f"out of memory with training.batch_size={size} and training.accumulate={parts}: begin another run "
        f"with {', or '.join(knobs)}"
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


def _is_memory(error: BaseException) -> bool:
    # torch says so on a CPU, cuBLAS on a GPU: neither has a class of its own.
    words = ("can't allocate memory", "ALLOC_FAILED")
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(w in str(error) for w in words)
