"""Text files that a user gives: UTF-8 or UTF-16, with or without a byte order mark, with any line ends."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO

UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""What PowerShell and Excel put in front; in UTF-8 neither can occur."""


class NotTextError(ValueError):
    """Bytes that are no text; `str(error)` says why and what to do, and fits behind "not text: "."""

    def __init__(self, why: str) -> None:
        super().__init__(f"{why}; save it as UTF-8")


def encoding_of(head: bytes) -> str:
    """The encoding of a text file that begins with these bytes.

    >>> encoding_of(b"path,labels"), encoding_of(b"\\xef\\xbb\\xbfpath"), encoding_of(b"\\xff\\xfep\\0")
    ('utf-8-sig', 'utf-8-sig', 'utf-16')
    """
    return "utf-16" if head.startswith(UTF16_MARKS) else "utf-8-sig"


def lines_of(path: Path) -> Iterator[str]:
    """The lines of a text file, with their ends, as `csv.reader` takes them; in constant memory.

    Raises:
        OSError: it cannot be read. NotTextError: it holds NUL characters, or is in another encoding.
    """
    with path.open("rb") as file:
        yield from _lines(file, encoding_of(file.peek(2)))


def read_text(path: Path) -> str:
    r"""A text file as one string, its line ends as "\n".

    Raises:
        OSError, NotTextError: see `lines_of`.
    """
    return "".join(lines_of(path)).replace("\r\n", "\n").replace("\r", "\n")


def _lines(file: IO[bytes], encoding: str) -> Iterator[str]:
    number = 0
    try:
        for line in io.TextIOWrapper(file, encoding, newline=""):
            number += 1
            if "\0" in line:
                raise NotTextError(f"line {number} holds NUL characters")
            yield line
    except UnicodeDecodeError as error:
        name = "UTF-16" if encoding == "utf-16" else "UTF-8"
        wrong = number + 1 + error.object[: error.start].count(b"\n")  # decoded by blocks of many lines
        raise NotTextError(f"not in {name} ({error.reason} in line {wrong})") from error
