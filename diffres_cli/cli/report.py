"""What a tagging run prints: progress, how it was stopped, what failed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from diffres_cli.cli.console import print_message
from diffres_cli.errors import OutputError

if TYPE_CHECKING:
    from diffres_cli.batch.plan import Task
    from diffres_cli.batch.run import Engine, Summary
    from diffres_cli.batch.work import Outcome
    from diffres_cli.cli.progress import RecordingsBar
    from diffres_cli.cli.runs import TagRun

SIGNALLED, INTERRUPTED = 128, 130  # a signal's exit code is 128 and its number


def report_stop(stop: KeyboardInterrupt | SystemExit, summary: object) -> int:
    """Print how far a run that Ctrl-C or a signal stopped had come, and return its exit code."""
    print_message(f"stopped: {summary}; run the same command to resume")
    return INTERRUPTED if isinstance(stop, KeyboardInterrupt) else int(stop.code or 0)


def run_and_report(
    run: TagRun, summary: Summary, bar: RecordingsBar, *, resumable: bool, quiet: bool, debug: bool
) -> int:
    """Tag, and report also where results can no longer be written or a resumable run is stopped.

    Returns:
        The exit code.
    """
    from diffres_cli.batch.run import Summary, tag_all

    try:
        tag_all(run.items, _with_progress(run.engine, bar, summary, quiet), run.results, summary)
    except (KeyboardInterrupt, SystemExit) as stop:
        if not resumable:
            raise
        return report_stop(stop, summary)
    except OutputError:
        if summary != Summary():
            _report(summary, resumable, quiet, debug)
        raise
    _report(summary, resumable, quiet, debug)
    return summary.exit_code


def _with_progress(engine: Engine, bar: RecordingsBar, summary: Summary, quiet: bool) -> Engine:
    @contextmanager
    def start(tasks: list[Task]) -> Iterator[Iterator[Outcome]]:
        if not quiet:
            _report_start(summary, len(tasks))
        bar.total = len(tasks)
        with engine(tasks) as outcomes, bar:
            yield _counted(outcomes, bar)

    return start


def _counted(outcomes: Iterator[Outcome], bar: RecordingsBar) -> Iterator[Outcome]:
    for outcome in outcomes:
        yield outcome
        bar.count(outcome.task.path, outcome.records[0]["duration"] if outcome.records else 0.0)


def _report_start(summary: Summary, remaining: int) -> None:
    if summary.changed:
        again = f"{summary.changed} recordings are tagged again"
        print_message(f"settings or versions changed since the last run: {again}")
    if summary.skipped:
        done = f"{summary.skipped} recordings are done already"
        print_message(f"{done}, {remaining} to go (--force tags all again)")


def _report(summary: Summary, resumable: bool, quiet: bool, debug: bool) -> None:
    """Warnings, failures and a count, after everything that went well."""
    if not quiet:
        for _, warning in summary.warnings:
            print_message(f"warning: {warning}")
    for failure in summary.failures:
        if debug:
            print(failure.trace, end="", file=sys.stderr)
        print_message(failure.message)
    failed = len(summary.failures)
    if resumable and not quiet:
        print_message(str(summary))
    elif not resumable and failed and summary.done:
        print_message(f"{failed} of {summary.done + failed} inputs failed")
