"""Parquet: one row per label of a window, or per event; what has no labels keeps one row, its label null.

The columns are those of the CSV, typed. Where they were asked for, a window's importance (with its
`frame_rate`, Hz) and embedding are lists in the window's first row, and null in its others.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from diffres_cli.imports import required
from diffres_cli.outputs.writer import Writer
from diffres_cli.tagging.record import Record, columns_of, table_rows

if TYPE_CHECKING:
    import pyarrow
    import pyarrow.parquet

_NUMBERS = {"start", "end", "score", "fps", "min_confidence", "frame_rate"}
_INTEGERS = {"channel"}
_LISTS = ("importance", "embedding")
_KEY = "diffres"
_VALUES = 1 << 19  # numbers in a row group: about 60,000 labels, or an hour with importance and embedding


class ParquetWriter(Writer):
    """Row groups are passed on as they fill, so memory stays flat."""

    def __init__(self) -> None:
        """Raises DependencyError where pyarrow is not installed or does not load."""
        with required("the parquet format", "diffres[parquet]"):
            import pyarrow
            import pyarrow.parquet
        self._arrow = pyarrow
        self._stream = io.BytesIO()
        self._file: pyarrow.parquet.ParquetWriter | None = None
        self._rows: list[Record] = []
        self._values = 0

    def format_record(self, record: Record) -> Iterator[bytes]:
        """Row groups, as they fill up."""
        self._open(record)
        for row in _rows(record):
            self._rows.append(row)
            self._values += sum(len(value) if isinstance(value, np.ndarray) else 1 for value in row.values())
            if self._values >= _VALUES:
                yield self._flush()

    def annotate(self, text: str) -> None:
        """Store a text in the file's metadata; call it after the first record. See `annotation`."""
        self._open().add_key_value_metadata({_KEY: text})

    def format_footer(self) -> bytes:
        """The last row group, and the index at the end of the file."""
        last = self._flush()
        file = self._open()
        file.close()
        return last + self._take()

    def _open(self, record: Record | None = None) -> pyarrow.parquet.ParquetWriter:
        if self._file is None:
            schema = _schema(self._arrow, record or {})
            self._file = self._arrow.parquet.ParquetWriter(self._stream, schema, compression="zstd")
        return self._file

    def _flush(self) -> bytes:
        if self._file is None or not self._rows:
            return b""
        self._file.write_table(self._arrow.Table.from_pylist(self._rows, self._file.schema))
        self._rows.clear()
        self._values = 0
        return self._take()

    def _take(self) -> bytes:
        """What Arrow wrote since the last call; it counts its position itself."""
        written = self._stream.getvalue()
        self._stream.seek(0)
        self._stream.truncate()
        return written


def annotation(stream: IO[bytes]) -> str | None:
    """The text that `ParquetWriter.annotate` left in a file; None for a file of another program.

    Raises:
        ValueError: not Parquet.
    """
    import pyarrow.parquet

    metadata = pyarrow.parquet.read_metadata(stream).metadata or {}
    text = metadata.get(_KEY.encode())
    return None if text is None else str(text, "utf-8")


def _schema(arrow: Any, record: Record) -> pyarrow.Schema:
    windows = record.get("windows", ())
    arrays = [name for name in _LISTS if any(name in window for window in windows)]
    rate = ["frame_rate"] if "importance" in arrays else []
    types = {name: arrow.float64() for name in _NUMBERS} | {
        name: arrow.list_(arrow.float32()) for name in _LISTS
    }
    types |= {name: arrow.int32() for name in _INTEGERS}
    return arrow.schema(
        [(name, types.get(name, arrow.string())) for name in (*columns_of(record), *rate, *arrays)]
    )


def _rows(record: Record) -> Iterator[Record]:
    file = record["file"].encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    for row in table_rows(record, arrays=True):
        yield row | {"file": file} | {key: np.asarray(row[key], np.float32) for key in _LISTS if key in row}
