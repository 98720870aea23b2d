"""On a terminal, and only there: the picture under one recording, the progress bar, colours."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, NamedTuple

import pytest
from audio_files import noise, write
from command import EXAMPLES, PROGRAM, invoke
from patience import PATIENCE

SIREN, RAIN = EXAMPLES / "siren.ogg", EXAMPLES / "rain.ogg"
COLUMNS, LINES = 100, 40
COLOUR = "\x1b["
HALF_BLOCK, BAR = "▀", "━"
MANY = ("--window", "0.5", "--overlap", "0.475")  # 2,400 windows a minute: a bar appears after half a second


class Screen(NamedTuple):
    """How a run on a terminal ended: exit code, what came to the terminal, and what to pipes."""

    code: int
    shown: str
    out: str
    err: str

    @property
    def text(self) -> str:
        """What is left to read: no colours, no movements of the cursor, one kind of line end."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.shown).replace("\r\n", "\n")


def on_terminal(*arguments: str | Path, out: bool = True, err: bool = True, **environment: str) -> Screen:
    """Run with standard output, standard error or both on a terminal of 100 by 40 letters."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", LINES, COLUMNS, 0, 0))
    plain = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS", "LINES")}
    with TemporaryFile() as out_file, TemporaryFile() as err_file:
        process = subprocess.Popen(
            [*PROGRAM, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=theirs if out else out_file,
            stderr=theirs if err else err_file,
            env={**plain, "TERM": "xterm-256color", "COLORTERM": "truecolor", **environment},
        )
        os.close(theirs)
        shown = read_all(ours)
        code = process.wait(timeout=PATIENCE)
        return Screen(code, shown, *map(content, (out_file, err_file)))


def content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


def read_all(terminal: int) -> str:
    """What a terminal is sent until the last program on it ends."""
    pieces = []
    try:
        while piece := os.read(terminal, 65536):
            pieces.append(piece)
    except OSError as error:
        if error.errno != errno.EIO:  # Linux's way to say that nobody is left
            raise
    finally:
        os.close(terminal)
    return b"".join(pieces).decode()


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Long enough, in many windows, for a bar to appear."""
    return write(tmp_path_factory.mktemp("long") / "long.wav", noise(60, 8000), 8000)


def test_one_recording_is_shown_with_its_picture() -> None:
    screen = on_terminal("tag", SIREN)
    assert screen.code == 0
    labels, picture = screen.text.split("\n\n")[1:]
    assert "Siren" in labels.splitlines()[1]
    lines = picture.splitlines()
    assert [line.split()[0] for line in lines if line[:10].strip()] == [
        "importance",
        "15",
        "50",
        "17",
        "time",
    ]
    assert {len(line) for line in lines} == {COLUMNS}
    assert picture.count(HALF_BLOCK) > 200
    assert "\x1b[38;2;" in screen.shown  # true colour


@pytest.mark.parametrize(
    "arguments",
    [
        [SIREN, "--no-picture"],
        [SIREN, "-f", "table", "--no-picture"],
        [SIREN, "-f", "json"],
        [SIREN, "-f", "jsonl"],
        [SIREN, "-f", "csv"],
        [SIREN, RAIN],
    ],
    ids=lambda arguments: " ".join(Path(each).name for each in arguments),
)
def test_no_picture_unless_it_is_one_table(arguments: list[str | Path]) -> None:
    screen = on_terminal("tag", *arguments)
    assert screen.code == 0
    assert COLOUR not in screen.shown
    assert screen.text.replace("\n", os.linesep) == invoke("tag", *arguments).out


def test_no_picture_in_a_pipe_or_a_file(tmp_path: Path) -> None:
    assert on_terminal("tag", SIREN, out=False).out == invoke("tag", SIREN).out
    assert on_terminal("tag", SIREN, "-o", tmp_path / "out.txt") == (0, "", "", "")
    assert (tmp_path / "out.txt").read_text("utf-8") == invoke("tag", SIREN).out


def test_no_picture_of_what_could_not_be_tagged(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("a diary")
    screen = on_terminal("tag", tmp_path / "a.wav")
    assert (screen.code, screen.text) == (3, f"diffres: {tmp_path}/a.wav: a text file, not audio\n")


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb", "COLORTERM": ""}], ids=str)
def test_without_colours_the_picture_is_in_shades(environment: dict[str, str]) -> None:
    screen = on_terminal("tag", SIREN, **environment)
    assert screen.code == 0
    assert COLOUR not in screen.shown
    assert HALF_BLOCK not in screen.text
    assert "▒" in screen.text


def test_the_picture_is_as_wide_as_it_is_told() -> None:
    screen = on_terminal("tag", SIREN, COLUMNS="60")
    assert {len(line) for line in screen.text.split("\n\n")[2].splitlines()} == {60}


def test_a_bar_shows_how_far_a_long_run_is_and_is_gone_at_the_end(long: Path) -> None:
    screen = on_terminal("tag", long, *MANY, "-f", "csv", out=False)
    assert screen.code == 0
    assert BAR in screen.shown
    assert re.search(r"0/1 .*long\.wav  \d+\.\d s of 1:00", screen.text)
    assert screen.shown.endswith("\x1b[2K")  # the line it stood on is erased
    assert screen.out.count("\n") > 500


def test_the_bar_keeps_out_of_the_results_way(long: Path) -> None:
    screen = on_terminal("tag", long, SIREN, *MANY, "-f", "csv")
    assert screen.code == 0
    assert BAR in screen.shown
    lines = [line for line in screen.text.splitlines() if line.startswith(str(long))]
    assert len(lines) > 500
    assert all(line.count(",") >= 8 and BAR not in line for line in lines)


@pytest.mark.parametrize("hidden", ["-q", "a pipe"])
def test_no_bar_when_it_is_not_wanted_or_there_is_no_terminal(long: Path, hidden: str) -> None:
    quiet = ["-q"] if hidden == "-q" else []
    screen = on_terminal("tag", long, *MANY, "-f", "csv", *quiet, err=hidden == "-q", out=False)
    assert (screen.code, screen.shown, screen.err) == (0, "", "")


def test_audio_is_not_read_from_a_terminal() -> None:
    ours, theirs = pty.openpty()
    result = subprocess.run([*PROGRAM, "tag", "-"], stdin=theirs, capture_output=True, timeout=PATIENCE)
    os.close(theirs)
    os.close(ours)
    assert result.returncode == 3
    assert result.stderr == b"diffres: standard input: it is a terminal; send audio through a pipe\n"


def test_viz_draws_on_a_terminal_and_writes_no_file(tmp_path: Path) -> None:
    screen = on_terminal("viz", SIREN)
    assert screen.code == 0
    assert screen.shown.count("\x1b[38;2;") > 200
    assert len(screen.text.splitlines()) == LINES - 2
    assert {len(line) for line in screen.text.splitlines()} == {COLUMNS}


def test_viz_shares_a_terminal_between_rates() -> None:
    screen = on_terminal("viz", SIREN, "--fps", "25,100")
    assert screen.code == 0
    assert len(screen.text.splitlines()) == LINES - 4
    assert "25 fps" in screen.text
    assert "100 fps" in screen.text


def test_parquet_is_not_for_a_terminal() -> None:
    screen = on_terminal("tag", SIREN, "-f", "parquet")
    assert (screen.code, screen.text) == (
        2,
        "diffres: --format parquet: not for a terminal; name a file with -o\n",
    )
