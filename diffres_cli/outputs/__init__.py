"""One writer per format. A writer turns predictions into text, one recording at a time.

sink.py     where the text goes: standard output, or a file that appears whole or not at all
records.py  a prediction as plain JSON values
table.py    for people        jsonl.py  one object a line      csv.py  one row a label
json.py     one document: a list of objects
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from diffres_cli.errors import UsageError

if TYPE_CHECKING:
    from diffres_cli.prediction import Prediction

FORMATS = ("table", "json", "jsonl", "csv")


class Writer(Protocol):
    """Text for a sequence of predictions: `begin`, one `record` each, `end`."""

    def begin(self) -> str:
        """What comes before the first recording."""
        ...

    def record(self, prediction: Prediction) -> Iterator[str]:
        """One recording, in pieces, so that a long one is never one long string."""
        ...

    def end(self) -> str:
        """What comes after the last."""
        ...


def choose_format(name: str | None, output: Path | None) -> str:
    """The format asked for, else the one the output file's suffix means, else the table.

    Raises:
        UsageError: a format we do not write.

    >>> choose_format(None, Path("tags.csv")), choose_format(None, None)
    ('csv', 'table')
    """
    if name is None:
        suffix = output.suffix.removeprefix(".").lower() if output else ""
        return suffix if suffix in FORMATS else "table"
    if name not in FORMATS:
        raise UsageError(f"--format {name}: choose {', '.join(FORMATS)}")
    return name


def make_writer(name: str) -> Writer:
    """The writer for a format of `FORMATS`."""
    writer: Writer = import_module(f"diffres_cli.outputs.{name}").writer()
    return writer
