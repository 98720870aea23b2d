"""Results on standard output; messages, one line each, on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from diffres_cli.outputs.sink import Sink
from diffres_cli.text import escaped

if TYPE_CHECKING:
    from rich.console import RenderableType


def command_line() -> list[str]:
    """The command that runs, for files that say how they were made."""
    return ["diffres", *sys.argv[1:]]


def print_result(text: str | bytes) -> None:
    """Write results to standard output; bytes as they are, also to a terminal.

    Raises:
        OutputError: it cannot be written. BrokenPipeError: its reader has left.
    """
    sys.stdout.flush()
    Sink(sys.stdout.buffer).write(text)


def print_table(*rows: tuple[str, ...]) -> None:
    """Write results in aligned columns, the first row their heads."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        line = "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        print_result(f"{line.rstrip()}\n")


def print_message(message: str) -> None:
    """Write one line to standard error, whatever the message holds. A closed one is no failure."""
    with suppress(OSError):
        print(f"diffres: {escaped(message)}", file=sys.stderr)


def print_picture(draw: Callable[[int, int], RenderableType]) -> None:
    """Draw a picture on standard output, in the colours and letters of the terminal there.

    Args:
        draw: given the terminal's columns and lines.

    Raises:
        OutputError, BrokenPipeError: see `print_result`.
    """
    from rich.console import Console

    console = Console()
    with console.capture() as capture:  # rich would end the program when the pipe is closed
        console.print(draw(console.width, console.height))
    print_result(capture.get().encode("utf-8", "surrogateescape"))
