"""Where a run trains, who starts its processes, and which signals stop them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from types import FrameType
from typing import Any

import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from diffres_cli.cores import available_cores
from diffres_cli.errors import SettingError, UsageError

_STOP_SIGNALS = ("SIGTERM", "SIGUSR1")
_RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID")


def is_main_process() -> bool:
    """Whether this process reports and writes.

    Lightning starts the same command again for each further process and sets LOCAL_RANK in it;
    torchrun and Slurm do so on each node.
    """
    return all(int(os.environ.get(name) or 0) == 0 for name in _RANKS)


@dataclass(frozen=True)
class Hardware:
    """Where to train. device: "auto", "cpu" or "cuda"; devices: on each of `nodes` machines."""

    device: str = "auto"
    devices: int = 1
    nodes: int = 1

    def check(self) -> None:
        """Raises UsageError if there is no such device, or another number of processes was started."""
        _ = self.accelerator, self.cluster

    @property
    def world_size(self) -> int:
        """Processes."""
        return self.devices * self.nodes

    @property
    def accelerator(self) -> str:
        """As Lightning calls it: "gpu" or "cpu".

        Raises:
            UsageError: there are not as many GPUs here.
        """
        found = torch.cuda.device_count()
        if self.device == "cuda" and found < self.devices:
            raise SettingError("devices", self.devices, f"{found} GPUs were found; choose fewer, or the cpu")
        return "gpu" if self.device == "cuda" or (self.device == "auto" and found >= self.devices) else "cpu"

    @cached_property
    def cluster(self) -> ClusterEnvironment | None:
        """The source of each process's rank: torchrun, Slurm, or (None) what Lightning finds.

        Slurm's comes without Lightning's requeueing, which writes a checkpoint into the working directory
        that every later run started there would load.

        Raises:
            UsageError: another number of processes was started.
        """
        environment: ClusterEnvironment
        if TorchElasticEnvironment.detect():
            environment, launcher = TorchElasticEnvironment(), "torchrun"
        elif not SLURMEnvironment.detect():
            return None
        elif int(os.environ["SLURM_NTASKS"]) == 1 or (self.world_size == 1 and is_main_process()):
            return LightningEnvironment()  # this process, which starts the others
        else:
            environment, launcher = _slurm(), "Slurm"
        if environment.world_size() != self.world_size:
            raise SettingError(
                "devices", self.devices,
                f"needs {self.world_size} processes on {self.nodes} machines, {launcher} has "
                f"{environment.world_size()}; give as many devices as it starts on each machine",
            )  # fmt: skip
        return environment


def _slurm() -> SLURMEnvironment:
    try:
        return SLURMEnvironment(auto_requeue=False)
    except RuntimeError as error:
        raise UsageError(
            f"SLURM_NTASKS is {os.environ['SLURM_NTASKS']}: pass --ntasks-per-node to Slurm, too"
        ) from error


def limit_threads(processes: int) -> None:
    """Let each of this machine's `processes` use its share of the available cores."""
    share = max(1, available_cores() // processes)
    if processes > 1:
        os.environ.setdefault("OMP_NUM_THREADS", str(share))  # for those that Lightning starts
    torch.set_num_threads(min(torch.get_num_threads(), share))


def exit_on_signals() -> AbstractContextManager[None]:
    """Within this block SIGTERM, and SIGUSR1 as Slurm sends it before a job ends, raise SystemExit."""
    return _signal_handlers(dict.fromkeys(_STOP_SIGNALS, _stop))


def stop_after_batch_on_signals() -> AbstractContextManager[None]:
    """Within this block Lightning stops after the current batch at SIGTERM, its default, and at SIGUSR1."""
    # Lightning's handler would call our own for SIGTERM, which would raise in the middle of a step.
    return _signal_handlers({"SIGTERM": signal.SIG_DFL, "SIGUSR1": _as_sigterm})


@contextmanager
def _signal_handlers(handlers: dict[str, Any]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # only the main thread may set handlers
        yield
        return
    known = {getattr(signal, name): handler for name, handler in handlers.items() if hasattr(signal, name)}
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
