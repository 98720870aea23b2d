"""The lists datasets come with: CSV files, read row by row, each with the line it stands on."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

from diffres_cli.errors import DataError
from diffres_cli.text import NotTextError, lines_of


def read_rows(path: Path, *, skip_space: bool = False) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV file, and the lines they end on.

    Args:
        path: the file.
        skip_space: blanks after a comma do not count, as in AudioSet's segment lists.

    Raises:
        DataError: it cannot be read, or is not CSV.
    """
    with _failures_named(path):
        reader = csv.reader(lines_of(path), skipinitialspace=skip_space)
        for row in reader:
            if row:
                yield reader.line_num, row


def read_columns(path: Path, *columns: str) -> Iterator[tuple[int, list[str]]]:
    """The cells under these headings of a CSV file, row by row, with line numbers.

    Raises:
        DataError: it cannot be read, a heading is missing, or a row is short of cells.
    """
    rows = read_rows(path)
    header = [name.strip() for name in next(rows, (1, []))[1]]
    missing = [column for column in columns if column not in header]
    if missing:
        found = ", ".join(header) or "an empty file"
        raise DataError(f"{path}: expected the columns {', '.join(columns)}; found {found}")
    places = [header.index(column) for column in columns]
    for line, row in rows:
        if len(row) != len(header):
            raise DataError(f"{path}, line {line}: expected {len(header)} cells, found {len(row)}")
        yield line, [row[place] for place in places]


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text file that are not blank, with their numbers.

    Raises:
        DataError: it cannot be read, or is not text.
    """
    with _failures_named(path):
        for number, line in enumerate(lines_of(path), 1):
            if line.strip():
                yield number, line.strip()


@contextmanager
def _failures_named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except NotTextError as error:
        raise DataError(f"{path}: {error}") from error
    except csv.Error as error:
        raise DataError(f"{path}: not CSV ({error})") from error


class Labels:
    """The labels a dataset knows, by name or id.

    >>> labels = Labels(["rain", "wind"], Path("classes.csv"))
    >>> labels.index("wind", Path("clips.csv"), 2)
    1
    >>> labels.index("rian", Path("clips.csv"), 3)
    Traceback (most recent call last):
    diffres_cli.errors.DataError: clips.csv, line 3: no label 'rian' in classes.csv; the nearest is 'rain'
    """

    def __init__(self, names: Sequence[str], source: Path) -> None:
        self.names = tuple(names)
        self._source = source
        self._places = {name: place for place, name in enumerate(self.names)}
        if len(self._places) != len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise DataError(f"{source}: the label {twice!r} is there twice")

    def index(self, name: str, path: Path, line: int) -> int:
        """The place of a label that stands in a line of a file.

        Raises:
            DataError: nobody knows it.
        """
        try:
            return self._places[name]
        except KeyError:
            raise DataError(f"{path}, line {line}: {self._unknown(name)}") from None

    def _unknown(self, name: str) -> str:
        near = get_close_matches(name, self.names, n=1, cutoff=0.0)
        hint = f"; the nearest is {near[0]!r}" if near else ""
        return f"no label {name!r} in {self._source}{hint}"
