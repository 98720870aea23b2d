"""`--channel`: one, each or the mix, through the tagger, every format, folders, pipes and pictures."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from batch_runs import noted, results
from command import EXAMPLES, invoke, spawn
from format_records import written

from diffres_cli.errors import UsageError
from diffres_cli.outputs import FORMATS
from diffres_cli.tagging.settings import Settings
from diffres_cli.tagging.tagger import Tagger, load_tagger

RATE = 32000


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return load_tagger()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """anti.wav, a siren in opposite phase; two.wav, a siren and a church bell; one.wav, a siren alone."""
    folder = tmp_path_factory.mktemp("channels")
    siren, bell = (
        soundfile.read(EXAMPLES / f"{name}.ogg", dtype="float32")[0] for name in ("siren", "church_bell")
    )
    count = min(len(siren), len(bell))
    for name, samples in (
        ("anti", [siren, -siren]),
        ("two", [siren[:count], bell[:count]]),
        ("one", [siren]),
    ):
        soundfile.write(folder / f"{name}.wav", np.stack(samples, 1), RATE, "PCM_24")
    return folder


@pytest.fixture(autouse=True)
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def records(*arguments: str | Path, code: int = 0) -> list[dict]:
    result = invoke("tag", *arguments, "-f", "jsonl")
    assert result.code == code, result.err
    return [json.loads(line) for line in result.out.splitlines()]


def best(record: dict) -> str:
    return max(record["labels"], key=lambda label: label["score"])["label"]


def test_opposite_phase_is_warned_of_and_each_channel_heard() -> None:
    result = invoke("tag", "anti.wav", "-f", "jsonl")
    (mixed,) = map(json.loads, result.out.splitlines())
    assert (best(mixed), "channel" in mixed) == ("Silence", False)
    assert result.complaint == f"warning: anti.wav: {mixed['warnings'][0]}"
    assert "their mix is over 10 dB quieter" in result.complaint
    found = records("anti.wav", "--channel", "each")
    assert [(record["channel"], best(record)) for record in found] == [(1, "Siren"), (2, "Siren")]
    assert not any("warnings" in record for record in found)


def test_a_channel_alone_is_tagged_as_if_the_others_were_not_there(tagger: Tagger) -> None:
    samples, _ = soundfile.read("two.wav", dtype="float32")
    how = {"spectrogram": False, "window": 2.0, "overlap": 0.5, "events": True, "embeddings": True}
    each = tagger.tag(samples, RATE, channel="each", **how)
    assert [prediction.channel for prediction in each] == [1, 2]
    for number, prediction in enumerate(each, 1):
        alone = tagger.tag(samples[:, number - 1], RATE, **how)
        one = tagger.tag(samples, RATE, channel=number, **how)
        assert (alone.channel, one.channel) == (None, number)
        for other in (alone, one):
            assert {**other.to_dict(), "channel": number} == prediction.to_dict()
    assert [best(prediction.to_dict()) for prediction in each] == ["Siren", "Church bell"]


def test_start_and_duration_hold_for_each_channel(tagger: Tagger) -> None:
    each = tagger.tag("anti.wav", channel="each", start=1.0, duration=2.5)
    assert [(w.start, w.end) for p in each for w in p.windows] == [(1.0, 3.5)] * 2
    (warned,) = tagger.tag("anti.wav", start=1.0, duration=2.5).warnings
    assert "quieter" in warned


@pytest.mark.parametrize("channel", [0, -1, True, 1.0, "left", "", "1"])
def test_what_is_no_channel_is_refused(tagger: Tagger, channel: object) -> None:
    with pytest.raises(UsageError, match=r"^channel.*: choose mix, each or the number of a channel"):
        Settings(channel=channel).resolve(tagger.card)  # type: ignore[arg-type]
    if isinstance(channel, str) and channel != "1":
        assert invoke("tag", "one.wav", "--channel", channel).code == 2


def test_a_channel_that_is_not_there_is_that_recordings_failure(tmp_path: Path) -> None:
    result = invoke("tag", "one.wav", "two.wav", "--channel", "2", "-f", "csv")
    assert result.code == 1
    assert "one.wav: it has 1 channel, and no channel 2" in result.err
    assert {row["file"] for row in csv.DictReader(io.StringIO(result.out))} == {"two.wav"}
    batch = invoke("tag", "one.wav", "two.wav", "--channel", "2", "-o", tmp_path)
    assert batch.code == 1
    assert noted(tmp_path / ".diffres") == ["two.wav"]


def test_standard_input_has_channels_too(folder: Path) -> None:
    data = (folder / "two.wav").read_bytes()
    for how in (["-f", "jsonl"], ["-f", "jsonl", "-j", "2"]):
        result = spawn("tag", "-", "--channel", "each", *how, input=data)
        assert [best(json.loads(line)) for line in result.out.splitlines()] == ["Siren", "Church bell"]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_keeps_channels_apart(name: str) -> None:
    if name == "parquet":
        pytest.importorskip("pyarrow")
    each = records("two.wav", "--channel", "each", "-k", "1", "--ranking", "scores")
    whole = written(name, *each)
    assert whole != written(name, each[0])
    if name == "parquet":
        import pyarrow.parquet as pq

        rows = pq.read_table(io.BytesIO(whole)).to_pylist()
        assert [(row["file"], row["channel"], row["label"]) for row in rows] == [
            ("two.wav", 1, "Siren"),
            ("two.wav", 2, "Church bell"),
        ]
    elif name in ("audacity", "textgrid"):
        assert [text in whole.decode() for text in ("Siren (channel 1)", "Church bell (channel 2)")] == [
            True,
            True,
        ]
    elif name == "table":
        assert "two.wav, channel 2 " in whole.decode()
    elif name == "csv":
        rows = list(csv.DictReader(io.StringIO(whole.decode())))
        assert [(row["channel"], row["label"]) for row in rows] == [("1", "Siren"), ("2", "Church bell")]
    elif name == "raven":
        rows = list(csv.DictReader(io.StringIO(whole.decode()), delimiter="\t"))
        assert [(row["Channel"], row["Begin Time (s)"]) for row in rows] == [("1", "0.000"), ("2", "0.000")]


def test_ravens_clock_counts_a_recording_once() -> None:
    found = records("two.wav", "anti.wav", "--channel", "each", "-k", "1")
    rows = list(csv.DictReader(io.StringIO(written("raven", *found).decode()), delimiter="\t"))
    duration = found[0]["duration"]
    assert [float(row["Begin Time (s)"]) for row in rows] == [0, 0, duration, duration]


def test_a_csv_of_nothing_has_its_header() -> None:
    assert written("csv").startswith(b"file,start,end,label")


def test_a_folder_has_a_file_a_recording_with_all_its_channels(tmp_path: Path) -> None:
    command = ("tag", ".", "-o", tmp_path / "out", "--combined", tmp_path / "all.jsonl", "--channel")
    assert invoke(*command, "each").err == "diffres: 3 tagged\n"
    assert sorted(results(tmp_path / "out")) == ["anti.wav.json", "one.wav.json", "two.wav.json"]
    two = json.loads((tmp_path / "out" / "two.wav.json").read_bytes())
    assert [(record["channel"], best(record)) for record in two] == [(1, "Siren"), (2, "Church bell")]
    combined = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert combined == records("anti.wav", "one.wav", "two.wav", "--channel", "each")
    assert "3 done before" in invoke(*command, "each").err
    changed = invoke(*command, "1")
    assert "changed since the last run: 3 recordings are tagged again" in changed.err
    assert records("anti.wav", "one.wav", "two.wav", "--channel", "1") == [
        json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()
    ]


def test_processes_and_settings_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = records("anti.wav", "two.wav", "--channel", "each")
    assert records("anti.wav", "two.wav", "--channel", "each", "-j", "2") == expected
    monkeypatch.setenv("DIFFRES_CHANNEL", "each")
    assert records("anti.wav", "two.wav") == expected
    monkeypatch.delenv("DIFFRES_CHANNEL")
    (tmp_path / "diffres.toml").write_text("channel = 2\n")
    monkeypatch.setenv("DIFFRES_CONFIG", str(tmp_path / "diffres.toml"))
    assert records("anti.wav", "two.wav") == [record for record in expected if record["channel"] == 2]


def test_pictures_of_channels(tmp_path: Path) -> None:
    for channel in ("2", "each"):
        result = invoke("viz", "two.wav", "-o", tmp_path / f"{channel}.svg", "--channel", channel)
        assert (result.code, result.err) == (0, "")
    two, each = ((tmp_path / f"{name}.svg").read_text() for name in ("2", "each"))
    assert (two.count("Mel spectrogram, channel 2"), "Church bell" in two) == (1, True)
    assert [f"Mel spectrogram, channel {number}" in each for number in (1, 2, 3)] == [True, True, False]
    shown = invoke("viz", "two.wav", "--terminal", "--channel", "each", "--fps", "25,50")
    lines = [line.split()[:2] for line in shown.out.splitlines() if line.startswith("channel")]
    assert lines == [["channel", "1:"]] * 2 + [["channel", "2:"]] * 2
    warned = invoke("viz", "anti.wav", "--terminal")
    assert (warned.code, "channel" in warned.out) == (0, False)
    assert "anti.wav: its channels cancel" in warned.complaint
    many = invoke("viz", "two.wav", "--channel", "each", "--fps", "20,25,30,35,40", "-o", tmp_path / "x.png")
    assert (many.code, "at most 8 fit a picture" in many.complaint) == (2, True)


def test_a_stream_of_windows_is_of_one_channel(tagger: Tagger) -> None:
    samples, rate = soundfile.read("two.wav", dtype="float32")
    with pytest.raises(UsageError, match="channel each"):
        tagger.stream([samples], rate, channel="each")
    (window,) = tagger.stream([samples], rate, channel=2)
    assert window.labels[0].label == "Church bell"
