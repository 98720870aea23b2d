"""`diffres tag` at scale: into a folder, or into one resumable file, over many processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from diffres_cli.cli.console import print_message
from diffres_cli.cli.inputs import refuse_overwriting
from diffres_cli.cli.report import report_stop
from diffres_cli.cores import available_cores
from diffres_cli.errors import OutputError, SettingError, UsageError
from diffres_cli.files import reason
from diffres_cli.outputs import check_format, choose_format, find_format

if TYPE_CHECKING:
    from diffres_cli.batch.plan import Task
    from diffres_cli.batch.run import Engine, Order, Run
    from diffres_cli.batch.work import Outcome, Setup
    from diffres_cli.cli.progress import RecordingsBar
    from diffres_cli.errors import AudioError

_WORTH_A_WORKER = 16  # recordings: starting a process takes as long as tagging about this many


def is_folder(output: Path | None) -> bool:
    """Whether -o names a folder of results: it is one, ends like one, or has no suffix to be a file's."""
    if output is None:
        return False
    if os.path.exists(output):  # noqa: PTH110 (says no, where Path raises)
        return output.is_dir()
    return str(output).endswith(os.sep) or not output.suffix


@dataclass(frozen=True)
class Targets:
    """Where results go and how: the options of `diffres tag` that only a resumable run has."""

    output: Path | None
    combined: Path | None
    format: str | None
    jobs: int | None
    shard: str | None
    force: bool

    def order(self, setup: Setup) -> Order:
        """What the batch engine is asked for.

        Raises:
            UsageError: a format that cannot hold what is asked for; two files to write.
        """
        from diffres_cli.batch.plan import parse_shard
        from diffres_cli.batch.run import Order

        self._refuse_two_files()
        self._refuse_no_file()
        settings = setup.settings
        arrays = settings.importance or settings.embeddings
        mirrored = mirrored_format(self.format)
        combined = choose_format(None if self.output else self.format, self.combined, "combined")
        if self.output is not None:
            check_format(mirrored, events=settings.events, arrays=arrays)
        if self.combined is not None:
            check_format(combined, recordings=2, events=settings.events, arrays=arrays)
        setup = replace(setup.pinned(), mirror=self.output, format=mirrored)
        return Order(setup, self.combined, combined, parse_shard(self.shard), self.force)

    def _refuse_two_files(self) -> None:
        if self.output is not None and not is_folder(self.output):
            raise UsageError(
                f"--output {self.output}: with --combined, this is a folder for a result each; name a folder "
                "or leave it out"
            )

    def _refuse_no_file(self) -> None:
        """What cannot be replaced at the end is refused at the beginning."""
        path = self.combined
        if path is None or not os.path.exists(path):  # noqa: PTH110 (says no, where Path raises)
            return
        if path.is_dir():
            raise UsageError(f"--combined {path}: this is a folder; name a file, or write there with -o")
        if not path.is_file():
            raise UsageError(
                f"--combined {path}: not a regular file, and so nothing to go on with; name one, or write "
                "there as results come with -o"
            )
        try:
            path.open("r+b").close()
        except OSError as error:
            why = f"cannot be written: {reason(error)}"
            raise OutputError(f"--combined {path}: {why}; choose another file") from error


def tag_folder(
    targets: Targets, setup: Setup, found: list[str | AudioError], inputs: list[str], quiet: bool
) -> int:
    """Tag what is not done yet and report. Stopped by Ctrl-C or SIGTERM, it says how to go on."""
    from diffres_cli.batch.plan import plan
    from diffres_cli.batch.run import Run, run
    from diffres_cli.cli.progress import RecordingsBar

    order = targets.order(setup)
    refuse_overwriting(found, targets.combined, "--combined")
    items = plan(found, inputs)
    summary = Run()
    bar = RecordingsBar(shown=sys.stderr.isatty() and not quiet)

    bar.total = len(items)

    def work() -> None:
        with bar:
            run(
                order, items, engine(targets.jobs), summary,
                on_start=lambda remaining: _say_start(summary, remaining, targets.force, quiet),
                on_outcome=lambda outcome: progress(bar, outcome),
            )  # fmt: skip

    return attend(work, summary, quiet)


def attend(work: Callable[[], None], summary: Run, quiet: bool) -> int:
    """Do the work and report it, also where it is stopped or results can no longer be written."""
    try:
        work()
    except (KeyboardInterrupt, SystemExit) as stop:
        return report_stop(stop, _count(summary))
    except OutputError:
        _report(summary, quiet)
        raise
    _report(summary, quiet)
    return summary.exit_code


def _report(summary: Run, quiet: bool) -> None:
    """Warnings, failures and a count, after everything that went well."""
    if not quiet:
        for warning in summary.warnings:
            print_message(f"warning: {warning}")
    for failure in summary.failures:
        print_message(failure)
    if not quiet:
        print_message(_count(summary))


def engine(jobs: int | None) -> Engine:
    """What runs the tasks: this process for a few recordings, else `jobs` worker processes.

    Raises:
        UsageError: jobs below 1.
    """
    at_least_one(jobs)

    def start(setup: Setup, tasks: Iterable[Task]) -> Iterator[Outcome]:
        from diffres_cli.batch.plan import STDIN
        from diffres_cli.batch.run import in_process
        from diffres_cli.batch.workers import Workers

        todo = list(tasks)
        if any(task.path == STDIN for task in todo):  # which only this process can read
            yield from in_process(setup, [task for task in todo if task.path == STDIN])
            todo = [task for task in todo if task.path != STDIN]
        if not todo:
            return
        count = min(jobs or min(available_cores(), len(todo) // _WORTH_A_WORKER), len(todo))
        if count <= 1:
            yield from in_process(setup, todo)
            return
        with Workers(count, setup) as pool:
            yield from pool.run(todo)

    return start


def processes(jobs: int | None, found: list[str | AudioError]) -> int:
    """How many processes tag what was found, where results come in order: one, unless more are asked for.

    Raises:
        UsageError: jobs below 1.
    """
    at_least_one(jobs)
    return 1 if "-" in found else min(jobs or 1, len(found))  # workers have no standard input


def at_least_one(jobs: int | None) -> None:
    """Raises UsageError for jobs below 1."""
    if jobs is not None and jobs < 1:
        raise SettingError("jobs", jobs, "must be at least 1")


def mirrored_format(name: str | None) -> str:
    """The format of a folder of results: JSON unless another is asked for.

    Raises:
        UsageError: a format we do not write.
    """
    name = name or "json"
    find_format(name)
    return name


def _count(summary: Run) -> str:
    skipped = f", {summary.skipped} done before" if summary.skipped else ""
    failed = f", {len(summary.failures)} failed" if summary.failures else ""
    return f"{summary.done} tagged{skipped}{failed}"


def _say_start(summary: Run, remaining: int, force: bool, quiet: bool) -> None:
    if summary.changed and not force and not quiet:
        print_message(
            f"settings or versions changed since the last run: {summary.changed} recordings are tagged again"
        )
    if summary.skipped and not quiet:
        print_message(
            f"{summary.skipped} recordings are done already, {remaining} to go (--force tags all again)"
        )


def progress(bar: RecordingsBar, outcome: Outcome) -> None:
    """A recording is done."""
    duration = outcome.records[0]["duration"] if outcome.records else 0.0
    bar.count(outcome.task.path, duration)
