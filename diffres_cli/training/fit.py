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
from diffres_cli.training.batches import BatchPlan
from diffres_cli.training.callbacks import Reporter
from diffres_cli.training.clips import ClipSource
from diffres_cli.training.data import FoundData, TrainingData, decode_data, find_data
from diffres_cli.training.launch import (
    Hardware,
    exit_on_signals,
    is_main_process,
    limit_threads,
    stop_after_batch_on_signals,
)
from diffres_cli.training.loaders import RunDataModule
from diffres_cli.training.module import TrainingModule
from diffres_cli.training.start import initial_network
from diffres_cli.training.trainer import TrainingJob, make_trainer, silence_lightning

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def train(
    recipe: Recipe, path: Path, command: Sequence[str], hardware: Hardware, reporter: Reporter
) -> RunFolder:
    """Start a run in a new folder and finish it.

    The folder is there before the first clip is decoded, which may take hours: `resume` resumes a run that
    was killed in between, too.

    Args:
        command: what does the same on a command line, `diffres` first; run.json notes it.

    Raises:
        DiffresError: the recipe, the data, the folder or the loss rule it out.
    """
    silence_lightning()
    hardware.check()
    folder, recipe = RunFolder(path), checked(recipe)
    if is_main_process():
        folder.check_free()
    found = find_data(recipe, hardware.world_size)
    if not recipe.data.seconds:
        recipe = recipe.changed({"data.seconds": found.dataset.seconds}, "")
    network = initial_network(recipe, found.dataset, path.name)
    with _explain_stop(folder):
        if is_main_process():
            facts = {"seed": recipe.training.seed, "data": found.facts, **environment(command)}
            folder.create(recipe, facts)
        with _locked(folder):
            try:
                data = _decode(folder, found, recipe, reporter)
            except DataError:
                if is_main_process():
                    folder.discard()
                raise
            _run(TrainingJob(folder, recipe, data, network, command, hardware, reporter))
    return folder


def resume(
    path: Path, command: Sequence[str], hardware: Hardware, reporter: Reporter, root: Path | None = None
) -> RunFolder:
    """Resume a run that was stopped, from its last checkpoint.

    Args:
        command: see `train`. root: where the data is now, if it was moved.

    Raises:
        TrainingError: its recipe or its data changed. UsageError: it is finished, or another process runs it.
        DiffresError: as for `train`.
    """
    silence_lightning()
    hardware.check()
    folder = RunFolder(path)
    recipe = folder.unchanged_recipe()
    if folder.read_facts().get("status") == FINISHED:
        raise UsageError(f"{path}: the run is finished; its network is {folder.weights}")
    moved = recipe if root is None else recipe.changed({"data.root": str(root)}, "data")
    with _locked(folder), _explain_stop(folder):
        found = find_data(moved, hardware.world_size)
        folder.check_same_data(found.facts)
        network = initial_network(recipe, found.dataset, path.name, resumed=folder.checkpoint.exists())
        data = _decode(folder, found, moved, reporter)
        _run(TrainingJob(folder, recipe, data, network, command, hardware, reporter))
    return folder


@contextmanager
def _locked(folder: RunFolder) -> Iterator[None]:
    """Let no other process work on the same run.

    Raises:
        UsageError: one does.
    """
    if not is_main_process():  # it works for the main process
        yield
        return
    with locked(folder.lock, wait=False) as held:
        if not held:
            raise UsageError(f"{folder.path}: another process is at work on this run")
        yield


@contextmanager
def _explain_stop(folder: RunFolder) -> Iterator[None]:
    """Turn a signal that stops the run into an error that explains how to resume it.

    Raises:
        TrainingError: one did.
    """
    try:
        with exit_on_signals():
            yield
    except SystemExit as error:  # of ours, or of what Lightning makes of a signal
        if isinstance(error.__context__, KeyboardInterrupt):
            raise
        raise TrainingError(f"stopped: `diffres train --resume {folder.path}` resumes the run") from error


def _decode(folder: RunFolder, found: FoundData, recipe: Recipe, reporter: Reporter) -> TrainingData:
    data = decode_data(found, recipe, reporter.decoding)
    if is_main_process():
        folder.update_facts(data={**found.facts, "clips": data.counts()})
        folder.write_problems(data.problems)
    if data.problems:
        count = len(data.problems)
        reporter.note(f"{count} clips are missing or cannot be decoded: {folder.problems} has them")
    return data


def _run(job: TrainingJob) -> None:
    if not is_main_process():
        _fit(job, 0)
        return
    hardware, folder = job.hardware, job.folder
    session = folder.start_session(
        devices=hardware.world_size, accelerator=hardware.accelerator, **environment(job.command)
    )
    began = time.monotonic()
    try:
        _fit(job, session)
    except BaseException as error:
        why = type(error).__name__
        with suppress(OutputError):  # the disk may be full, and that be the reason
            folder.end_session("stopped", seconds=round(time.monotonic() - began, 1), why=why)
        raise
    folder.end_session(FINISHED, seconds=round(time.monotonic() - began, 1))


def _fit(job: TrainingJob, session: int) -> None:
    limit_threads(job.hardware.devices)
    folder, plan = job.folder, _batch_plan(job.recipe, job.data.train)
    trainer = make_trainer(job, plan, session)
    try:
        with stop_after_batch_on_signals():
            trainer.fit(
                TrainingModule(job.network, job.recipe, plan),
                datamodule=RunDataModule(job.recipe, plan, job.data),
                ckpt_path=folder.checkpoint if folder.checkpoint.exists() else None,
            )
    except (MemoryError, RuntimeError) as error:
        if trainer.received_sigterm:  # other processes got it first, and closed their connections
            raise SystemExit(1) from error
        if not _is_out_of_memory(error):
            raise
        raise TrainingError(_out_of_memory(job.recipe.training, job.hardware.world_size)) from error
    except OSError as error:  # of a log: checkpoints have errors of their own
        if error.errno not in _NO_ROOM:
            raise
        raise folder.disk_full(f"cannot write to {folder.path}: {reason(error)}") from error


def _batch_plan(recipe: Recipe, source: ClipSource) -> BatchPlan:
    training = recipe.training
    return BatchPlan(
        clips=len(source),
        batch_size=training.batch_size,
        seed=training.seed,
        accumulate=training.accumulate,
        weights=source.targets.sampling_weights() if recipe.data.rebalance else None,
        checkpoint_every=training.checkpoint_every,
    )


def _is_out_of_memory(error: BaseException) -> bool:
    # Messages of torch on a CPU and of cuBLAS on a GPU, which have no class of their own.
    words = ("can't allocate memory", "ALLOC_FAILED")
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(w in str(error) for w in words)


def _out_of_memory(training: Training, world_size: int) -> str:
    """What to change. A batch can be trained on only in as many parts as divide it."""
    size, parts = training.batch_size, training.accumulate
    more = next((n for n in range(parts + 1, size // world_size + 1) if size % n == 0), None)
    fixes = [f"training.accumulate={more}, which takes the batch in smaller parts"] if more else []
    fixes += ["a lower training.batch_size" if size > 1 else "a lower data.seconds"]
    return (
        f"out of memory with training.batch_size={size} and training.accumulate={parts}: start another run "
        f"with {', or '.join(fixes)}"
    )
