"""Two runs in one folder: neither removes what the other has begun, and what a killed one left is removed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import EXAMPLES, invoke, start
from patience import PATIENCE
from places import names

SIREN = EXAMPLES / "siren.ogg"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    (folder := tmp_path / "sounds").mkdir()
    (folder / "siren.ogg").symlink_to(SIREN)
    return folder


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A run that has tagged one recording into out/live.jsonl, and waits for the second."""
    (tmp_path / "out").mkdir()
    command = ("tag", SIREN, "-", "-f", "jsonl", "-o", tmp_path / "out" / "live.jsonl")
    with start(*command, stdin=subprocess.PIPE) as process:
        while not (begun := begun_in(tmp_path / "out")) or not begun[0].stat().st_size:
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        os.utime(begun[0], (time.time() - 3600,) * 2)  # it has waited for an hour
        yield process
        process.kill()


def begun_in(folder: Path) -> list[Path]:
    return list(folder.glob(".diffres-*.part"))


def test_a_run_that_starts_leaves_the_live_output_of_another_alone(
    waiting: subprocess.Popen[bytes], sounds: Path, tmp_path: Path
) -> None:
    assert invoke("tag", sounds, "-r", "-o", tmp_path / "out", "-q").code == 0
    out, err = waiting.communicate(SIREN.read_bytes(), timeout=PATIENCE)
    assert (waiting.returncode, out, err) == (0, b"", b"")
    lines = (tmp_path / "out" / "live.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["file"] for line in lines] == [str(SIREN), "-"]
    assert names(tmp_path / "out") == [".diffres", "live.jsonl", "siren.ogg.json"]


def test_what_a_killed_run_left_is_removed(
    waiting: subprocess.Popen[bytes], sounds: Path, tmp_path: Path
) -> None:
    waiting.send_signal(signal.SIGKILL)
    waiting.wait()
    assert begun_in(tmp_path / "out")
    assert invoke("tag", sounds, "-r", "-o", tmp_path / "out", "-q").code == 0
    assert begun_in(tmp_path / "out") == []
