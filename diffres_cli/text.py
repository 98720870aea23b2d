"""Text from outside (file names, labels, a model's metadata) made fit to print, and to compare."""

from __future__ import annotations

import re
import reprlib
import unicodedata
from typing import Any

STDIN = "-"  # as a file name: standard input

# Control characters, line separators, marks that turn the direction of writing, invisible spaces, and halves
# of surrogate pairs. The joiners that Persian and emoji need are not among them.
_UNSAFE = "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff\ud800-\udfff]"
UNSAFE = re.compile(_UNSAFE)
"""A character that no label may have: a terminal would obey it, or nobody see it."""
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


def composed(text: str) -> str:
    r"""The one form (NFC) of text that Unicode can write in several: é as one character, or e and an accent.

    >>> composed("cafe\u0301") == "caf\u00e9"
    True
    """
    return unicodedata.normalize("NFC", text)


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    if "\udc80" <= character <= "\udcff":  # how Python carries a byte that is not UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()
