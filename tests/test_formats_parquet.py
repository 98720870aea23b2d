"""Parquet, read by Arrow."""

from __future__ import annotations

import csv
import io
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from format_records import AWKWARD, SILENT, STRANGE, label, record, tagged, written

from diffres_cli.outputs import make_writer
from diffres_cli.outputs.sink import open_sink
from diffres_cli.tagging.record import Record


def table_of(*records: Record) -> pa.Table:
    return pq.read_table(io.BytesIO(written("parquet", *records)))


@pytest.mark.parametrize("asked", ["windows", "events", "arrays"])
def test_parquet_holds_the_rows_of_the_csv_typed(asked):
    records = [*tagged(asked), SILENT]
    lines = list(csv.DictReader(io.StringIO(written("csv", *records).decode())))
    types = {"file": str, "label": str, "id": str, "model": str}
    expected = [
        {key: types.get(key, float)(value) if value else None for key, value in line.items()}
        for line in lines
    ]
    assert table_of(*records).select(list(lines[0])).to_pylist() == expected


def test_parquet_columns_are_typed():
    schema = table_of(SILENT).schema
    text, number = pa.string(), pa.float64()
    assert dict(zip(schema.names, schema.types, strict=True)) == {
        "file": text, "start": number, "end": number, "label": text, "id": text, "score": number,
        "model": text, "fps": number, "min_confidence": number,
    }  # fmt: skip


def test_parquet_keeps_a_windows_arrays_in_its_first_row():
    table = table_of(*tagged("arrays"))
    assert (
        table.schema.field("importance").type
        == table.schema.field("embedding").type
        == pa.list_(pa.float32())
    )
    held = [row for row in table.to_pylist() if row["embedding"] is not None]
    windows = [(one, window) for one in tagged("arrays") for window in one["windows"]]
    assert table.num_rows > len(windows)
    for row, (one, window) in zip(held, windows, strict=True):
        assert (row["file"], row["start"], row["frame_rate"]) == (one["file"], window["start"], 100.0)
        assert row["importance"] == np.array(window["importance"], np.float32).tolist()
        assert row["embedding"] == np.array(window["embedding"], np.float32).tolist()


def test_parquet_of_nothing_is_a_table_without_rows():
    assert table_of().num_rows == 0
    assert table_of().schema == table_of(SILENT).schema


def test_parquet_holds_names_that_are_not_utf8():
    assert table_of(STRANGE)["file"].to_pylist() == ["caf\\xe9\t1.wav"]
    assert table_of(STRANGE)["label"].to_pylist() == [AWKWARD]


def test_parquet_passes_row_groups_on_as_they_fill(tmp_path):
    hour = [(10.0 * i, 10.0 * (i + 1), [label(f"label {k}", k / 10) for k in range(5)]) for i in range(360)]
    writer, sizes = make_writer("parquet"), []
    with open_sink(tmp_path / "all.parquet") as sink:
        for number in range(100):
            pieces = list(writer.format_record(record(hour, f"{number}.wav")))
            sizes.append(sum(map(len, pieces)))
            for piece in pieces:
                sink.write(piece)
        sink.write(writer.format_footer())
    groups = pq.ParquetFile(tmp_path / "all.parquet").metadata
    assert groups.num_rows == 100 * 360 * 5
    assert groups.num_row_groups == 1 + sum(size > 0 for size in sizes) > 3
    assert max(groups.row_group(i).num_rows for i in range(groups.num_row_groups)) < 100_000
    assert set(pq.read_table(tmp_path / "all.parquet")["file"].to_pylist()) == {
        f"{i}.wav" for i in range(100)
    }


def test_without_pyarrow_the_install_command_is_named():
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from diffres_cli.errors import MissingDependencyError\n"
        "from diffres_cli.outputs import make_writer\n"
        "try: make_writer('parquet')\n"
        "except MissingDependencyError as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == (
        "the parquet format needs pyarrow, which is not installed: pip install 'diffres[parquet]'\n"
    )
