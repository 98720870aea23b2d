"""Everything one can give `diffres tag` to read: good, bad, oddly named, listed, piped."""

from __future__ import annotations

import csv
import io
import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from audio_files import noise, write
from command import EXAMPLES, Result, invoke, spawn

SIREN = EXAMPLES / "siren.ogg"
SECOND = noise(1)


def files(result: Result) -> list[str]:
    """The files that were tagged, from CSV."""
    rows = csv.DictReader(io.StringIO(result.out, newline=""))
    return list(dict.fromkeys(row["file"] for row in rows))


def tagged(*arguments: str | Path) -> list[str]:
    """The files that were tagged, when none failed."""
    result = invoke("tag", *arguments, "-f", "jsonl")
    assert (result.code, result.err) == (0, "")
    return [json.loads(line)["file"] for line in result.out.splitlines()]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def folder(here: Path) -> Path:
    """Three good recordings, a bad one among them, a note, and one in a sub-folder."""
    for name in ("a.wav", "c.flac", "below/d.wav", ".hidden.wav"):
        (here / "sounds" / name).parent.mkdir(parents=True, exist_ok=True)
        write(here / "sounds" / name, SECOND)
    (here / "sounds" / "b.wav").write_text("a diary")
    (here / "sounds" / "notes.txt").write_text("a note")
    return here / "sounds"


def test_one_recording(here: Path) -> None:
    result = invoke("tag", SIREN)
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0] == "audioset-small, 50 fps, labels scoring at least 0.1"
    assert "Siren" in lines[3]


def test_a_folder_without_audio_names_the_option_that_looks_below(here: Path) -> None:
    (here / "d" / "below").mkdir(parents=True)
    (here / "d" / "below" / "a.wav").touch()
    result = invoke("tag", here / "d")
    assert (result.code, "with --recursive" in result.err, "=True" in result.err) == (3, True, False)


def test_the_settings_in_force_are_recorded() -> None:
    result = invoke("tag", SIREN, "--fps", "25", "-c", "0.3", "-k", "2", "-f", "jsonl")
    record = json.loads(result.out)
    assert (record["model"], record["fps"], record["min_confidence"]) == ("audioset-small", 25.0, 0.3)
    assert len(record["labels"]) == 2
    assert min(label["score"] for label in record["labels"]) >= 0.3
    assert invoke("tag", SIREN, "--fps", "25", "-c", "0.3", "-k", "2").out.startswith(
        "audioset-small, 25 fps, labels scoring at least 0.3\n"
    )


def test_a_long_recording_in_windows(here: Path) -> None:
    write(here / "long.wav", noise(25))
    record = json.loads(invoke("tag", "long.wav", "-f", "jsonl").out)
    spans = [(window["start"], window["end"]) for window in record["windows"]]
    assert spans == [(0.0, 10.0), (10.0, 20.0), (15.0, 25.0)]
    record = json.loads(invoke("tag", "long.wav", "--window", "10", "--overlap", "4", "-f", "jsonl").out)
    spans = [(window["start"], window["end"]) for window in record["windows"]]
    assert spans == [(0.0, 10.0), (6.0, 16.0), (12.0, 22.0), (15.0, 25.0)]


@pytest.mark.parametrize("name", ["empty.wav", "diary.wav", "none.wav", "nan.wav", "slow.wav", "cut.wav"])
def test_a_recording_that_cannot_be_tagged_is_one_line_and_exit_3(here: Path, name: str) -> None:
    (here / "empty.wav").touch()
    (here / "diary.wav").write_text("today it rained")
    write(here / "none.wav", SECOND[:0])
    write(here / "nan.wav", np.append(SECOND, [[np.nan]], axis=0), subtype="FLOAT")
    write(here / "slow.wav", SECOND[:100], 1)
    (here / "cut.wav").write_bytes(write(here / "whole.wav", SECOND).read_bytes()[:20])
    result = invoke("tag", name)
    assert (result.code, result.out) == (3, "")
    assert result.complaint.startswith(f"{name}: ")


