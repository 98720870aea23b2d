"""What is done: append-only JSON Lines, so that a killed run can be resumed.

Every run appends to a file of its own in the ledger's folder and reads all of them, so two runs, or the
shards of a job array on a network drive, never write to one file. A line cut short by a kill is not JSON
and is left out: its recording is done again.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

from diffres_cli.batch.plan import Task
from diffres_cli.errors import OutputError
from diffres_cli.files import reason

_READ_AT_ONCE = 2**20  # bytes


class LedgerEntry(NamedTuple):
    """One recording that is done: which state of it, under which settings, and the position of its line."""

    size: int
    modified: int
    fingerprint: str
    file: Path
    offset: int

    def covers(self, task: Task, fingerprint: str) -> bool:
        """Whether this is the task as it is now, under these settings."""
        return (self.size, self.modified, self.fingerprint) == (task.size, task.modified, fingerprint)


class Ledger:
    """The done recordings of one output. A context manager.

    Args:
        folder: where the ledger lives; made when it is not there.

    Raises:
        OutputError: the folder cannot be made or read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stream: IO[bytes] | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot keep a ledger in {folder}: {reason(error)}") from error
        self.read()

    def read(self) -> None:
        """Read what all runs have done, those still at work among them.

        Raises:
            OutputError: the folder cannot be read.
        """
        try:
            self.entries = dict(_read_all(self._folder))
        except OSError as error:
            raise OutputError(f"cannot read the ledger in {self._folder}: {reason(error)}") from error

    def add(self, task: Task, fingerprint: str, records: Sequence[dict[str, Any]] | None = None) -> None:
        """Note that a task is done, with its records if the ledger is to keep them.

        Raises:
            OutputError: it cannot be written: the disk is full, or the folder is gone.
        """
        line: dict[str, Any] = {"name": task.name, "size": task.size, "modified": task.modified}
        line |= {"fingerprint": fingerprint} | ({} if records is None else {"records": records})
        try:
            if self._stream is None:
                self._stream = (self._folder / f"{time.time_ns()}-{uuid.uuid4().hex[:8]}.jsonl").open("xb")
            file, offset = Path(self._stream.name), self._stream.tell()
            self._stream.write(json.dumps(line).encode() + b"\n")
            self._stream.flush()
            file.stat()  # raises if the file was deleted meanwhile: then nothing was recorded
        except OSError as error:
            raise OutputError(f"cannot write the ledger in {self._folder}: {reason(error)}") from error
        self.entries[task.name] = LedgerEntry(task.size, task.modified, fingerprint, file, offset)

    def records(self, name: str) -> list[dict[str, Any]]:
        """The records kept for a recording that is done: one, or one for each channel."""
        entry = self.entries[name]
        with entry.file.open("rb") as stream:
            stream.seek(entry.offset)
            records: list[dict[str, Any]] = json.loads(stream.readline())["records"]
        return records

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close this run's file."""
        if self._stream is not None:
            self._stream.close()


def _read_all(folder: Path) -> Iterator[tuple[str, LedgerEntry]]:
    """Entries of all runs, oldest run first, so that the newest entry of a recording counts."""
    for file in sorted(folder.glob("*.jsonl")):
        offset = 0
        with file.open("rb") as stream:
            while lines := stream.readlines(_READ_AT_ONCE):
                for line, value in zip(lines, _values(lines), strict=True):
                    with suppress(KeyError, TypeError):
                        entry = LedgerEntry(
                            value["size"], value["modified"], value["fingerprint"], file, offset
                        )
                        yield value["name"], entry
                    offset += len(line)


def _values(lines: list[bytes]) -> list[Any]:
    """Each line parsed; None where it is not JSON."""
    with suppress(ValueError):  # all at once takes a third of the time
        values: list[Any] = json.loads(b"[" + b",".join(lines) + b"]")
        if len(values) == len(lines):
            return values
    return [_value(line) for line in lines]


def _value(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
