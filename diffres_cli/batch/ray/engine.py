"""The same work on a Ray cluster: Ray Data deals out parts, and each worker, one model, writes its own."""

from __future__ import annotations

import logging
import os
import pickle
import re
import signal
import socket
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from diffres_cli.batch.plan import Task
from diffres_cli.batch.ray.parts import Parts
from diffres_cli.batch.ray.worker import Begun, Part, Worker
from diffres_cli.batch.work import Outcome, Setup
from diffres_cli.checkpoint.find import ModelFile
from diffres_cli.cores import available_cores
from diffres_cli.errors import DiffresError, ModelError, SettingError
from diffres_cli.imports import import_failure, required

_PATIENCE = 10  # seconds for a cluster to answer at all: Ray itself tries for minutes
_LARGEST_PART = 100  # recordings: what a worker that dies does again, and 3,000 files at most for 300,000
_PARTS_A_WORKER = 4  # so that all workers end at about the same time
_DEATHS = 10  # of workers that were starting, one after the other: it is not by chance
_FEATURE, _EXTRA = "the Ray engine", "diffres[ray]"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_SETTINGS = {
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_TQDM": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


@dataclass
class RayEngine:
    """Workers on a cluster.

    Attributes:
        setup: what they do. model: the file that all load. parts: where their results go.
        address: of a cluster; None: RAY_ADDRESS, or one started here for this run alone.
        jobs: workers; None: one a core. loud: let Ray say what it says.
    """

    setup: Setup
    model: ModelFile
    parts: Parts
    address: str | None = None
    jobs: int | None = None
    loud: bool = False

    @contextmanager
    def __call__(self, tasks: list[Task]) -> Iterator[Iterator[Outcome]]:
        """Outcomes as parts are done, in any order, as long as the block lasts.

        Raises:
            DependencyError: Ray is not installed. UsageError: no cluster at the address.
            OutputError: a part cannot be written. ModelError: the model cannot be loaded or run.
        """
        if not tasks:
            yield iter(())
            return
        with self._connected():
            yield self._run(tasks)

    @contextmanager
    def _connected(self) -> Iterator[None]:
        for name, value in _SETTINGS.items():  # read when Ray is imported
            os.environ.setdefault(name, value)
        with _hushed(self.loud):
            ray = _import_ray()
            warnings.simplefilter("default" if self.loud else "ignore")
            try:
                self._knock()
                handler = signal.getsignal(signal.SIGTERM)
                ray.init(**self._start(), log_to_driver=self.loud)
                signal.signal(signal.SIGTERM, handler)  # which Ray replaces by its own
            except Exception as error:  # of many kinds, some of them plain Exception
                if failed_import := import_failure(error, _FEATURE, _EXTRA):
                    raise failed_import from error
                where = self.address or os.environ.get("RAY_ADDRESS") or "this machine"
                asks = "; it asks for another RAY_AUTH_TOKEN" if "AuthToken" in str(error.__cause__) else ""
                problem = f"no Ray on {where}: {_first_line(error)}{asks}"
                raise SettingError("ray_address", "", problem) from error
            try:
                yield
            finally:
                ray.shutdown()

    def _run(self, tasks: list[Task]) -> Iterator[Outcome]:
        ray = _import_ray()
        context = ray.data.DataContext.get_current()
        context.max_consecutive_actor_init_deaths = _DEATHS
        context.enable_progress_bars = self.loud
        workers = self._workers(len(tasks))
        size = max(1, min(_LARGEST_PART, len(tasks) // (_PARTS_A_WORKER * workers)))
        rows = [{"part": pickle.dumps(part)} for part in _parts(tasks, size)]
        pool = ray.data.ActorPoolStrategy(size=min(workers, len(rows)), max_tasks_in_flight_per_actor=1)
        begun = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Begun).remote()
        results = (self.parts.store.path, self.parts.fingerprint)
        dataset = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
            Worker, fn_constructor_args=(self.setup, ray.put(self.model), str(Path.cwd()), *results, begun),
            compute=pool, num_cpus=1, num_gpus=1 if self.setup.device == "cuda" else 0,
        )  # fmt: skip
        try:
            for row in dataset.iter_rows():
                result = pickle.loads(row["result"])
                if isinstance(result, DiffresError):
                    raise result
                yield from result
        except ray.exceptions.RayError as error:
            raise ModelError(f"{_FEATURE}: {_first_line(error)}") from error

    def _knock(self) -> None:
        """Raises OSError where nobody answers at the address."""
        host, _, port = (self.address or os.environ.get("RAY_ADDRESS", "")).rpartition(":")
        if port.isdigit() and "/" not in host:
            socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()

    def _start(self) -> dict[str, Any]:
        address = self.address or os.environ.get("RAY_ADDRESS")
        if address:
            return {"address": address}
        cores = max(available_cores(), self.jobs or 1)
        return {"address": "local", "num_cpus": cores, "include_dashboard": False}

    def _workers(self, count: int) -> int:
        """How many workers: as asked for, else one a core of the cluster; no more than recordings."""
        machines = [int(node["Resources"].get("CPU", 0)) for node in _import_ray().nodes() if node["Alive"]]
        return min(self.jobs or max(1, sum(machines)), count)


def _parts(tasks: list[Task], size: int) -> list[Part]:
    """Names are never used again, so that no run replaces what another one wrote."""
    run = f"{time.time_ns():x}"
    cuts = range(0, len(tasks), size)
    return [
        Part(f"part-{run}-{number:05}.parquet", tasks[cut : cut + size]) for number, cut in enumerate(cuts)
    ]


def _import_ray() -> Any:
    with required(_FEATURE, _EXTRA):
        import ray
        import ray.data
    return ray


@contextmanager
def _hushed(loud: bool) -> Iterator[None]:
    """Ray reports on itself in many voices, some of them C++; what matters comes back as an exception.

    Within this block descriptors 1 and 2 lead nowhere, for processes started in it too; sys.stderr, where 2
    led.
    """
    if loud or sys.stderr is None:
        yield
        return
    before, stderr = logging.root.manager.disable, sys.stderr
    stderr.flush()
    with _mute(sys.stdout, 1), _mute(stderr, 2) as kept:
        voice = os.fdopen(os.dup(kept), "w", 1, stderr.encoding, stderr.errors)
        if stderr is sys.__stderr__:
            sys.stderr = voice
        logging.disable(logging.CRITICAL)
        try:
            with voice, warnings.catch_warnings():
                yield
        finally:
            logging.disable(before)
            sys.stderr = stderr


@contextmanager
def _mute(stream: TextIO | None, descriptor: int) -> Iterator[int]:
    """A descriptor that leads nowhere within this block, and another that leads where it led."""
    kept = os.dup(descriptor)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), descriptor)
        yield kept
    finally:
        if stream is not None:
            stream.flush()  # what Ray said last, before it can be heard again
        os.dup2(kept, descriptor)
        os.close(kept)


def _first_line(error: BaseException) -> str:
    """What an error says, in one line; of a worker that cannot start that is the last of a traceback."""
    lines = _COLOURS.sub("", str(error)).strip().splitlines() or [type(error).__name__]
    return lines[-1 if "creation task" in lines[0] else 0].strip().rstrip(".")
