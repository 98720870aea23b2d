"""What a process on a Ray cluster does: its part of the recordings, into one Parquet file.

With the results goes a note of which recordings these are and under which settings, so that the next run
leaves them out. Ray starts a worker that died again, with the part it had, for as long as it takes; a
recording that two workers died of is then reported and left out.
"""

from __future__ import annotations

import json
import os
import pickle
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from diffres_cli.audio import Recording, open_recording, printable
from diffres_cli.batch.plan import Task
from diffres_cli.batch.ray.remote import Store, is_url, open_remote
from diffres_cli.batch.work import Outcome, Setup, do
from diffres_cli.errors import DiffresError, UsageError
from diffres_cli.imports import required
from diffres_cli.outputs.parquet import ParquetWriter, annotation
from diffres_cli.tagging.record import Record
from diffres_cli.tagging.tagger import tagger_of

_ATTEMPTS = 2
_READERS = 16  # of the notes in a folder of results, which may be far away


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
        with suppress(OSError):  # the folder may be on one machine only, and all paths absolute
            os.chdir(job.folder)
        try:
            self._store = Store(job.store)  # what speaks its protocol may be on other machines only
            with required():
                self._tagger = tagger_of(ray.get(model), job.setup.device)
        except DiffresError as error:  # raised here, Ray would try for ever
            error.args = (f"{error} (on {socket.gethostname()})",)
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
            for record in outcome.records:
                pieces += writer.format_record(record)
            outcomes.append(replace(outcome, records=tuple(map(_short, outcome.records))))
        done = [outcome.task for outcome in outcomes if outcome.records]
        if done:
            writer.annotate(json.dumps({"fingerprint": self._job.fingerprint, "done": done}))
            self._store.write(part.name, b"".join([*pieces, writer.format_footer()]))
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
            whose = "other settings or versions" if note else "somebody else's"
            raise UsageError(
                f"--output {store.where}: holds {name}, {whose}; name another folder, or --force deletes "
                "what is there"
            )
    return {task.path: task for note in notes for task in (Task(*entry) for entry in note["done"])}


def _short(record: Record) -> Record:
    """What a summary needs of it."""
    return {key: value for key, value in record.items() if key in ("duration", "warnings")}


def _open(path: str) -> Recording:
    return open_remote(path) if is_url(path) else open_recording(path)
