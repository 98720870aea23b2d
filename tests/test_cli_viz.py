"""`diffres viz` from the command line: what is written where, and what is refused before any work."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from audio_files import noise, write
from command import EXAMPLES, Result, invoke, spawn
from places import names

SIREN = EXAMPLES / "siren.ogg"
STARTS = {"png": b"\x89PNG\r\n\x1a\n", "svg": b"<?xml", "pdf": b"%PDF-"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def size(png: Path) -> tuple[int, int]:
    """Width and height in pixels, from a PNG's header."""
    width, height = struct.unpack(">2I", png.read_bytes()[16:24])
    return width, height


def refused(here: Path, *arguments: str | Path, code: int = 2) -> str:
    """What is said of a command line that draws nothing."""
    result = invoke("viz", *arguments)
    assert (result.code, result.out) == (code, "")
    assert not list(here.glob("*.png"))
    return result.complaint


@pytest.mark.parametrize("suffix", STARTS)
def test_a_picture_in_every_format(here: Path, suffix: str) -> None:
    assert invoke("viz", SIREN, "-o", f"x.{suffix}") == Result(0, f"x.{suffix}\n", "")
    assert (here / f"x.{suffix}").read_bytes().startswith(STARTS[suffix])


def test_without_o_and_terminal_the_picture_is_named_after_the_recording(here: Path) -> None:
    assert invoke("viz", SIREN) == Result(0, "siren.diffres.png\n", "")
    assert names(here) == ["siren.diffres.png"]
    assert invoke("viz", SIREN) == Result(0, "siren.diffres.png\n", "")  # and drawn again


def test_width_is_in_inches_at_300_dots_each(here: Path) -> None:
    for width in ("3.5", "7"):
        invoke("viz", SIREN, "-o", "x.png", "--width", width)
        assert size(here / "x.png")[0] == round(float(width) * 300)


def test_rates_are_stacked(here: Path) -> None:
    invoke("viz", SIREN, "-o", "one.svg", "--fps", "25")
    assert invoke("viz", SIREN, "-o", "three.svg", "--fps", "25,50,100").code == 0
    one, three = ((here / name).read_text("utf-8") for name in ("one.svg", "three.svg"))
    for rate in ("25", "50", "100"):
        assert f"{rate} fps" in three
        assert (f"{rate} fps" in one) == (rate == "25")


def test_a_part_of_a_recording(here: Path) -> None:
    write(here / "long.wav", noise(700, 1000), 1000)
    assert invoke("viz", "long.wav", "--start", "650", "--duration", "5", "-o", "x.svg").code == 0
    assert "651" in (here / "x.svg").read_text("utf-8")


def test_a_part_of_the_second_of_two_streams(here: Path) -> None:
    (here / "twice.ogg").write_bytes(SIREN.read_bytes() * 2)
    assert invoke("viz", "twice.ogg", "--start", "12", "--duration", "3", "-o", "x.svg") == Result(
        0, "x.svg\n", ""
    )
    assert "14" in (here / "x.svg").read_text("utf-8")
    (here / "cut.ogg").write_bytes(SIREN.read_bytes()[:-9000] + SIREN.read_bytes())
    result = invoke("viz", "cut.ogg", "-o", "x.svg")
    assert "breaks off" in result.err


def test_a_recording_too_long_to_draw(here: Path) -> None:
    write(here / "long.wav", noise(700, 1000), 1000)
    hint = "at most 600 s fit a picture: choose a part with --start and --duration"
    assert refused(here, "long.wav") == f"long.wav: 700 s to draw, {hint}"
    assert refused(here, "long.wav", "--duration", "601") == f"long.wav: 601 s to draw, {hint}"
    assert invoke("viz", "long.wav", "--start", "695", "-o", "x.svg").code == 0


def test_a_recording_too_long_to_draw_whose_header_does_not_say_so(here: Path) -> None:
    """It would be cut off at ten minutes, and nobody told."""
    data = bytearray(write(here / "long.wav", noise(601, 1000), 1000).read_bytes())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    result = spawn("viz", "-", "-o", "x.png", input=bytes(data))
    assert (result.code, result.out, (here / "x.png").exists()) == (2, "", False)
    assert result.complaint.startswith("standard input: more than 600 s to draw, at most 600 s fit a picture")


