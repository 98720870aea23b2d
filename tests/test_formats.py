"""Records, and the formats that need no other tool to read; the choice of one."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from format_records import ASKED, SILENT, label, tagged, written

from diffres_cli.errors import UsageError
from diffres_cli.outputs import FORMATS, check_format, choose_format, find_format, format_of, make_writer
from diffres_cli.outputs.writer import label_spans
from diffres_cli.tagging.prediction import Event, Label, Prediction, WindowPrediction
from diffres_cli.tagging.record import spans

DOCUMENTED = [
    "file",
    "duration",
    "sample_rate",
    "model",
    "fps",
    "min_confidence",
    "labels",
    "windows",
    "importance_is_even",
]


def test_a_record_is_as_documented_and_holds_more_only_when_asked():
    events, windows = {"label", "id", "start", "end", "score"}, {"start", "end", "labels"}
    assert [list(record) for record in tagged("windows")] == [DOCUMENTED] * 3
    assert [list(record) for record in tagged("events")] == [[*DOCUMENTED, "events"]] * 3
    assert [list(record) for record in tagged("arrays")] == [[*DOCUMENTED, "frame_rate"]] * 3
    assert {frozenset(event) for record in tagged("events") for event in record["events"]} == {
        frozenset(events)
    }
    assert {frozenset(w) for record in tagged("windows") for w in record["windows"]} == {frozenset(windows)}
    for record in tagged("arrays"):
        for window in record["windows"]:
            assert set(window) == windows | {"importance", "embedding", "importance_is_even"}
            duration = window["end"] - window["start"]
            assert len(window["importance"]) == pytest.approx(record["frame_rate"] * duration, abs=1)
            assert len(window["embedding"]) == 384


def test_times_have_three_decimals_and_scores_four():
    third = 1 / 3
    heard, event = Label("Dog", "d", third), Event("Dog", "d", third, 2 * third, third)
    window = WindowPrediction(third, 2 * third, (heard,), np.zeros(1, np.float32))
    made = Prediction("a.wav", 2 * third, 44100, "m", 50.0, 0.1, (heard,), (window,), events=(event,))
    record, said = made.to_dict(), {"label": "Dog", "id": "d", "score": 0.3333}
    assert record["duration"] == 0.667
    assert record["labels"] == [said]
    assert record["windows"] == [{"start": 0.333, "end": 0.667, "labels": [said]}]
    assert record["events"] == [said | {"start": 0.333, "end": 0.667}]


def test_arrays_have_few_decimals():
    for window in tagged("arrays")[0]["windows"]:
        assert all(value == round(value, 4) for value in window["importance"])
        assert all(value == round(value, 4) for value in window["embedding"])


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("name", FORMATS)
def test_a_record_that_was_kept_as_json_writes_the_same_file(name, asked):
    records = tagged(asked) if FORMATS[name].several else tagged(asked)[:1]
    again = json.loads(json.dumps(records))
    assert written(name, *again) == written(name, *records)


@pytest.mark.parametrize("name", sorted(FORMATS.keys() - {"json", "jsonl", "parquet"}))
def test_formats_without_a_place_for_arrays_are_unaffected_by_them(name):
    assert written(name, tagged("arrays")[0]) == written(name, tagged("windows")[0])


def test_events_take_the_place_of_windows_in_rows():
    for record in tagged("events"):
        found = [(e["start"], e["end"], e["label"], e["id"], e["score"]) for e in record["events"]]
        assert [tuple(row) for row in label_spans(record)] == found
        assert len(found) > 1


def test_spans_are_windows_unless_there_are_events():
    assert spans(tagged("windows")[0]) is tagged("windows")[0]["windows"]
    assert [span["labels"][0]["label"] for span in spans(tagged("events")[0])] == [
        event["label"] for event in tagged("events")[0]["events"]
    ]


def test_csv_rows_are_events_when_there_are_events():
    table = list(csv.DictReader(io.StringIO(written("csv", *tagged("events")).decode())))
    expected = [(record["file"], event) for record in tagged("events") for event in record["events"]]
    assert [(row["file"], row["label"], float(row["start"]), float(row["end"])) for row in table] == [
        (file, event["label"], event["start"], event["end"]) for file, event in expected
    ]


def test_a_recording_without_events_keeps_its_row():
    table = list(csv.DictReader(io.StringIO(written("csv", SILENT | {"events": []}).decode())))
    assert [(row["file"], row["start"], row["end"], row["label"]) for row in table] == [
        ("silent.wav", "0.0", "12.5", "")
    ]


def test_the_table_shows_events_to_the_hundredth_of_a_second():
    event = label("Dog", 0.9) | {"start": 4.156, "end": 75.2}
    lines = written("table", SILENT | {"events": [event]}).decode().splitlines()
    assert lines[-1] == "     4.16 – 1:15.20  Dog 0.90"
    assert len(written("table", SILENT | {"events": []}).splitlines()) == len(lines) - 1  # and no windows


@pytest.mark.parametrize("name", FORMATS)
def test_a_formats_own_suffix_means_it(name):
    suffix = FORMATS[name].suffix
    assert choose_format(None, Path(f"out/rain.wav{suffix}")) == name
    assert format_of(Path(f"RAIN{suffix.upper()}")) == name
    assert choose_format(name, Path("out/rain.csv")) == name


def test_other_names_mean_no_format():
    assert [format_of(Path(name)) for name in ("out", "out.d", "a.wav", "csv", "labels")] == [None] * 5
    assert choose_format(None, Path("out")) == "table"


def test_formats_are_told_apart_from_formats_we_lack():
    with pytest.raises(UsageError, match=f"format xml: choose {', '.join(FORMATS)}"):
        choose_format("xml", None)


@pytest.mark.parametrize("name", FORMATS)
def test_several_recordings_are_refused_where_a_file_describes_one(name):
    check_format(name)
    if FORMATS[name].several:
        check_format(name, recordings=2)
    else:
        with pytest.raises(UsageError, match=f"format {name}: a file describes one recording, not 2"):
            check_format(name, recordings=2)


def test_the_documentation_lists_every_format_with_its_suffix():
    table = (Path(__file__).parents[1] / "docs" / "batch.md").read_text("utf-8")
    assert [name for name, each in FORMATS.items() if f"| `{name}` | `{each.suffix}` |" not in table] == []


MY_FORMAT = """
from diffres_cli.outputs import Format
from diffres_cli.outputs.writer import Writer

