"""Where results go, and that nothing is lost on the way."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
from pathlib import Path

import pytest
from audio_files import noise, write
from command import EXAMPLES, invoke, spawn
from places import names, open_to_all, small_disk, unprivileged

SIREN = EXAMPLES / "siren.ogg"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["out.json", "out.jsonl", "out.csv", "out.txt", "OUT.CSV"])
def test_a_file_holds_what_standard_output_would_have(here: Path, name: str) -> None:
    format_ = {".txt": "table"}.get(Path(name).suffix, Path(name).suffix.lower().removeprefix("."))
    result = invoke("tag", SIREN, "-o", name)
    assert result == (0, "", "")
    assert (here / name).read_text("utf-8") == invoke("tag", SIREN, "-f", format_).out
    assert names(here) == [name]


def test_the_format_asked_for_wins(here: Path) -> None:
    invoke("tag", SIREN, "-o", "out.txt", "-f", "json")
    assert json.loads((here / "out.txt").read_text("utf-8"))[0]["file"] == str(SIREN)


def test_the_good_ones_are_written_and_the_bad_ones_told(here: Path) -> None:
    (here / "bad.wav").write_text("a diary")
    result = invoke("tag", SIREN, "bad.wav", "-o", "out.csv")
    assert (result.code, result.out) == (1, "")
    assert "bad.wav: a text file, not audio" in result.err
    rows = list(csv.DictReader(io.StringIO((here / "out.csv").read_text("utf-8"))))
    assert {row["file"] for row in rows} == {str(SIREN)}


@pytest.mark.parametrize(
    "arguments", [["bad.wav"], ["nowhere.wav"], [str(SIREN), "--fps", "1"], [str(SIREN), "-m", "x"]]
)
def test_without_results_the_old_file_stays(here: Path, arguments: list[str]) -> None:
    (here / "bad.wav").write_text("a diary")
    (here / "out.csv").write_text("old")
    assert invoke("tag", *arguments, "-o", "out.csv").code in (2, 3)
    assert (here / "out.csv").read_text() == "old"
    assert names(here) == ["bad.wav", "out.csv"]


def test_a_recording_is_never_overwritten(here: Path) -> None:
    (here / "siren.ogg").write_bytes(SIREN.read_bytes())
    (here / "link.csv").symlink_to("siren.ogg")
    for output in ("siren.ogg", "./siren.ogg", "link.csv"):
        result = invoke("tag", SIREN, "siren.ogg", "-o", output, "-f", "csv")
        assert (result.code, result.out) == (2, "")
        assert result.complaint.endswith("this is one of the recordings; choose another file")
    assert (here / "siren.ogg").read_bytes() == SIREN.read_bytes()


@pytest.mark.parametrize(
    ("output", "why"),
    [
        ("nowhere/out.csv", "there is no folder nowhere"),
        ("no\nwhere/out.csv", "there is no folder no\nwhere"),
        ("file/out.csv", "Not a directory"),
        ("x" * 300 + ".csv", "File name too long"),
    ],
)
def test_a_place_where_no_file_can_be(here: Path, output: str, why: str) -> None:
    (here / "file").touch()
    result = invoke("tag", SIREN, "-o", output)
    assert (result.code, result.out) == (3, "")
    complaint = f"cannot write {output}: {why}; choose another place with -o"
    assert result.complaint == complaint.replace("\n", "\\n")


def test_a_read_only_folder(tmp_path: Path) -> None:
    invoke("tag", SIREN)  # once, so that nothing needs to be loaded as nobody
    folder = open_to_all(tmp_path) / "results"
    folder.mkdir(0o555)
    with unprivileged():
        result = invoke("tag", SIREN, "-o", folder / "out.csv")
    assert (result.code, result.out) == (3, "")
    assert (
        result.complaint == f"cannot write {folder}/out.csv: Permission denied; choose another place with -o"
    )


def test_a_full_disk(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", noise(10))
    many = ["--window", "1", "-k", "500", "-c", "0"]  # labels: 300 kB of them
    with small_disk(tmp_path) as disk:
        (disk / "out.json").write_text("old")
        result = invoke("tag", tmp_path / "a.wav", *many, "-o", disk / "out.json")
        assert (result.code, result.out) == (3, "")
        assert "No space left on device" in result.complaint
        assert (disk / "out.json").read_text() == "old"
        assert names(disk) == ["out.json"]


COMMANDS = [
    ["tag", SIREN],
    ["tag", SIREN, "-f", "json"],
    ["models"],
    ["models", "info"],
    ["--help"],
    ["--version"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(map(str, command)))
def test_a_full_standard_output(command: list[str | Path]) -> None:
    with Path("/dev/full").open("wb") as full:
        result = spawn(*command, stdout=full, stderr=-1, capture_output=False)
    assert result.code == 3
    assert result.complaint == "cannot write standard output: No space left on device"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(map(str, command)))
def test_a_closed_standard_output(command: list[str | Path]) -> None:
    result = spawn(*command, preexec_fn=lambda: os.close(1))
    assert (result.code, result.out) == (3, "")
    assert result.complaint == "cannot write standard output: Bad file descriptor"


def test_a_closed_standard_output_is_not_missed_with_o(here: Path) -> None:
    result = spawn("tag", SIREN, "-o", "out.csv", preexec_fn=lambda: os.close(1))
    assert (result.code, result.err) == (0, "")
    assert (here / "out.csv").read_text("utf-8") == invoke("tag", SIREN, "-f", "csv").out


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "full"])
def test_a_standard_error_that_takes_nothing_costs_no_results(here: Path, closed: bool) -> None:
    whole = write(here / "whole.wav", noise(2)).read_bytes()
    (here / "cut.wav").write_bytes(whole[: len(whole) // 2])  # there is something to say
    with Path("/dev/full").open("wb") as full:
        how = (
            {"preexec_fn": lambda: os.close(2)}
            if closed
            else {"capture_output": False, "stdout": -1, "stderr": full}
        )
        result = spawn("tag", "cut.wav", "-f", "csv", **how)
    assert result.code == 0
    assert result.out == invoke("tag", "cut.wav", "-f", "csv").out


def test_a_device_is_written_to(here: Path) -> None:
    expected = invoke("tag", SIREN).out
    result = spawn("tag", SIREN, "-o", "/dev/stdout")
    assert (result.code, result.out, result.err) == (0, expected, "")
    assert stat.S_ISLNK(Path("/dev/stdout").lstat().st_mode)
    assert invoke("tag", SIREN, "-o", "/dev/null") == (0, "", "")
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-16"])
def test_results_are_utf_8_whatever_the_locale(here: Path, encoding: str) -> None:
    with (here / "é \udce9.wav").open("wb") as file:
        write(file, noise(1), format="WAV")
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "LC_ALL": "C"}
    results = spawn("tag", "é \udce9.wav", "-f", "jsonl", env=environment)
    assert results.code == 0
    assert json.loads(results.out)["file"] == "é \udce9.wav"
    assert spawn("models", env=environment).code == 0
