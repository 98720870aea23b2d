"""The same work on a Ray cluster: Ray Data deals out parts, and each worker, one model, writes its own.

A part is some recordings and one Parquet file of their results, with a note of which recordings these are and
under which settings, so that the next run leaves them out. Ray starts a worker that died again, with the
part it had, for as long as it takes; a recording that two workers died of is then reported and left out.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import sys
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from diffres_cli.audio import Recording, open_recording, printable
from diffres_cli.batch.plan import Task
from diffres_cli.batch.remote import Store, is_url, open_remote
from diffres_cli.batch.work import Outcome, Setup, do
from diffres_cli.checkpoint import ModelFile
from diffres_cli.errors import DiffresError, MissingDependencyError, ModelError, UsageError
from diffres_cli.outputs.parquet import ParquetWriter, annotation
from diffres_cli.outputs.records import Record
from diffres_cli.tagger import tagger_of

_ATTEMPTS = 2
_LARGEST_PART = 100  # recordings: what a worker that dies does again, and 3,000 files at most for 300,000
_PARTS_A_WORKER = 4  # so that all workers end at about the same time
_DEATHS = 10  # of workers that were starting, one after the other: it is not by chance
_READERS = 16  # of the notes in a folder of results, which may be far away
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_TQDM": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


class Part(NamedTuple):
    """Recordings that one worker tags, and the file their results go to."""

    name: str
    tasks: list[Task]


@dataclass(frozen=True)
class Job:
    """What every worker is told.

    Attributes:
        setup: what to do. store: where parts go. fingerprint: of the model and the settings.
        folder: paths start from here.
    """

    setup: Setup
    store: str
    fingerprint: str
    folder: str


class Begun:
    """Recordings that workers began and did not end, in a process that outlives them."""

    def __init__(self) -> None:
        self._times: dict[str, int] = {}

    def begin(self, path: str) -> int:
        """How often it was begun before and never ended: how many workers died of it."""
        self._times[path] = self._times.get(path, -1) + 1
        return self._times[path]

    def end(self, path: str) -> None:
        """It was tagged, or reported."""
        del self._times[path]


class Worker:
    """One model. Ray starts it, and again where it died."""

    def __init__(self, job: Job, model: Any, begun: Any) -> None:
        import ray

        self._job = job
        self._begun = begun
        self._store = Store(job.store)
        with suppress(OSError):  # the folder may be on one machine only, and all paths absolute
            os.chdir(job.folder)
        try:
            self._tagger = tagger_of(ray.get(model), job.setup.device, job.setup.threads)
        except DiffresError as error:  # raised here, Ray would try for ever
            self._failure: DiffresError | None = error
        else:
            self._failure = None

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """A pickled part -> the pickled outcomes, or the pickled error that stops the run."""
        try:
            return {"result": pickle.dumps(self._do(pickle.loads(row["part"])))}
        except DiffresError as error:
            return {"result": pickle.dumps(error)}

    def _do(self, part: Part) -> list[Outcome]:
        if self._failure is not None:
            raise self._failure
        outcomes: list[Outcome] = []
        pieces: list[bytes] = []
        writer = ParquetWriter()
        for task in part.tasks:
            outcome = self._tag(task)
            if outcome.record is not None:
                pieces += writer.record(outcome.record)
                outcome = replace(outcome, record=_short(outcome.record))
            outcomes.append(outcome)
        done = [outcome.task for outcome in outcomes if outcome.record is not None]
        if done:
            writer.annotate(json.dumps({"fingerprint": self._job.fingerprint, "done": done}))
            self._store.write(part.name, b"".join([*pieces, writer.end()]))
        return outcomes

    def _tag(self, task: Task) -> Outcome:
        import ray

        if ray.get(self._begun.begin.remote(task.path)) < _ATTEMPTS:
            outcome = do(self._tagger, self._job.setup, task, _open)
        else:
            outcome = Outcome(task, error=f"{printable(task.path)}: the worker tagging it died twice")
        self._begun.end.remote(task.path)
        return outcome


def done_in(store: Store, fingerprint: str) -> dict[str, Task]:
    """The recordings, by path, whose results are in a folder.

    Raises:
        UsageError: there are results of other settings, or files that are none of ours.
        OutputError: they cannot be read.
    """

    def read(name: str) -> Any:
        with store.open(name) as stream, suppress(ValueError):
            return json.loads(annotation(stream) or "null")

    names = store.parts()
    with ThreadPoolExecutor(_READERS) as pool:
        notes = list(pool.map(read, names))
    for name, note in zip(names, notes, strict=True):
        if note is None or note["fingerprint"] != fingerprint:
            whose = "other settings" if note else "somebody else's"
            raise UsageError(
                f"--output {store.where}: holds {name}, {whose}; name another folder, or --force deletes "
                "what is there"
            )
    return {task.path: task for note in notes for task in (Task(*entry) for entry in note["done"])}


@dataclass
class RayEngine:
    """Workers on a cluster.

    Attributes:
        address: of a cluster; None: RAY_ADDRESS, or one started here for this run alone.
        jobs: workers; None: one a core. cores: of a cluster started here. loud: let Ray say what it says.
    """

    address: str | None = None
    jobs: int | None = None
    cores: int = 1
    loud: bool = False

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Within this block there is a cluster.

        Raises:
            MissingDependencyError: Ray is not installed. UsageError: no cluster at the address.
        """
        if not self.loud:
            os.environ.update({name: value for name, value in _QUIET.items() if name not in os.environ})
        with _hushed(self.loud):
            ray = _import_ray()
            warnings.simplefilter("default" if self.loud else "ignore")
            try:
                ray.init(**self._start(), log_to_driver=self.loud)
            except Exception as error:  # of many kinds, some of them plain Exception
                where = self.address or os.environ.get("RAY_ADDRESS") or "this machine"
                asks = "; it asks for another RAY_AUTH_TOKEN" if "AuthToken" in str(error.__cause__) else ""
                raise UsageError(f"--ray-address: no Ray on {where}: {_first_line(error)}{asks}") from error
            try:
                yield
            finally:
                ray.shutdown()

    def run(self, job: Job, model: ModelFile, tasks: list[Task]) -> Iterator[Outcome]:
        """Outcomes as parts are done, in any order. Needs `connected`.

        Raises:
            OutputError: a part cannot be written. ModelError: the model cannot be loaded or run.
        """
        ray = _import_ray()
        context = ray.data.DataContext.get_current()
        context.max_consecutive_actor_init_deaths = _DEATHS
        context.enable_progress_bars = self.loud
        workers, cores = self._share(len(tasks))
        job = replace(job, setup=replace(job.setup, threads=cores))
        size = max(1, min(_LARGEST_PART, len(tasks) // (_PARTS_A_WORKER * workers)))
        rows = [{"part": pickle.dumps(part)} for part in _parts(tasks, size)]
        pool = ray.data.ActorPoolStrategy(size=min(workers, len(rows)), max_tasks_in_flight_per_actor=1)
        begun = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Begun).remote()
        dataset = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
            Worker, fn_constructor_args=(job, ray.put(model), begun), compute=pool,
            num_cpus=cores, num_gpus=1 if job.setup.device == "cuda" else 0,
        )  # fmt: skip
        try:
            for row in dataset.iter_rows():
                result = pickle.loads(row["result"])
                if isinstance(result, DiffresError):
                    raise result
                yield from result
        except ray.exceptions.RayError as error:
            raise ModelError(f"--engine ray: {_first_line(error)}") from error

    def _start(self) -> dict[str, Any]:
        address = self.address or os.environ.get("RAY_ADDRESS")
        if address:
            return {"address": address}
        cores = max(self.cores, self.jobs or 1)
        return {"address": "local", "num_cpus": cores, "include_dashboard": False}

    def _share(self, count: int) -> tuple[int, int]:
        """How many workers, and the cores of each; none can have more than one machine's."""
        machines = [int(node["Resources"].get("CPU", 0)) for node in _import_ray().nodes() if node["Alive"]]
        workers = self.jobs or max(1, sum(machines))
        smallest = min((cores for cores in machines if cores), default=1)
        return min(workers, count), max(1, min(sum(machines) // workers, smallest))


def _parts(tasks: list[Task], size: int) -> list[Part]:
    """Names are never used again, so that no run replaces what another one wrote."""
    run = f"{time.time_ns():x}"
    cuts = range(0, len(tasks), size)
    return [
        Part(f"part-{run}-{number:05}.parquet", tasks[cut : cut + size]) for number, cut in enumerate(cuts)
    ]


def _short(record: Record) -> Record:
    """What a summary needs of it."""
    return {key: value for key, value in record.items() if key in ("duration", "warnings")}


def _open(path: str) -> Recording:
    return open_remote(path) if is_url(path) else open_recording(path)


def _import_ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingDependencyError("--engine ray needs Ray: pip install 'diffres[ray]'") from error
    return ray


@contextmanager
def _hushed(loud: bool) -> Iterator[None]:
    """Ray reports on itself in many voices, some of them C++; what matters comes back as an exception.

    Within this block descriptor 2 leads nowhere, for processes started in it too; sys.stderr, where it led.
    """
    if loud or sys.stderr is None:
        yield
        return
    before, stderr = logging.root.manager.disable, sys.stderr
    stderr.flush()
    kept = os.dup(2)
    voice = os.fdopen(kept, "w", 1, stderr.encoding, stderr.errors)
    with voice, Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        if stderr is sys.__stderr__:
            sys.stderr = voice
        logging.disable(logging.CRITICAL)
        try:
            with warnings.catch_warnings():
                yield
        finally:
            logging.disable(before)
            os.dup2(kept, 2)
            sys.stderr = stderr


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
