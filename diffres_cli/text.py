"""Text from outside (file names, labels, a model's metadata) made safe to print, and comparable."""

from __future__ import annotations

import codecs
import csv
import io
import re
import reprlib
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import IO, Any

_MAX_LINE = 2**20  # characters; a device such as /dev/zero has a line without end
STDIN = "-"  # as a file name: standard input

# Control characters, line separators, marks that turn the direction of writing, invisible spaces, and halves
# of surrogate pairs. The joiners that Persian and emoji need are not among them.
_UNSAFE = "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff\ud800-\udfff]"
UNSAFE = re.compile(_UNSAFE)
"""A character that no label may have: a terminal would obey it, or a reader not see it."""
_UNSAFE_IN_LINES = re.compile(rf"(?![\n\t]){_UNSAFE}")


def printable(text: str) -> str:
    r"""A name or label on one line, as anyone can read it: control characters and stray bytes escaped.

    >>> printable("rain\n.wav"), printable("caf\udce9.wav"), printable("-")
    ('rain\\n.wav', 'caf\\xe9.wav', 'standard input')
    """
    if text == STDIN:
        return "standard input"
    return escaped(text) or "''"


def escaped(text: str) -> str:
    r"""The same for any text, which may be empty, and of which "-" has no meaning.

    >>> escaped("\x1b[31m rain\n"), escaped("-")
    ('\\x1b[31m rain\\n', '-')
    """
    return text if text.isprintable() else "".join(map(_printable, text))


def escaped_lines(text: str) -> str:
    r"""Text of several lines, with escapes only for what is unsafe.

    >>> escaped_lines("rain\t\x1b[31m0.9\n")
    'rain\t\\x1b[31m0.9\n'
    """
    return _UNSAFE_IN_LINES.sub(lambda match: _printable(match[0]), text)


def shortened(value: Any) -> str:
    """A value as code writes it, on one line, the middle of a long one left out."""
    return escaped(reprlib.repr(value))


def to_nfc(text: str) -> str:
    r"""The one form (NFC) of text that Unicode can write in several: é as one character, or e and an accent.

    >>> to_nfc("cafe\u0301") == "caf\u00e9"
    True
    """
    return unicodedata.normalize("NFC", text)


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    if "\udc80" <= character <= "\udcff":  # how Python carries a byte that is not UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


def first_few(words: Iterable[str], most: int = 3) -> str:
    """The first words of many, and how many more there are.

    >>> first_few("abcde"), first_few("ab")
    ('a, b, c and 2 more', 'a, b')
    """
    texts = list(words)
    return ", ".join(texts[:most]) + (f" and {len(texts) - most} more" if len(texts) > most else "")


def nearest(
    name: str, known: Iterable[str], otherwise: str = "", *, most: int = 1, cutoff: float = 0.5
) -> str:
    """Words for what a misspelt name may stand for: what holds it, then what is spelled nearly so.

    Args:
        otherwise: the words where nothing is near. cutoff: of `difflib.get_close_matches`; 0 finds something.

    >>> nearest("fsp", ["fps", "top-k"]), nearest("x", ["fps"], "choose fps")
    ("nearest: 'fps'", 'choose fps')
    >>> nearest("DOG", ["Hot dog", "Dog"], most=2)
    "nearest: 'Dog', 'Hot dog'"
    """
    folded = {each.casefold(): each for each in known}
    wanted = name.casefold()
    near = sorted((key for key in folded if wanted in key), key=lambda key: key != wanted)
    near += get_close_matches(wanted, folded, most, cutoff)
    found = [repr(folded[key]) for key in dict.fromkeys(near)]
    return f"nearest: {', '.join(found[:most])}" if found else otherwise


def pluralize(count: int, what: str) -> str:
    """A number with its noun.

    >>> pluralize(1, "fault"), pluralize(2, "fault")
    ('1 fault', '2 faults')
    """
    return f"{count} {what}{'' if count == 1 else 's'}"


def to_csv(rows: Iterable[Sequence[object]]) -> str:
    r"""Rows as CSV; None is an empty field.

    >>> to_csv([("name", "score"), ("rain, heavy", None)])
    'name,score\n"rain, heavy",\n'
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""What PowerShell and Excel put in front; in UTF-8 neither can occur."""


class NotTextError(ValueError):
    """Bytes that are no text; `str(error)` says why and what to do, and fits after "not text: "."""

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
        text = io.TextIOWrapper(file, encoding, newline="")
        while line := text.readline(_MAX_LINE):
            number += 1
            if len(line) == _MAX_LINE:
                raise NotTextError(f"line {number} is {_MAX_LINE:,} characters long, or longer")
            if "\0" in line:
                raise NotTextError(f"line {number} holds NUL characters")
            yield line
    except UnicodeDecodeError as error:
        name = "UTF-16" if encoding == "utf-16" else "UTF-8"
        wrong = number + 1 + error.object[: error.start].count(b"\n")  # decoded by blocks of many lines
        raise NotTextError(f"not in {name} ({error.reason} in line {wrong})") from error
