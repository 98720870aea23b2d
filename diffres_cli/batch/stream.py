"""Results as they come, on standard output or in one file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from diffres_cli.batch.plan import Task
from diffres_cli.batch.run import Summary
from diffres_cli.batch.work import Outcome
from diffres_cli.outputs import make_writer
from diffres_cli.outputs.sink import Sink, open_sink


class StreamResults:
    """Records through a writer, in the order in which they come."""

    def __init__(self, sink: Sink, format_: str) -> None:
        self._sink, self._writer = sink, make_writer(format_)
        self._header = self._writer.format_header()  # written with the first result: none of it without
        self.is_empty = True

    def remaining(self, tasks: list[Task], summary: Summary) -> list[Task]:
        """All of them: a stream cannot be resumed."""
        return tasks

    def add(self, outcome: Outcome) -> None:
        """Write the records of a recording."""
        self.is_empty = False
        self._write_header()
        for record in outcome.records:
            for piece in self._writer.format_record(record):
                self._sink.write(piece)

    def finish(self) -> None:
        """Write the end of the format."""
        self._write_header()
        self._sink.write(self._writer.format_footer())

    def _write_header(self) -> None:
        self._sink.write(self._header)
        self._header = ""


class _NoResultError(Exception):
    """Raised so that a file without results does not replace the old file."""


@contextmanager
def open_stream_results(
    output: Path | None, format_: str, before: Callable[[], None] | None = None
) -> Iterator[StreamResults]:
    """Results in a file, which appears at the end if it holds any, or on standard output.

    Args:
        before: see `open_sink`.

    Raises:
        OutputError: the file cannot be written. DependencyError: the format needs a package.
    """
    with suppress(_NoResultError), open_sink(output, before) as sink:
        stream = StreamResults(sink, format_)
        yield stream
        if output is not None and stream.is_empty:
            raise _NoResultError
