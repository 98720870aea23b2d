"""Results in a folder that mirrors the inputs, in one file, or both: a killed run can be resumed."""

# Text takes a second less than paths over 100,000 recordings:
# ruff: noqa: PTH116, PTH120

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from diffres_cli.batch.fingerprint import fingerprint
from diffres_cli.batch.ledger import Ledger
from diffres_cli.batch.plan import Task, shard_of
from diffres_cli.batch.run import Summary
from diffres_cli.batch.work import Outcome, Setup
from diffres_cli.files import make_folder, remove_abandoned
from diffres_cli.outputs import find_format, make_writer
from diffres_cli.outputs.sink import open_sink
from diffres_cli.tagging.record import Record
from diffres_cli.text import STDIN


@dataclass
class Resumable:
    """A context manager, open while results are added.

    Attributes:
        setup: what each worker does, with the path of a model file; its `mirror` is the folder of results.
        combined: one file of all results, written at the end. combined_format: of that file.
        shard: which part to tag, as `parse_shard` gives it. force: redo what is done.
    """

    setup: Setup
    combined: Path | None = None
    combined_format: str = "jsonl"
    shard: tuple[int, int] = (0, 1)
    force: bool = False
    _tasks: list[Task] = field(default_factory=list)
    _is_empty: bool = True

    @property
    def ledger_folder(self) -> Path:
        """The ledger's folder: in the folder of results, or next to the one file."""
        if self.setup.mirror is not None:
            return self.setup.mirror / ".diffres"
        assert self.combined is not None
        return self.combined.with_name(self.combined.name + ".diffres")

    @cached_property
    def fingerprint(self) -> str:
        """Of everything that could change a result on this machine."""
        return fingerprint(self.setup, records=self.combined is not None)

    def __enter__(self) -> Resumable:
        """Raises OutputError where the folders cannot be made, ModelError where the model cannot be read."""
        self.fingerprint  # noqa: B018 (a model that cannot be read is refused before a folder is made)
        if self.setup.mirror is not None:
            make_folder(self.setup.mirror)
        self._ledger = Ledger(self.ledger_folder)
        return self

    def __exit__(self, *error: object) -> None:
        self._ledger.close()

    def remaining(self, tasks: list[Task], summary: Summary) -> list[Task]:
        """The tasks of this shard that are not done, by this run, earlier ones or others at work."""
        number, count = self.shard
        mine = tasks if count == 1 else [task for task in tasks if shard_of(task.name, count) == number]
        remove_abandoned(self._folders(mine))
        todo = mine if self.force else [task for task in mine if not self._is_done(task, summary)]
        self._tasks, self._is_empty = tasks, len(todo) == len(mine)
        return todo

    def add(self, outcome: Outcome) -> None:
        """Note that a recording is done; its result is in the folder already."""
        kept = outcome.records if self.combined is not None else None
        self._ledger.add(outcome.task, self.fingerprint, kept)
        self._is_empty = False

    def finish(self) -> None:
        """Write the one file of whatever is done of all tasks, by this run, earlier ones or other shards."""
        if self.combined is None or self._is_empty:
            return
        self._ledger.read()  # what other runs did meanwhile
        with open_sink(self.combined) as sink:
            for piece in make_writer(self.combined_format).format_file(self._records()):
                sink.write(piece)

    def _records(self) -> Iterator[Record]:
        for task in self._tasks:
            entry = self._ledger.entries.get(task.name)
            if entry is not None and entry.covers(task, self.fingerprint):
                yield from self._ledger.records(task.name)

    def _is_done(self, task: Task, summary: Summary) -> bool:
        """Count a task that is done, and one that no longer is."""
        entry = self._ledger.entries.get(task.name)
        if entry is None or task.path == STDIN:
            return False
        if not entry.covers(task, self.fingerprint):
            summary.changed += entry.covers(task, entry.fingerprint)
            return False
        if self.setup.mirror is not None and not self._has_result(task):
            return False
        summary.skipped += 1
        return True

    def _has_result(self, task: Task) -> bool:
        """Whether its result has any content: a power cut may leave a file without."""
        try:
            suffix = find_format(self.setup.format).suffix
            return os.stat(f"{self.setup.mirror}{os.sep}{task.name}{suffix}").st_size > 0
        except OSError:
            return False

    def _folders(self, tasks: list[Task]) -> Iterator[Path]:
        """All that results are written to."""
        if self.combined is not None:
            yield self.combined.parent
        if self.setup.mirror is not None:
            yield from (self.setup.mirror / name for name in {os.path.dirname(task.name) for task in tasks})