class Names(Writer):
    def format_record(self, record):
        yield record["file"] + "\\n"

FORMAT = Format(".names", "my_format:Names")
"""


def test_a_format_of_ones_own_is_used_by_its_import_path(tmp_path, monkeypatch):
    (tmp_path / "my_format.py").write_text(MY_FORMAT)
    monkeypatch.syspath_prepend(tmp_path)
    assert choose_format("my_format:FORMAT", Path("a.txt")) == "my_format:FORMAT"
    assert find_format("my_format:FORMAT").suffix == ".names"
    assert written("my_format:FORMAT", SILENT, SILENT) == b"silent.wav\nsilent.wav\n"
    for wrong in ("my_format:Names", "my_format:NOTHING", "no_such_module:FORMAT"):
        with pytest.raises(UsageError, match=wrong):
            find_format(wrong)


@pytest.mark.parametrize("writer", ["Path", "nothing", "FORMAT", "Absent"])
def test_a_format_names_a_writer(writer, tmp_path, monkeypatch):
    lines = f'from pathlib import Path\nnothing = print\nWRONG = Format(".x", "my_wrong:{writer}")\n'
    (tmp_path / "my_wrong.py").write_text(MY_FORMAT + lines)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_wrong", raising=False)
    with pytest.raises(UsageError, match=f"my_wrong:{writer}: "):
        make_writer("my_wrong:WRONG")


def test_arrays_are_refused_where_they_would_be_lost():
    for name in ("json", "jsonl"):
        check_format(name, arrays=True, events=True)
    check_format("parquet", arrays=True)
    check_format("parquet", events=True)
    for name in sorted(FORMATS.keys() - {"json", "jsonl", "parquet"}):
        with pytest.raises(UsageError, match=r"importance .* choose json, jsonl, parquet"):
            check_format(name, arrays=True)
    with pytest.raises(UsageError, match="choose json or jsonl"):
        check_format("parquet", arrays=True, events=True)
