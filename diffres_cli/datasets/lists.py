"""The lists datasets come with, CSV or text, read row by row.

Each row comes with its place, "PATH, line N", for messages.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath

from diffres_cli.errors import DataError
from diffres_cli.text import NotTextError, lines_of, printable


def read_rows(path: Path, *, skip_space: bool = False) -> Iterator[tuple[str, list[str]]]:
    """The rows of a CSV file, each with its place.

    Args:
        skip_space: blanks after a comma do not count, as in AudioSet's segment lists.

    Raises:
        DataError: it cannot be read, or is not CSV.
    """
    with _explain_failures(path):
        reader = csv.reader(lines_of(path), skipinitialspace=skip_space)
        for row in reader:
            if row:
                yield f"{path}, line {reader.line_num}", row


def read_columns(path: Path, *columns: str, optional: Sequence[str] = ()) -> Iterator[tuple[str, list[str]]]:
    """The cells under these headings of a CSV file, in upper or lower case, row by row.

    Args:
        optional: more headings, whose cells follow; "" in a file without such a column.

    Raises:
        DataError: it cannot be read, a heading is missing, or a row is short of cells.
    """
    rows = read_rows(path)
    header = [name.strip() for name in next(rows, ("", []))[1]]
    check_columns(path, header, columns, optional)
    names = [name.lower() for name in header]
    indices = [names.index(name.lower()) if name.lower() in names else None for name in (*columns, *optional)]
    for place, row in rows:
        if len(row) != len(header):
            raise DataError(f"{place}: expected {len(header)} cells, found {len(row)}")
        yield place, ["" if index is None else row[index] for index in indices]


def check_columns(
    path: Path, found: Iterable[str], required: Sequence[str], optional: Collection[str] = ()
) -> None:
    """Check the headings of a table.

    Raises:
        DataError: a required one is missing.
    """
    names = list(found)
    if {name.lower() for name in required} <= {name.lower() for name in names}:
        return
    listed = ", ".join(map(printable, names)) or "an empty file"
    more = f" (optional: {', '.join(optional)})" if optional else ""
    raise DataError(f"{path}: expected the columns {', '.join(required)}{more}; found {listed}")


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """The lines of a text file that are not blank, each with its place.

    Raises:
        DataError: it cannot be read, or is not text.
    """
    with _explain_failures(path):
        for number, line in enumerate(lines_of(path), 1):
            if line.strip():
                yield f"{path}, line {number}", line.strip()


def relative(name: str, place: str) -> str:
    """The path of a file in a list, with "/" and without "./".

    Args:
        place: where it stands.

    Raises:
        DataError: it is empty, absolute, or leaves the folder by "..".

    >>> relative("./dataset/yes/1.wav", "train.csv, line 2")
    'dataset/yes/1.wav'
    >>> relative("../1.wav", "train.csv, line 3")
    Traceback (most recent call last):
    diffres_cli.errors.DataError: train.csv, line 3: the path '../1.wav' leaves the dataset's folder
    """
    slashed = name.replace("\\", "/")
    parts = [part for part in slashed.split("/") if part not in ("", ".")]
    if not parts or "\0" in name:
        raise DataError(f"{place}: expected the path of a file, found {name!r}")
    if slashed.startswith("/") or PureWindowsPath(slashed).drive or ".." in parts:
        raise DataError(f"{place}: the path {name!r} leaves the dataset's folder")
    return "/".join(parts)


@contextmanager
def _explain_failures(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except NotTextError as error:
        raise DataError(f"{path}: {error}") from error
    except csv.Error as error:
        raise DataError(f"{path}: not CSV ({error})") from error
