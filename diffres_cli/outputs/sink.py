"""Where the output goes: standard output, or a file that appears whole or not at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from diffres_cli.errors import OutputError
from diffres_cli.files import atomic_file
from diffres_cli.text import escaped_lines


class Sink:
    """UTF-8 text into a binary stream, whatever the locale; a file name that is not UTF-8 keeps its bytes.

    Control sequences are escaped on a terminal: names come from other people's files.
    """

    def __init__(self, stream: IO[bytes], before: Callable[[], None] | None = None) -> None:
        self._stream = stream
        self._before = before
        self._is_terminal = stream.isatty()

    def write(self, text: str | bytes) -> None:
        """Write and flush, so that a reader at the other end of a pipe is never behind.

        Raises:
            OutputError, BrokenPipeError: see `diffres_cli.files.NamedWriter`, which all streams here are.
        """
        if self._before:
            self._before()
        if self._is_terminal and isinstance(text, str):
            text = escaped_lines(text)
        self._stream.write(encode(text))
        self._stream.flush()


@contextmanager
def open_sink(output: Path | None, before: Callable[[], None] | None = None) -> Iterator[Sink]:
    """A sink for `output`, or for standard output.

    Args:
        before: called before each write to standard output, to clear a progress bar out of the way.

    Raises:
        OutputError: the file cannot be written.
    """
    if output is None:
        yield Sink(sys.stdout.buffer, before)
        return
    if os.path.isdir(output):  # noqa: PTH112 (says no, where Path raises)
        raise OutputError(f"cannot write {output}: it is a folder; name a file")
    with atomic_file(output) as stream:
        yield Sink(stream)


def encode(text: str | bytes) -> bytes:
    """Text as UTF-8; a file name that is not UTF-8 keeps its bytes."""
    return text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
