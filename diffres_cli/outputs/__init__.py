"""One writer per format. A writer turns records into text or bytes, one recording at a time.

sink.py      where they go: standard output, or a file that appears whole or not at all
records.py   a prediction as plain JSON values, which every writer reads
table.py     for people
json.py      one document: a list of objects
jsonl.py     one object a line
csv.py       one row a label
parquet.py   the same rows, typed
audacity.py  a label track
raven.py     a selection table
textgrid.py  Praat: a tier a label
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from diffres_cli.errors import UsageError

if TYPE_CHECKING:
    from diffres_cli.outputs.records import Record


@dataclass(frozen=True)
class Format:
    """What a format can hold.

    Attributes:
        suffix: of its files; beside a recording it follows the whole name, as in rain.wav.csv.
        several: whether one file may describe more than one recording.
        rows: one line a label, so that it shows either windows or events.
        arrays: whether importance and embeddings have a place.
        binary: no text, and nothing for a terminal.
    """

    suffix: str
    several: bool = True
    rows: bool = True
    arrays: bool = False
    binary: bool = False


FORMATS = {
    "table": Format(".txt"),
    "json": Format(".json", rows=False, arrays=True),
    "jsonl": Format(".jsonl", rows=False, arrays=True),
    "csv": Format(".csv"),
    "parquet": Format(".parquet", arrays=True, binary=True),
    "audacity": Format(".labels.txt", several=False),
    "raven": Format(".selections.txt"),
    "textgrid": Format(".TextGrid", several=False),
}


class Writer(Protocol):
    """A file from a sequence of records: `begin`, one `record` each, `end`. Text is UTF-8."""

    def begin(self) -> str | bytes:
        """What comes before the first recording."""
        ...

    def record(self, record: Record) -> Iterator[str | bytes]:
        """One recording, in pieces, so that a long one is never one long string."""
        ...

    def end(self) -> str | bytes:
        """What comes after the last."""
        ...


def choose_format(name: str | None, output: Path | None, option: str = "--output") -> str:
    """The format asked for, else the one the output file's suffix means, else the table.

    Args:
        option: which one named `output`.

    Raises:
        UsageError: a format we do not write, or a suffix that means none of ours.

    >>> choose_format(None, Path("tags.csv")), choose_format(None, Path("a.Selections.txt"))
    ('csv', 'raven')
    >>> choose_format(None, None)
    'table'
    """
    if name is None:
        return _meant(output, option) if output else "table"
    if name not in FORMATS:
        raise UsageError(f"--format {name}: choose {', '.join(FORMATS)}")
    return name


def _meant(output: Path, option: str) -> str:
    found = format_of(output)
    if found is None and output.suffix:
        known = ", ".join(chosen.suffix for chosen in FORMATS.values())
        raise UsageError(f"{option} {output}: choose a suffix of {known}, or the format with -f")
    return found or "table"


def format_of(path: Path) -> str | None:
    """The format that a file's suffix means, upper or lower case; None where it means none of ours."""
    fitting = [name for name in FORMATS if path.name.lower().endswith(FORMATS[name].suffix.lower())]
    return max(fitting, key=lambda name: len(FORMATS[name].suffix), default=None)


def check_format(name: str, *, recordings: int = 1, events: bool = False, arrays: bool = False) -> None:
    """Refuse what a file of this format has no place for, before anything is tagged.

    Args:
        recordings: how many go into one file. events, arrays: what each record will hold.

    Raises:
        UsageError: what does not fit, and what does.
    """
    chosen = FORMATS[name]
    if recordings > 1 and not chosen.several:
        raise UsageError(
            f"--format {name}: a file describes one recording, not {recordings}; "
            "name a folder with -o, which gets a file for each"
        )
    if arrays and not chosen.arrays:
        fit = ", ".join(other for other in FORMATS if FORMATS[other].arrays)
        raise UsageError(f"--format {name} has no place for --importance or --embeddings; choose {fit}")
    if arrays and events and chosen.rows:
        raise UsageError(
            f"--format {name} has one row an event, and no place for a window's --importance or "
            "--embeddings; choose json or jsonl, or leave out --events"
        )


def make_writer(name: str) -> Writer:
    """The writer for a format of `FORMATS`.

    Raises:
        DependencyError: its optional package is not installed, or does not load.
    """
    writer: Writer = import_module(f"diffres_cli.outputs.{name}").writer()
    return writer
