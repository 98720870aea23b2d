"""A folder of Parquet files as the results of a run: workers write them, with notes of what each holds."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from diffres_cli.audio import printable
from diffres_cli.batch.plan import Task
from diffres_cli.batch.ray.remote import Store
from diffres_cli.batch.run import Summary
from diffres_cli.batch.work import Failure, Outcome
from diffres_cli.errors import SettingError
from diffres_cli.outputs.parquet import annotation

_READERS = 16  # of the notes, which may be far away


class Parts:
    """A context manager, open while workers write.

    Args:
        where: the folder, by its path or URL. fingerprint: of the model and the settings.
        force: delete what is there.

    Raises:
        DependencyError, UsageError: see `remote.filesystem`.
    """

    def __init__(self, where: str, fingerprint: str, *, force: bool = False) -> None:
        self.store, self.fingerprint, self._force = Store(where), fingerprint, force

    def __enter__(self) -> Parts:
        """Raises OutputError where the folder cannot be made, or a file in it not deleted."""
        self.store.make()
        for name in self.store.parts() if self._force else ():
            self.store.remove(name)
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def remaining(self, tasks: list[Task], summary: Summary) -> list[Task]:
        """The tasks that are not done. One that changed since fails: rows about it cannot be taken back.

        Raises:
            UsageError: there are results of other settings, or files that diffres did not write.
            OutputError: they cannot be read.
        """
        done, todo = self._done(), list[Task]()
        for task in tasks:
            if task.path not in done:
                todo.append(task)
            elif done[task.path] == task:
                summary.skipped += 1
            else:
                message = f"{printable(task.path)}: changed since it was tagged; use force to tag all again"
                summary.failures.append(Failure(task.name, message))
        return todo

    def add(self, outcome: Outcome) -> None:
        """Nothing: its worker wrote it."""

    def finish(self) -> None:
        """Nothing: every part is complete."""

    def _done(self) -> dict[str, Task]:
        """The recordings, by path, origin results are in the folder."""
        names = self.store.parts()
        with ThreadPoolExecutor(_READERS) as pool:
            notes = list(pool.map(self._read_note, names))
        for name, note in zip(names, notes, strict=True):
            if note is None or note["fingerprint"] != self.fingerprint:
                origin = "from other settings or versions" if note else "not written by diffres"
                problem = f"holds {name}, {origin}; name another folder, or use force to delete what is there"
                raise SettingError("output", self.store.where, problem)
        return {task.path: task for note in notes for task in (Task(*entry) for entry in note["done"])}

    def _read_note(self, name: str) -> Any:
        with self.store.open(name) as stream, suppress(ValueError):
            return json.loads(annotation(stream) or "null")