def test_in_letters_in_a_pipe(here: Path) -> None:
    result = invoke("viz", SIREN, "--terminal", "--fps", "25")
    assert (result.code, result.err, names(here)) == (0, "", [])
    assert "\x1b" not in result.out
    assert "Siren 0." in result.out.splitlines()[0]
    assert "25 fps" in result.out


def test_in_letters_and_in_a_file(here: Path) -> None:
    result = invoke("viz", SIREN, "--terminal", "-o", "x.png")
    assert (result.code, result.complaint) == (0, "x.png")
    assert result.out == invoke("viz", SIREN, "--terminal").out
    assert names(here) == ["x.png"]


def test_standard_input_at_several_rates(here: Path) -> None:
    result = spawn("viz", "-", "--fps", "25,100", input=SIREN.read_bytes())
    assert result == (0, "stdin.diffres.png\n", "")
    invoke("viz", SIREN, "--fps", "25,100", "-o", "file.png")
    assert size(here / "stdin.diffres.png") == size(here / "file.png")


def test_odd_names_are_printed_as_they_are(here: Path) -> None:
    with (here / "caf\udce9 é.wav").open("wb") as file:
        write(file, noise(1), format="WAV")
    assert invoke("viz", "caf\udce9 é.wav") == Result(0, "caf\udce9 é.diffres.png\n", "")
    assert (here / "caf\udce9 é.diffres.png").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["-o", "x.gif"], "x.gif: a picture is .png, .svg or .pdf, not '.gif'"),
        (["-o", "x"], "x: a picture is .png, .svg or .pdf, not no suffix"),
        (["--width", "0"], "--width 0: must be 2.5 to 40 inches"),
        (["--width", "2.2"], "--width 2.2: must be 2.5 to 40 inches"),
        (["--width", "nan"], "--width nan: must be 2.5 to 40 inches"),
        (["--width", "1e6"], "--width 1e+06: must be 2.5 to 40 inches"),
        (["--fps", "25,,50"], "--fps '': expected a number of frames per second"),
        (["--fps", ""], "--fps '': expected a number of frames per second"),
        (["--fps", "25,1000"], "--fps 1000: audioset-small serves 20 to 100 frames per second"),
        (
            ["--fps", ",".join(["50"] * 9)],
            "--fps 50,50,50,50,50,50,50,50,50: 9 rates; at most 8 fit a picture",
        ),
        (["--start", "-1"], "--start -1: must be 0 or more seconds"),
        (["--start", "nan"], "--start nan: must be 0 or more seconds"),
        (["--duration", "0"], "--duration 0: must be more than 0 seconds"),
        (["--duration", "nan"], "--duration nan: must be more than 0 seconds"),
        (["-k", "0"], "--top-k 0: must be at least 1"),
        (["-m", "nope"], "unknown model 'nope': shipped: audioset-small"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_drawn_is_refused(here: Path, arguments: list[str], complaint: str) -> None:
    assert refused(here, SIREN, *arguments).startswith(complaint)


def test_what_cannot_be_drawn_is_refused_before_the_recording_is_read(here: Path) -> None:
    assert refused(here, "nowhere.wav", "-o", "x.gif").startswith("x.gif: a picture is")
    assert refused(here, "nowhere.wav", "--width", "0").startswith("--width 0: must be")


def test_a_recording_that_cannot_be_read(here: Path) -> None:
    (here / "folder").mkdir()
    (here / "a.wav").write_text("a diary")
    assert refused(here, "nowhere.wav", code=3) == "nowhere.wav: no such file or folder"
    assert refused(here, "a.wav", code=3) == "a.wav: a text file, not audio"
    assert refused(here, "folder", code=3).startswith("folder: a folder, not a recording")
    assert refused(here, SIREN, "--start", "9", code=3).endswith("it ends at 8.00 s, start is 9 s")


def test_a_picture_that_cannot_be_written_leaves_the_old_one(here: Path) -> None:
    assert invoke("viz", SIREN, "-o", "nowhere/x.png").complaint == (
        "cannot write nowhere/x.png: there is no folder nowhere; choose another place with -o"
    )
    (here / "x.png").write_text("old")
    invoke("viz", "nowhere.wav", "-o", "x.png")
    assert (here / "x.png").read_text() == "old"
    assert names(here) == ["x.png"]
