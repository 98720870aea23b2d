"""Who starts a run's processes, what stops them, and what Lightning must not take from its environment."""

from __future__ import annotations

import inspect
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType
from typing import Any

import lightning.pytorch as lightning
import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from diffres_cli.cores import available_cores
from diffres_cli.errors import UsageError

_STOPS = ("SIGTERM", "SIGUSR1")
_RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID")


def is_main() -> bool:
    """Whether this process tells and writes.

    Lightning starts the same command again for each further process and says by LOCAL_RANK which it is;
    torchrun and Slurm do so on each node.
    """
    return all(int(os.environ.get(name) or 0) == 0 for name in _RANKS)


def cluster_environment(devices: int, nodes: int) -> ClusterEnvironment | None:
    """What tells each process its rank: torchrun, Slurm, or (None) what Lightning finds.

    Slurm's comes without Lightning's requeueing, which writes a checkpoint into the working directory that
    every later run started there would load.

    Raises:
        UsageError: as many processes were not started as `devices` on each of `nodes` are.
    """
    environment: ClusterEnvironment
    if TorchElasticEnvironment.detect():
        environment, launcher = TorchElasticEnvironment(), "torchrun"
    elif not SLURMEnvironment.detect():
        return None
    elif int(os.environ["SLURM_NTASKS"]) == 1 or (devices * nodes == 1 and is_main()):
        return LightningEnvironment()  # this process, which starts the others
    else:
        environment, launcher = _slurm(), "Slurm"
    if environment.world_size() != devices * nodes:
        raise UsageError(
            f"--devices {devices} --nodes {nodes}: needs {devices * nodes} processes, {launcher} has "
            f"{environment.world_size()}; give --devices as many as it starts on each machine"
        )
    return environment


def _slurm() -> SLURMEnvironment:
    try:
        return SLURMEnvironment(auto_requeue=False)
    except RuntimeError as error:
        raise UsageError(
            f"SLURM_NTASKS is {os.environ['SLURM_NTASKS']}: say --ntasks-per-node to Slurm, too"
        ) from error


def explicit_trainer(**settings: Any) -> lightning.Trainer:
    """A Trainer with every argument given: others would come from variables such as PL_TRAINER_MAX_STEPS."""
    known = inspect.signature(lightning.Trainer).parameters
    return lightning.Trainer(**{name: each.default for name, each in known.items()} | settings)


def limit_threads(processes: int) -> None:
    """Let each of this machine's `processes` use its share of the available cores."""
    share = max(1, available_cores() // processes)
    if processes > 1:
        os.environ.setdefault("OMP_NUM_THREADS", str(share))  # for those that Lightning starts
    torch.set_num_threads(min(torch.get_num_threads(), share))


def stopped_by_signals() -> AbstractContextManager[None]:
    """Within this block SIGTERM, and SIGUSR1 as Slurm sends it before a job ends, raise SystemExit."""
    return _handling(dict.fromkeys(_STOPS, _stop))


def stopped_by_lightning() -> AbstractContextManager[None]:
    """Within this block Lightning ends its fit between two batches at SIGTERM, as it does, and at SIGUSR1."""
    # A handler of ours for SIGTERM would be called by Lightning's, and raise in the middle of a step.
    return _handling({"SIGTERM": signal.SIG_DFL, "SIGUSR1": _as_sigterm})


@contextmanager
def _handling(handlers: dict[str, Any]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # only that one may
        yield
        return
    known = {getattr(signal, name): held for name, held in handlers.items() if hasattr(signal, name)}
    before = {number: signal.signal(number, handler) for number, handler in known.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _as_sigterm(number: int, frame: FrameType | None) -> None:
    signal.raise_signal(signal.SIGTERM)
