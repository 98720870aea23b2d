"""What is written: the documented record, and formats that a parser gets everything back from."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from diffres_cli.errors import OutputError, UsageError
from diffres_cli.outputs import FORMATS, choose_format, make_writer
from diffres_cli.outputs.sink import Sink, open_sink
from diffres_cli.tagging.prediction import Label, Prediction, WindowPrediction

SIREN, DOG = Label("Siren", "/m/03kmc9", 0.876521), Label("Dog, bark", "/m/0bt9lr", 0.25)
NOTHING = np.zeros(2, np.float32)


def prediction(file: str = "street.wav", warnings: tuple[str, ...] = ()) -> Prediction:
    """Three windows: two labels, none, one; the last is short."""
    heard = ((SIREN, DOG), (), (DOG,))
    spans = ((0.0, 10.0), (10.0, 20.0), (20.0, 24.12345))
    windows = tuple(
        WindowPrediction(*span, labels, NOTHING) for span, labels in zip(spans, heard, strict=True)
    )
    return Prediction(file, 24.12345, 44100, "tiny", 50.0, 0.1, (SIREN, DOG), windows, warnings)


def quiet(file: str = "night.wav") -> Prediction:
    return Prediction(file, 1.0, 8000, "tiny", 25.0, 0.5, (), (WindowPrediction(0.0, 1.0, (), NOTHING),))


def written(name: str, *predictions: Prediction) -> str:
    out = io.BytesIO()
    writer, sink = make_writer(name), Sink(out)
    sink.write(writer.format_header())
    for each in predictions:
        for piece in writer.format_record(each.to_dict()):
            sink.write(piece)
    sink.write(writer.format_footer())
    return out.getvalue().decode("utf-8", "surrogateescape")


RECORD = {
    "file": "street.wav",
    "duration": 24.123,
    "sample_rate": 44100,
    "model": "tiny",
    "fps": 50.0,
    "min_confidence": 0.1,
    "labels": [
        {"label": "Siren", "id": "/m/03kmc9", "score": 0.8765},
        {"label": "Dog, bark", "id": "/m/0bt9lr", "score": 0.25},
    ],
    "windows": [
        {
            "start": 0.0,
            "end": 10.0,
            "labels": [
                {"label": "Siren", "id": "/m/03kmc9", "score": 0.8765},
                {"label": "Dog, bark", "id": "/m/0bt9lr", "score": 0.25},
            ],
        },
        {"start": 10.0, "end": 20.0, "labels": []},
        {"start": 20.0, "end": 24.123, "labels": [{"label": "Dog, bark", "id": "/m/0bt9lr", "score": 0.25}]},
    ],
}


def test_json_is_a_list_of_the_documented_records() -> None:
    assert json.loads(written("json", prediction())) == [RECORD]
    assert list(json.loads(written("json", prediction()))[0]) == list(RECORD)  # in this order


@pytest.mark.parametrize("count", [0, 1, 3])
def test_json_is_one_list_however_many_there_are(count: int) -> None:
    assert json.loads(written("json", *[prediction()] * count)) == [RECORD] * count


def test_json_lines_are_one_object_a_line() -> None:
    lines = written("jsonl", prediction(), quiet()).splitlines()
    assert [json.loads(line)["file"] for line in lines] == ["street.wav", "night.wav"]
    assert json.loads(lines[0]) == RECORD


def test_warnings_are_in_the_record_where_there_are_any() -> None:
    record = json.loads(written("jsonl", prediction(warnings=("it ends early",))))
    assert record == {**RECORD, "warnings": ["it ends early"]}


@pytest.mark.parametrize(
    "name", ['say "hi".wav', "a\nb.wav", "café 😀.wav", "caf\udce9.wav", "tab\t,comma.wav"]
)
@pytest.mark.parametrize("form", ["json", "jsonl", "csv"])
def test_any_file_name_comes_back(form: str, name: str) -> None:
    text = written(form, prediction(name))
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        assert {row["file"] for row in rows} == {name}
    else:
        loaded = json.loads(text)
        assert (loaded[0] if form == "json" else loaded)["file"] == name


def test_json_is_readable_as_it_is() -> None:
    assert "café 😀" in written("jsonl", prediction("café 😀.wav"))


def test_csv_accounts_for_every_window() -> None:
    rows = list(csv.DictReader(io.StringIO(written("csv", prediction(), quiet()), newline="")))
    assert [(row["file"], row["start"], row["end"], row["label"], row["score"]) for row in rows] == [
        ("street.wav", "0.0", "10.0", "Siren", "0.8765"),
        ("street.wav", "0.0", "10.0", "Dog, bark", "0.25"),
        ("street.wav", "10.0", "20.0", "", ""),
        ("street.wav", "20.0", "24.123", "Dog, bark", "0.25"),
        ("night.wav", "0.0", "1.0", "", ""),
    ]
    assert [(row["model"], row["fps"], row["min_confidence"]) for row in rows[-2:]] == [
        ("tiny", "50.0", "0.1"),
        ("tiny", "25.0", "0.5"),
    ]


def test_the_table_says_the_settings_once_and_shows_every_window() -> None:
    assert written("table", prediction(), prediction("night\n.wav")) == (
        "tiny, 50 fps, labels scoring at least 0.1\n"
        "\n"
        "street.wav  24.1 s\n"
        "  0.88  █████████   Siren\n"
        "  0.25  ██          Dog, bark\n"
        "    0.0 s –  10.0 s  Siren 0.88, Dog, bark 0.25\n"
        "   10.0 s –  20.0 s  –\n"
        "   20.0 s –  24.1 s  Dog, bark 0.25\n"
        "\n"
        "night\\n.wav  24.1 s\n"
        "  0.88  █████████   Siren\n"
        "  0.25  ██          Dog, bark\n"
        "    0.0 s –  10.0 s  Siren 0.88, Dog, bark 0.25\n"
        "   10.0 s –  20.0 s  –\n"
        "   20.0 s –  24.1 s  Dog, bark 0.25\n"
    )


def test_the_table_says_how_to_hear_more_in_a_quiet_recording() -> None:
    assert written("table", quiet()).splitlines()[2:] == [
        "night.wav  1.0 s",
        "  nothing scored 0.5 or more (lower it with -c)",
    ]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_a_writer_and_is_meant_by_its_suffix(name: str) -> None:
    assert choose_format(name, None) == name
    assert choose_format(None, Path(f"result{FORMATS[name].suffix}")) == name
    make_writer(name).format_header()


def test_the_format_asked_for_wins_over_the_suffix() -> None:
    assert choose_format("csv", Path("a.json")) == "csv"
    assert choose_format(None, Path("A.JSON")) == "json"
    assert choose_format(None, Path("a.txt")) == "table"
    with pytest.raises(UsageError, match=r"output a.jsno: .* \.json"):
        choose_format(None, Path("a.jsno"))
    with pytest.raises(UsageError, match="format xml: choose table, json"):
        choose_format("xml", None)


def test_a_sink_passes_everything_on_at_once(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    with path.open("wb") as stream, path.open("rb") as reader:
        Sink(stream).write("caf\udce9 é\n")
        assert reader.read() == b"caf\xe9 \xc3\xa9\n"


def test_a_sink_makes_room_before_it_writes() -> None:
    calls: list[str] = []
    Sink(io.BytesIO(), before=lambda: calls.append("cleared")).write("x")
    assert calls == ["cleared"]


def test_a_sink_never_takes_a_folder_for_a_file(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="it is a folder; name a file"), open_sink(tmp_path):
        pass
