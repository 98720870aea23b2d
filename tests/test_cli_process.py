"""The program among others: signals, pipes whose reader leaves, and a machine without PyTorch."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from audio_files import noise, write
from command import EXAMPLES, WITHOUT, spawn, start
from patience import PATIENCE
from places import names

SIREN = EXAMPLES / "siren.ogg"

WITHOUT_TORCH = WITHOUT.format(("torch", "torchaudio", "torchvision", "onnx", "safetensors"))


@pytest.fixture(scope="module")
def hours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hours of noise: nobody is done with it before a test is."""
    return write(tmp_path_factory.mktemp("long") / "hours.wav", np.resize(noise(10, 4000), 7200 * 4000), 4000)


def wait_for(folder: Path, pattern: str, process: subprocess.Popen[bytes]) -> None:
    """Until there is such a file, for as long as the process runs."""
    while not list(folder.glob(pattern)):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (signal.SIGINT, 130, "diffres: interrupted\n"),
        (signal.SIGTERM, 143, ""),
        (signal.SIGHUP, 129, ""),
    ],
)
def test_a_signal_ends_the_run_and_leaves_nothing(
    hours: Path, tmp_path: Path, number: signal.Signals, code: int, said: str
) -> None:
    (tmp_path / "out.json").write_text("old")
    with start("tag", hours, "-o", tmp_path / "out.json") as process:
        wait_for(tmp_path, ".diffres-*.part", process)
        time.sleep(0.3)  # into the first windows
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err.decode()) == (code, b"", said)
    assert names(tmp_path) == ["out.json"]
    assert (tmp_path / "out.json").read_text() == "old"


@pytest.mark.parametrize("delay", [0.15, 0.2, 0.25, 0.3])
def test_an_interrupt_while_libraries_load_is_one_line(hours: Path, delay: float) -> None:
    with start("tag", hours) as process:
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    ours = re.search(rb'__main__\.py", line \d+, in main\n', err)
    early = process.returncode == -signal.SIGINT or (b"Traceback" in err and not ours)
    if early:
        pytest.skip("it came before Python had called us")
    assert (process.returncode, out, err) == (130, b"", b"diffres: interrupted\n")


def test_what_was_written_before_an_interrupt_is_whole(hours: Path) -> None:
    with start("tag", SIREN, hours, "-f", "jsonl") as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, rest, err) == (130, b"", b"diffres: interrupted\n")
    assert first.startswith(b'{"file": "')
    assert first.endswith(b"}\n")


def test_nohup_is_obeyed(tmp_path: Path) -> None:
    # A child inherits what is ignored.
    path = write(tmp_path / "a.wav", noise(30))
    ignore = lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)  # noqa: E731
    with start("tag", path, "-o", tmp_path / "out.json", preexec_fn=ignore) as process:
        wait_for(tmp_path, ".diffres-*.part", process)
        process.send_signal(signal.SIGHUP)
        assert process.communicate(timeout=PATIENCE) == (b"", b"")
    assert process.returncode == 0
    assert names(tmp_path) == ["a.wav", "out.json"]


@pytest.mark.parametrize(
    "command",
    [
        ["tag", SIREN],
        ["tag", SIREN, "-f", "json"],
        ["viz", SIREN, "--terminal"],
        ["models"],
        ["models", "info"],
        ["--help"],
        ["--version"],
    ],
    ids=lambda command: " ".join(map(str, command)),
)
def test_a_pipe_whose_reader_left_ends_the_run_in_silence(command: list[str | Path]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    result = spawn(*command, stdout=writer, stderr=-1, capture_output=False)
    os.close(writer)
    assert (result.code, result.err) == (141, "")


def test_a_reader_that_leaves_in_the_middle(hours: Path) -> None:
    """As `| head -1` does."""
    with start("tag", SIREN, hours, SIREN.with_name("rain.ogg"), "-f", "csv", "--window", "2") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"file,start,end")
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 141


def peak(path: Path) -> int:
    """Resident memory that tagging a recording takes at most."""
    process = start("tag", path, "--fps", "20", "-f", "json", stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.communicate()
    assert process.returncode == 0
    return usage.ru_maxrss


def test_a_long_recording_takes_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    """bench/memory.py has the figures for ten hours."""
    short = write(tmp_path / "short.wav", noise(10, 16_000), 16_000)
    long = write(tmp_path / "long.wav", np.resize(noise(10, 16_000), 1200 * 16_000), 16_000)
    assert peak(long) < 1.4 * peak(short)


def test_tagging_without_torch() -> None:
    result = spawn("tag", SIREN, "-f", "csv", code=WITHOUT_TORCH)
    assert (result.code, result.err) == (0, "")
    assert "Siren" in result.out


@pytest.mark.parametrize(
    "command", [["models"], ["models", "info"], ["viz", SIREN, "-o", "x.png"], ["--help"]]
)
def test_everything_else_without_torch(command: list[str | Path], tmp_path: Path) -> None:
    result = spawn(*command, code=WITHOUT_TORCH, cwd=tmp_path)
    assert (result.code, result.err) == (0, "")
