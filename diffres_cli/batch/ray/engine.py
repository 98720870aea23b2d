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
from diffres_cli.batch.ray.worker import Attempts, RayWorker
from diffres_cli.batch.work import Outcome, Setup
from diffres_cli.checkpoint.find import ModelFile
from diffres_cli.cores import available_cores
from diffres_cli.errors import DiffresError, ModelError, SettingError
from diffres_cli.imports import import_failure, required

_CONNECT_TIMEOUT = 10  # seconds for a cluster to answer at all: Ray itself tries for minutes
_MAX_PART_SIZE = 100  # recordings: what a worker that dies does again, and 3,000 files at most for 300,000
_PARTS_PER_WORKER = 4  # so that all workers end at about the same time
_MAX_DEATHS_IN_A_ROW = 10  # of workers that were starting, one after the other: it is not by chance
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
        jobs: workers; None: one per core. loud: show what Ray prints.
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
        with _silenced(self.loud):
            ray = _import_ray()
            warnings.simplefilter("default" if self.loud else "ignore")
            try:
                handler = signal.getsignal(signal.SIGTERM)
                ray.init(**self._where(), log_to_driver=self.loud)
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
        context.max_consecutive_actor_init_deaths = _MAX_DEATHS_IN_A_ROW
        context.enable_progress_bars = self.loud
        machines = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
        workers = min(self.jobs or max(1, sum(machines)), len(tasks))
        rows = list(_parts(tasks, max(1, min(_MAX_PART_SIZE, len(tasks) // (_PARTS_PER_WORKER * workers)))))
        pool = ray.data.ActorPoolStrategy(size=min(workers, len(rows)), max_tasks_in_flight_per_actor=1)
        attempts = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Attempts).remote()
        results = (self.parts.store.path, self.parts.fingerprint, attempts)
        dataset = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
            RayWorker, fn_constructor_args=(self.setup, ray.put(self.model), str(Path.cwd()), *results),
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

    def _where(self) -> dict[str, Any]:
        """Arguments of `ray.init`. Raises OSError if nothing answers at the address."""
        address = self.address or os.environ.get("RAY_ADDRESS", "")
        host, _, port = address.rpartition(":")
        if port.isdigit() and "/" not in host:
            socket.create_connection((host.strip("[]"), int(port)), _CONNECT_TIMEOUT).close()
        if address:
            return {"address": address}
        cores = max(available_cores(), self.jobs or 1)
        return {"address": "local", "num_cpus": cores, "include_dashboard": False}


def _parts(tasks: list[Task], size: int) -> Iterator[dict[str, Any]]:
    """Names are never used again, so that no run replaces what another one wrote."""
    run = f"{time.time_ns():x}"
    for number, first in enumerate(range(0, len(tasks), size)):
        part = pickle.dumps(tasks[first : first + size])
        yield {"name": f"part-{run}-{number:05}.parquet", "tasks": part}


def _import_ray() -> Any:
    with required(_FEATURE, _EXTRA):
        import ray
        import ray.data
    return ray


@contextmanager
def _silenced(loud: bool) -> Iterator[None]:
    """Within this block nothing is shown of what Ray, its C++ and its processes print; sys.stderr works on.

    What matters comes back as an exception.
    """
    if loud or sys.stderr is None:
        yield
        return
    before, stderr = logging.root.manager.disable, sys.stderr
    stderr.flush()
    with _discard(sys.stdout, 1), _discard(stderr, 2) as kept:
        ours = os.fdopen(os.dup(kept), "w", 1, stderr.encoding, stderr.errors)
        if stderr is sys.__stderr__:
            sys.stderr = ours
        logging.disable(logging.CRITICAL)
        try:
            with ours, warnings.catch_warnings():
                yield
        finally:
            logging.disable(before)
            sys.stderr = stderr


@contextmanager
def _discard(stream: TextIO | None, descriptor: int) -> Iterator[int]:
    """Within this block what is written to a descriptor is lost; gives another that leads where it led."""
    kept = os.dup(descriptor)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), descriptor)
        yield kept
    finally:
        if stream is not None:
            stream.flush()  # Ray's last output stays hidden
        os.dup2(kept, descriptor)
        os.close(kept)


def _first_line(error: BaseException) -> str:
    """An error in one line; for a worker that cannot start, the last line of its traceback."""
    lines = _COLOURS.sub("", str(error)).strip().splitlines() or [type(error).__name__]
    return lines[-1 if "creation task" in lines[0] else 0].strip().rstrip(".")
