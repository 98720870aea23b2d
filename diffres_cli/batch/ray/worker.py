"""What a process on a Ray cluster does: its part of the recordings, into one Parquet file.

The results include a note of the recordings and the settings, so that the next run
leaves them out. Ray starts a worker that died again, with the part it had, for as long as it takes; a
recording that two workers died of is then reported and left out.
"""

from __future__ import annotations

import json
import os
import pickle
import socket
from contextlib import suppress
from dataclasses import replace
from typing import Any

from diffres_cli.audio import Recording, open_recording
from diffres_cli.batch.plan import Task
from diffres_cli.batch.ray.remote import Store, is_url, open_remote
from diffres_cli.batch.work import Failure, Outcome, Setup, tag_task
from diffres_cli.errors import DiffresError, UsageError
from diffres_cli.imports import required
from diffres_cli.outputs.parquet import ParquetWriter
from diffres_cli.pool import Died
from diffres_cli.tagging.many import worker_died
from diffres_cli.tagging.record import Record
from diffres_cli.tagging.tagger import tagger_of

_ATTEMPTS = 2


class Attempts:
    """Recordings that workers began and did not end, in a process that outlives them."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def begin(self, path: str) -> int:
        """How many workers began it before and died."""
        self._counts[path] = self._counts.get(path, -1) + 1
        return self._counts[path]

    def end(self, path: str) -> None:
        """It was tagged, or reported."""
        del self._counts[path]


class RayWorker:
    """One model. Ray starts it, and again where it died.

    Args:
        setup: what to do. model: a reference to its file's content. folder: paths start from here.
        store, fingerprint: where parts go, and under which settings. attempts: a reference to `Attempts`.
    """

    def __init__(
        self, setup: Setup, model: Any, folder: str, store: str, fingerprint: str, attempts: Any
    ) -> None:
        import ray

        self._setup, self._fingerprint, self._attempts = setup, fingerprint, attempts
        self._failure: DiffresError | None = None
        with suppress(OSError):  # the folder may be on one machine only, and all paths absolute
            os.chdir(folder)
        try:
            self._store = Store(store)  # what speaks its protocol may be on other machines only
            with required():
                self._tagger = tagger_of(ray.get(model), setup.device, fps=setup.settings.fps)
        except DiffresError as error:  # raised here, Ray would try for ever
            kind = UsageError if isinstance(error, UsageError) else type(error)
            self._failure = kind(f"{error} (on {socket.gethostname()})")

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """A part: its name and pickled tasks -> pickled outcomes, or the pickled error that ends the run."""
        try:
            return {"result": pickle.dumps(self._tag_part(row["name"], pickle.loads(row["tasks"])))}
        except DiffresError as error:
            return {"result": pickle.dumps(error)}

    def _tag_part(self, name: str, tasks: list[Task]) -> list[Outcome]:
        if self._failure is not None:
            raise self._failure
        outcomes: list[Outcome] = []
        pieces: list[bytes] = []
        writer = ParquetWriter()
        for task in tasks:
            outcome = self._tag(task)
            for record in outcome.records:
                pieces += writer.format_record(record)
            outcomes.append(replace(outcome, records=tuple(map(_short, outcome.records))))
        done = [outcome.task for outcome in outcomes if outcome.records]
        if done:
            writer.annotate(json.dumps({"fingerprint": self._fingerprint, "done": done}))
            self._store.write(name, b"".join([*pieces, writer.format_footer()]))
        return outcomes

    def _tag(self, task: Task) -> Outcome:
        import ray

        if ray.get(self._attempts.begin.remote(task.path)) < _ATTEMPTS:
            outcome = tag_task(self._setup, self._tagger, task, open_=_open)
        else:
            message = worker_died(task.path, Died("see Ray's log"))
            outcome = Outcome(task, failure=Failure(task.name, message))
        self._attempts.end.remote(task.path)
        return outcome


def _short(record: Record) -> Record:
    """What progress and a summary need of it."""
    return {key: value for key, value in record.items() if key in ("duration", "warnings")}


def _open(path: str) -> Recording:
    return open_remote(path) if is_url(path) else open_recording(path)
