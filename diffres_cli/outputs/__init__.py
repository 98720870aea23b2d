"""One writer per format. A writer turns records into text or bytes, one recording at a time.

sink.py      where they go: standard output, or a file that appears whole or not at all
writer.py    what every writer is made of: header, records, footer; labels with their times
table.py     for people
json.py      one document, a list of objects; JSON Lines, an object a line
csv.py       one row per label
parquet.py   the same rows, typed
audacity.py  a label track
raven.py     a selection table
textgrid.py  Praat: a tier per label
rttm.py      NIST's RTTM: a line per label

A new format is one file like these and one line in `FORMATS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from diffres_cli.errors import SettingError, UsageError
from diffres_cli.imports import import_object

if TYPE_CHECKING:
    from diffres_cli.outputs.writer import Writer


@dataclass(frozen=True)
class Format:
    """What a format can hold, and what writes it.

    Attributes:
        suffix: of its files; next to a recording it follows the whole name, as in rain.wav.csv.
        writer: the import path of a class derived from `writer.Writer`, called without arguments.
        several: whether one file may describe more than one recording.
        rows: one line per label, so that it shows either windows or events.
        arrays: whether importance and embeddings have a place.
        binary: no text, and nothing for a terminal.
    """

    suffix: str
    writer: str
    several: bool = True
    rows: bool = True
    arrays: bool = False
    binary: bool = False


_HERE = "diffres_cli.outputs"
FORMATS = {
    "table": Format(".txt", f"{_HERE}.table:TableWriter"),
    "json": Format(".json", f"{_HERE}.json:JsonWriter", rows=False, arrays=True),
    "jsonl": Format(".jsonl", f"{_HERE}.json:JsonLinesWriter", rows=False, arrays=True),
    "csv": Format(".csv", f"{_HERE}.csv:CsvWriter"),
    "parquet": Format(".parquet", f"{_HERE}.parquet:ParquetWriter", arrays=True, binary=True),
    "audacity": Format(".labels.txt", f"{_HERE}.audacity:AudacityWriter", several=False),
    "raven": Format(".selections.txt", f"{_HERE}.raven:RavenWriter"),
    "textgrid": Format(".TextGrid", f"{_HERE}.textgrid:TextGridWriter", several=False),
    "rttm": Format(".rttm", f"{_HERE}.rttm:RttmWriter"),
}


def find_format(name: str) -> Format:
    """The format of a name in `FORMATS`, or at an import path, "package.module:NAME", which names a `Format`.

    Raises:
        SettingError: there is none. UsageError: nothing can be imported from that path.
    """
    if ":" in name:
        return import_object(name, Format)
    if name not in FORMATS:
        raise SettingError("format", name, f"choose {', '.join(FORMATS)}")
    return FORMATS[name]


def choose_format(name: str | None, output: Path | None, setting: str = "output") -> str:
    """The format asked for, else the one the output file's suffix stands for, else the table.

    Args:
        setting: which one named `output`.

    Raises:
        UsageError: an unknown format, or a suffix that stands for none.

    >>> choose_format(None, Path("tags.csv")), choose_format(None, Path("a.Selections.txt"))
    ('csv', 'raven')
    >>> choose_format(None, None)
    'table'
    """
    if name is not None:
        find_format(name)
        return name
    found = format_of(output) if output else None
    if found is None and output and output.suffix:
        known = ", ".join(format_.suffix for format_ in FORMATS.values())
        raise SettingError(setting, output, f"choose a suffix of {known}, or name the format")
    return found or "table"


def format_of(path: Path) -> str | None:
    """The format that a file's suffix stands for, upper or lower case; None where it stands for none."""
    fitting = [name for name in FORMATS if path.name.lower().endswith(FORMATS[name].suffix.lower())]
    return max(fitting, key=lambda name: len(FORMATS[name].suffix), default=None)


def formats_with_arrays() -> str:
    """The formats that have a place for importance and embeddings, as a list to read."""
    return ", ".join(name for name in FORMATS if FORMATS[name].arrays)


def check_format(name: str, *, recordings: int = 1, events: bool = False, arrays: bool = False) -> None:
    """Check that a file of this format has a place for what is asked for, before anything is tagged.

    Args:
        recordings: how many go into one file. events, arrays: what each record will hold.

    Raises:
        UsageError: what does not fit, and what does.
    """
    chosen, problem = find_format(name), ""
    if recordings > 1 and not chosen.several:
        problem = f"a file describes one recording, not {recordings}; choose a folder as output"
    elif arrays and not chosen.arrays:
        problem = f"no place for importance or embeddings; choose {formats_with_arrays()}"
    elif arrays and events and chosen.rows:
        problem = "one row per event, and no place for importance or embeddings; choose json or jsonl"
    if problem:
        raise SettingError("format", name, problem)


def make_writer(name: str) -> Writer:
    """The writer for a format, as `find_format` takes it.

    Raises:
        UsageError: what it names is no class derived from `Writer`.
        DependencyError: its optional package is not installed, or does not load.
    """
    from diffres_cli.outputs.writer import Writer

    path = find_format(name).writer
    writer = import_object(path, type)
    if not issubclass(writer, Writer):
        raise UsageError(f"{path}: must be a class derived from {Writer.__module__}.Writer")
    return writer()