@pytest.mark.parametrize("name", ["three.wav", "silent.wav", "fast.wav", "wide.wav"])
def test_a_recording_that_is_odd_is_tagged_all_the_same(here: Path, name: str) -> None:
    write(here / "three.wav", SECOND[:3])
    write(here / "silent.wav", 0 * SECOND)
    write(here / "fast.wav", noise(0.2, 384_000), 384_000)
    write(here / "wide.wav", noise(0.2, 8000, channels=64), 8000)
    result = invoke("tag", name, "-f", "jsonl")
    assert (result.code, result.err) == (0, "")
    record = json.loads(result.out)
    assert (record["file"], len(record["windows"])) == (name, 1)
    assert all(0 <= label["score"] <= 1 for label in record["labels"])


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_a_truncated_recording_is_tagged_with_a_warning_that_q_hides(here: Path, suffix: str) -> None:
    whole = write(here / f"whole.{suffix}", noise(4)).read_bytes()
    (here / f"cut.{suffix}").write_bytes(whole[: len(whole) // 2])
    result = invoke("tag", f"cut.{suffix}", "-f", "jsonl")
    assert result.code == 0
    assert result.complaint.startswith(f"warning: cut.{suffix}: the header promises 4.00 s, ")
    assert json.loads(result.out)["duration"] < 3
    assert json.loads(result.out)["warnings"][0] in result.complaint
    assert invoke("tag", f"cut.{suffix}", "-f", "jsonl", "-q") == (0, result.out, "")


def test_in_a_folder_a_bad_file_is_reported_at_the_end(folder: Path) -> None:
    result = spawn("tag", "sounds", cwd=folder.parent, capture_output=False, stdout=-1, stderr=-2)
    assert result.code == 1
    assert [line for line in result.out.splitlines() if line.startswith(("sounds", "diffres"))] == [
        "sounds/a.wav  1.0 s",
        "sounds/c.flac  1.0 s",
        "diffres: sounds/b.wav: a text file, not audio",
        "diffres: 1 of 3 inputs failed",
    ]


def test_folders_below_take_r(folder: Path) -> None:
    (folder / "b.wav").unlink()
    assert tagged("sounds") == ["sounds/a.wav", "sounds/c.flac"]
    assert tagged("sounds", "-r") == ["sounds/a.wav", "sounds/below/d.wav", "sounds/c.flac"]


def test_nothing_but_bad_files_is_exit_3(folder: Path) -> None:
    result = invoke("tag", "sounds/b.wav", "nowhere.wav", "-f", "csv")
    assert result.code == 3
    assert files(result) == []
    assert result.err.splitlines() == [
        "diffres: sounds/b.wav: a text file, not audio",
        "diffres: nowhere.wav: no such file or folder",
    ]


def test_a_folder_without_audio(here: Path) -> None:
    (here / "texts").mkdir()
    (here / "texts" / "a.txt").write_text("a note")
    result = invoke("tag", "texts")
    assert (result.code, result.out) == (3, "")
    assert result.complaint == "texts: no audio in this folder (1 other file in it)"


def test_patterns_and_duplicates(folder: Path) -> None:
    (folder / "b.wav").unlink()
    assert tagged("sounds/[ac].*", "sounds/a.wav", "./sounds/a.wav") == ["sounds/a.wav", "sounds/c.flac"]
    assert tagged("sounds/**/*.wav") == ["sounds/a.wav", "sounds/below/d.wav"]
    assert invoke("tag", "sounds/*.mp3").complaint == "sounds/*.mp3: no file matches this pattern"


ODD = [
    *("new\nline.wav", 'it\'s "quoted".wav', "rain 😀.wav", "caf\udce9.wav", "  spaces  .wav", "a[1].wav"),
    *("C:\\x.wav", "con.wav", "%d.wav", "file:a.wav", "-dash.wav", "no suffix", ".hidden"),
]


@pytest.mark.parametrize("name", ODD)
def test_odd_names_are_tagged_under_their_own_name(here: Path, name: str) -> None:
    with (here / name).open("wb") as file:
        write(file, SECOND, format="WAV")
    result = invoke("tag", "-f", "jsonl", "--", name)
    assert (result.code, result.err) == (0, "")
    assert json.loads(result.out)["file"] == name


@pytest.mark.parametrize("name", ODD)
def test_what_is_said_of_an_odd_name_is_one_line(here: Path, name: str) -> None:
    (here / name).write_text("a diary")
    result = invoke("tag", "--", name)
    assert result.code == 3
    assert result.complaint.isprintable()


def test_a_name_that_looks_like_an_option(here: Path) -> None:
    write(here / "-dash.wav", SECOND)
    result = invoke("tag", "-dash.wav")
    assert result.code == 2
    assert result.complaint.endswith("(for the file -dash.wav, write ./-dash.wav)")
    assert tagged("./-dash.wav") == ["-dash.wav"]


def test_a_file_called_dash_is_not_standard_input(here: Path) -> None:
    with (here / "-").open("wb") as file:
        write(file, SECOND, format="WAV")
    assert Path(tagged("./-")[0]).name == "-"


@pytest.mark.parametrize("format_", ["WAV", "FLAC", "OGG"])
def test_audio_on_standard_input(here: Path, format_: str) -> None:
    data = write(here / "a", noise(3), format=format_).read_bytes()
    result = spawn("tag", "-", "-f", "jsonl", input=data)
    assert (result.code, result.err) == (0, "")
    record = json.loads(result.out)
    assert (record["file"], record["duration"], record["sample_rate"]) == ("-", 3.0, 22050)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF024])
