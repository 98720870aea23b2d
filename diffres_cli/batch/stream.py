"""Many recordings through several processes, written as they come and in the order of the listing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from diffres_cli.batch.plan import Task
from diffres_cli.batch.run import Run
from diffres_cli.batch.work import Outcome
from diffres_cli.batch.workers import Workers
from diffres_cli.errors import AudioError
from diffres_cli.outputs.sink import Sink
from diffres_cli.outputs.writer import Writer

_AHEAD = 4  # recordings a worker that are begun or done, and wait for one before them to be written


def tag_in_order(
    workers: Workers,
    items: Sequence[Task | AudioError],
    writer: Writer,
    sink: Sink,
    on_outcome: Callable[[Outcome], None] | None = None,
) -> Run:
    """What `job.tag_all` does, in several processes.

    Args:
        items: as `plan` gives them; standard input, which workers do not have, is not among them.
        on_outcome: told of each recording that was tagged or failed.

    Raises:
        UsageError: settings out of range. OutputError: results can no longer be written.
        ModelError: the model cannot be loaded or run.
    """
    summary = Run()
    outcomes = in_order(workers, [item for item in items if isinstance(item, Task)])
    sink.write(writer.format_header())
    for item in items:
        if isinstance(item, AudioError):
            summary.failures.append(str(item))
            continue
        outcome = next(outcomes)
        if summary.note(outcome):
            for record in outcome.records:
                for piece in writer.format_record(record):
                    sink.write(piece)
        if on_outcome:
            on_outcome(outcome)
    sink.write(writer.format_footer())
    return summary


def in_order(workers: Workers, tasks: Sequence[Task]) -> Iterator[Outcome]:
    """The outcome of each task, in their order. Few are begun ahead of a slow one: memory is bounded."""
    begun = given = 0
    waiting: dict[Task, Outcome] = {}

    def source() -> Iterator[Task]:
        nonlocal begun
        for task in tasks:
            begun += 1
            yield task

    def may_start() -> bool:
        return begun - given < _AHEAD * workers.count

    for outcome in workers.run(source(), may_start):
        waiting[outcome.task] = outcome
        while given < len(tasks) and tasks[given] in waiting:
            given += 1
            yield waiting.pop(tasks[given - 1])
