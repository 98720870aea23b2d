"""`diffres tag -j N` without a folder of results: in the order of the listing, whoever is done first."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from batch_runs import begin, clips, silence, workers_of
from command import EXAMPLES, invoke, spawn
from patience import PATIENCE, wait_until

from diffres_cli.audio import find_files
from diffres_cli.batch.plan import Task, plan
from diffres_cli.batch.run import local_engine
from diffres_cli.batch.work import Setup
from diffres_cli.tagging.settings import Settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The first recording takes longer than all the others, and one is none."""
    clips(tmp_path / "in", 20)
    silence(tmp_path / "in" / "!long.wav", 200)
    (tmp_path / "in" / "005.wav").write_bytes(b"RIFF, but no more")
    return tmp_path / "in"


def test_several_processes_write_what_one_writes(folder: Path, tmp_path: Path) -> None:
    inputs = [folder, "nowhere.wav", EXAMPLES / "siren.ogg"]
    stream = invoke("tag", *inputs, "-f", "jsonl", "-j", "2")
    *failures, count = stream.err.splitlines()
    assert (stream.code, count) == (1, "diffres: 2 of 23 inputs failed")
    assert [line.split(": ")[1] for line in failures] == [str(folder / "005.wav"), "nowhere.wav"]
    where = tmp_path / "all.jsonl"
    assert invoke("tag", *inputs, "--combined", where, "-j", "2").code == 1
    assert stream.out == where.read_text("utf-8")
    assert invoke("tag", *inputs, "-o", tmp_path / "file.jsonl", "-j", "2").code == 1
    assert (tmp_path / "file.jsonl").read_text("utf-8") == stream.out
    assert invoke("tag", *inputs, "-f", "jsonl").out == stream.out


class Counted(list[Task]):
    """Tasks, and how many were begun."""

    begun = 0

    def __iter__(self) -> Iterator[Task]:
        for task in super().__iter__():
            self.begun += 1
            yield task


def test_few_are_begun_ahead_of_a_slow_one(folder: Path) -> None:
    silence(folder / "!long.wav", 2000)  # the other worker has time to start
    tasks = Counted(item for item in plan(find_files([folder]), [str(folder)]) if isinstance(item, Task))
    with local_engine(Setup("audioset-small", Settings()), 2, in_order=True)(tasks) as outcomes:
        tasks.begun = 0  # it looked for standard input among them
        assert next(outcomes).task.name == "!long.wav"
        assert tasks.begun == 8  # the other worker waits
        assert [outcome.task for outcome in outcomes] == tasks[1:]


def test_a_setting_is_no_reason_to_refuse(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIFFRES_JOBS", "2")
    sound = (folder / "001.wav").read_bytes()
    result = spawn("tag", "-", folder / "000.wav", "-f", "jsonl", input=sound)
    assert (result.code, result.err) == (0, "")
    assert [json.loads(line)["file"] for line in result.out.splitlines()] == ["-", str(folder / "000.wav")]


@pytest.mark.parametrize("where", ["-o out", "-j 2"])
def test_which_model_runs_is_said_before_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.chdir(tmp_path)
    clips(Path("in"), 2)
    first, *_ = invoke("tag", "in", "-v", "-f", "csv", *where.split()).err.splitlines()
    assert first.startswith("diffres: audioset-small (mobilenet_v3_large, 527 classes, ")
    assert first.endswith(" on cpu, 2 inputs")


def test_settings_out_of_range_are_said_once(folder: Path, tmp_path: Path) -> None:
    result = invoke("tag", folder, "-j", "2", "--fps", "7", "-o", tmp_path / "all.csv")
    assert (result.code, result.complaint[:9]) == (2, "--fps 7: ")
    assert not (tmp_path / "all.csv").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_it_leaves_neither_files_nor_processes(
    folder: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    silence(folder / "!long.wav", 3 * 3600)
    process = begin(folder, "-j", "2", "-o", tmp_path / "all.csv")
    workers = wait_until(lambda: len(found := workers_of(process)) == 2 and found, process)
    os.killpg(process.pid, number)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == code
    _, alive = psutil.wait_procs(workers, timeout=PATIENCE)
    assert alive == []
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