def test_a_wav_whose_length_a_pipe_could_not_know(here: Path, size: int) -> None:
    """As `ffmpeg … -f wav -`, sox and others write it."""
    data = bytearray(write(here / "a.wav", noise(3)).read_bytes())
    data[4:8] = data[40:44] = struct.pack("<I", size)
    result = spawn("tag", "-", "-f", "jsonl", input=bytes(data))
    assert (result.code, result.err) == (0, "")
    assert json.loads(result.out)["duration"] == 3.0


def test_standard_input_with_nothing_on_it() -> None:
    result = spawn("tag", "-")
    assert (result.code, result.out, result.complaint) == (3, "", "standard input: it is empty (0 bytes)")


def test_standard_input_that_is_closed() -> None:
    result = spawn("tag", "-", input=None, preexec_fn=lambda: os.close(0))
    assert result.code == 3
    assert result.complaint == "standard input: it is closed; send audio through a pipe"


def test_paths_from_a_list(folder: Path) -> None:
    paths = ["sounds/a.wav", "", "sounds/c.flac", "sounds/a.wav", "nowhere\u00e9.wav"]
    for separator in ("\n", "\r\n", "\0"):
        (folder / "list").write_bytes(separator.join(paths).encode())
        result = invoke("tag", "--files-from", "sounds/list", "-f", "csv")
        assert (result.code, files(result)) == (1, ["sounds/a.wav", "sounds/c.flac"])
        assert result.err.startswith("diffres: nowhere\u00e9.wav: no such file or folder\n")


def test_paths_on_standard_input(folder: Path) -> None:
    listed = b"sounds/a.wav\nsounds/c.flac\n"
    result = spawn("tag", "--files-from", "-", "-f", "csv", input=listed, cwd=folder.parent)
    assert (result.code, files(result)) == (0, ["sounds/a.wav", "sounds/c.flac"])


def test_standard_input_is_either_audio_or_a_list() -> None:
    result = spawn("tag", "-", "--files-from", "-")
    assert (result.code, result.out) == (2, "")
    assert "cannot be both the audio (-) and the list (--files-from -)" in result.complaint


def test_a_list_that_is_empty(here: Path) -> None:
    write(here / "a.wav", SECOND)
    (here / "list").write_text("\n \n")
    result = invoke("tag", "--files-from", "list")
    assert (result.code, result.out) == (3, "")
    assert result.complaint == "--files-from list: the list is empty"
    result = invoke("tag", "a.wav", "--files-from", "list", "-f", "csv")
    assert (result.code, files(result)) == (1, ["a.wav"])


@pytest.mark.parametrize("name", ["a.wav", "data"])
def test_a_recording_in_the_lists_place(here: Path, name: str) -> None:
    """It would be thousands of paths, and one of them might be `*`."""
    with (here / name).open("wb") as file:
        write(file, SECOND, format="WAV")
    result = invoke("tag", "--files-from", name)
    assert (result.code, result.out) == (2, "")
    assert result.complaint.startswith(f"--files-from {name}: ")


@pytest.mark.parametrize(("name", "why"), [("nowhere", "No such file"), (".", "Is a directory")])
def test_a_list_that_cannot_be_read(here: Path, name: str, why: str) -> None:
    result = invoke("tag", "--files-from", name)
    assert (result.code, result.out) == (2, "")
    assert why in result.complaint
