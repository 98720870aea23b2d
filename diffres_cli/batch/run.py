"""The whole job: plan, ledger, engine, output. What was killed goes on where it stopped."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from diffres_cli.audio import printable
from diffres_cli.batch.fingerprint import fingerprint
from diffres_cli.batch.job import SOME_FAILED, Summary
from diffres_cli.batch.ledger import Ledger
from diffres_cli.batch.plan import STDIN, Task, shard_of
from diffres_cli.batch.work import Outcome, Setup, do
from diffres_cli.errors import AudioError
from diffres_cli.files import make_folder, remove_abandoned
from diffres_cli.outputs import find_format, make_writer
from diffres_cli.outputs.sink import open_sink

Engine = Callable[[Setup, Iterable[Task]], Iterator[Outcome]]


@dataclass(frozen=True)
class Order:
    """What is asked for.

    Attributes:
        setup: what each worker does; its `mirror` is the folder of results, if any.
        combined: one file of all results, if any. combined_format: of that file.
        shard: which part to tag, as `parse_shard` gives it. force: redo what is done.
    """

    setup: Setup
    combined: Path | None = None
    combined_format: str = "jsonl"
    shard: tuple[int, int] = (0, 1)
    force: bool = False

    @property
    def ledger(self) -> Path:
        """Where what is done is kept: in the folder of results, or beside the one file."""
        if self.setup.mirror is not None:
            return self.setup.mirror / ".diffres"
        assert self.combined is not None
        return self.combined.with_name(self.combined.name + ".diffres")

    @property
    def suffix(self) -> str:
        """What a result's name adds to its recording's."""
        return find_format(self.setup.format).suffix

    @property
    def fingerprint(self) -> str:
        """Of everything that could change a result on this machine."""
        return fingerprint(self.setup, records=self.combined is not None)


@dataclass
class Run(Summary):
    """A summary that also counts recordings `skipped` because they were done, and done again because
    settings `changed`."""

    skipped: int = 0
    changed: int = 0
    _failed: dict[str, str] = field(default_factory=dict)  # by a recording's name, as are:
    _odd: dict[str, list[str]] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0 all done, now or before, 1 some inputs failed, 3 nothing succeeded."""
        return SOME_FAILED if self.failures and self.skipped else super().exit_code

    def note(self, outcome: Outcome) -> bool:
        """Count an outcome; whether it has a result."""
        name = printable(outcome.task.path)
        if outcome.error is not None or not outcome.records:
            self._failed[outcome.task.name] = outcome.error or f"{name}: no result"
            self.failures.append(self._failed[outcome.task.name])
            return False
        self.done += 1
        self.warnings += [text for text in outcome.warnings if text not in self.warnings]
        odd = [f"{name}: {text}" for text in outcome.records[0].get("warnings", ())]
        if odd:
            self._odd[outcome.task.name] = odd
            self.warnings += odd
        return True

    def put_in_order(self, items: Iterable[Task | AudioError]) -> None:
        """Failures and warnings of recordings as those are listed: workers are done in any order."""
        failures, odd = list[str](), list[str]()
        for item in items:
            if isinstance(item, AudioError):
                failures.append(str(item))
            elif item.name in self._failed:
                failures.append(self._failed[item.name])
            else:
                odd += self._odd.get(item.name, ())
        told = set(odd)
        of_all = [text for text in self.warnings if text not in told]
        self.failures, self.warnings = failures, of_all + odd


def run(
    order: Order,
    items: Iterable[Task | AudioError],
    engine: Engine,
    summary: Run,
    *,
    on_start: Callable[[int], None] | None = None,
    on_outcome: Callable[[Outcome], None] | None = None,
) -> None:
    """Tag what is not done yet, note each recording as it is done, and write the combined file at the end.

    The combined file holds whatever is done of all `items`, by this run, earlier ones or other shards.

    Args:
        items: as `plan` gives them; every shard reports what came to nothing. engine: what runs the tasks.
        summary: filled in as the run goes, so that it is true when the run is interrupted, too.
        on_start: told, before anything is tagged, how many recordings remain.
        on_outcome: told of each recording that was tagged or failed.

    Raises:
        OutputError: results can no longer be written. ModelError: the model cannot be loaded or run.
    """
    tasks = [item for item in items if isinstance(item, Task)]
    summary.failures += [str(item) for item in items if isinstance(item, AudioError)]
    fingerprint = order.fingerprint
    if order.setup.mirror is not None:
        make_folder(order.setup.mirror)
    number, count = order.shard
    mine = tasks if count == 1 else [task for task in tasks if shard_of(task.name, count) == number]
    with Ledger(order.ledger) as ledger:
        remove_abandoned(_folders(order, mine))
        todo = mine if order.force else list(_todo(order, ledger, mine, fingerprint, summary))
        if on_start:
            on_start(len(todo))
        try:
            for outcome in engine(order.setup, todo):
                if summary.note(outcome):
                    kept = outcome.records if order.combined is not None else None
                    ledger.add(outcome.task, fingerprint, kept)
                if on_outcome:
                    on_outcome(outcome)
        finally:
            summary.put_in_order(items)
        if order.combined is not None and summary.done + summary.skipped:
            ledger.read()  # what other runs did meanwhile
            _combine(order, order.combined, ledger, tasks, fingerprint)


def in_process(setup: Setup, tasks: Iterable[Task]) -> Iterator[Outcome]:
    """The engine for a few recordings: this process, one after the other."""
    tagger = setup.load()
    for task in tasks:
        yield do(tagger, setup, task)


def _todo(order: Order, ledger: Ledger, tasks: list[Task], fingerprint: str, summary: Run) -> Iterator[Task]:
    """The tasks that are not done; what is, and what no longer is, is counted."""
    mirror, suffix = order.setup.mirror, order.suffix
    folder = None if mirror is None else os.path.join(mirror, "")  # noqa: PTH118
    for task in tasks:
        entry = ledger.entries.get(task.name)
        if entry is None or task.path == STDIN:
            yield task
        elif not entry.covers(task, fingerprint):
            summary.changed += entry.covers(task, entry.fingerprint)
            yield task
        elif folder is not None and not _holds(folder + task.name + suffix):
            yield task
        else:
            summary.skipped += 1


def _holds(result: str) -> bool:
    """Whether there is a result with something in it: a power cut may leave a file without its content."""
    try:
        return os.stat(result).st_size > 0  # noqa: PTH116 (100,000 of these count)
    except OSError:
        return False


def _folders(order: Order, tasks: list[Task]) -> Iterator[Path]:
    """All that results are written to."""
    if order.combined is not None:
        yield order.combined.parent
    if order.setup.mirror is not None:
        names = {os.path.dirname(task.name) for task in tasks}  # noqa: PTH120 (100,000 of these count)
        yield from (order.setup.mirror / name for name in names)


def _combine(order: Order, path: Path, ledger: Ledger, tasks: list[Task], fingerprint: str) -> None:
    """One file of all results, in the order of the listing, whole or not at all."""
    writer = make_writer(order.combined_format)
    with open_sink(path) as sink:
        sink.write(writer.format_header())
        for task in tasks:
            entry = ledger.entries.get(task.name)
            if entry is not None and entry.covers(task, fingerprint):
                for record in ledger.records(task.name):
                    for piece in writer.format_record(record):
                        sink.write(piece)
        sink.write(writer.format_footer())
