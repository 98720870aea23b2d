"""Recordings and models that never come to an end: each costs itself, and signals are heard meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from batch_runs import leftovers, noted, results, silence, workers_of
from command import EXAMPLES, Result, invoke, spawn, start
from dataset_trees import sound
from hostile import endless_model, ffmpegs, silent_ffmpeg, sounds, unknown_format
from patience import PATIENCE, wait_until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

SIREN = EXAMPLES / "siren.ogg"
LIMIT = ("--timeout", "1")


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return endless_model(tmp_path_factory.mktemp("model") / "endless.onnx")


# --- no progress


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_ffmpeg_that_hangs_costs_its_recording(tmp_path: Path, jobs: str) -> None:
    names = [sounds(tmp_path / "in", "a.wav", "c.wav") / name for name in ("a.wav", "b.m4a", "c.wav")]
    unknown_format(names[1])
    environment = silent_ffmpeg(tmp_path)
    result = spawn("tag", *names, "-f", "jsonl", "-j", jobs, *LIMIT, env=environment)
    assert (result.code, len(result.out.splitlines())) == (1, 2)
    assert "b.m4a: given up after 1 s" in result.err
    assert "a longer timeout" in result.err
    assert not ffmpegs(tmp_path)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_folder_goes_on_and_the_next_run_tries_again(tmp_path: Path, jobs: str) -> None:
    folder = sounds(tmp_path / "in", *(f"{i}.wav" for i in range(4)))
    unknown_format(folder / "0.m4a")
    command = ("tag", folder, "-o", tmp_path / "out", "-j", jobs, *LIMIT)
    result = spawn(*command, env=silent_ffmpeg(tmp_path))
    assert result.code == 1
    assert "0.m4a: given up" in result.err
    assert len(results(tmp_path / "out")) == len(noted(tmp_path / "out" / ".diffres")) == 4
    sound(tmp_path / "0.wav")
    (tmp_path / "0.wav").replace(folder / "0.m4a")
    again = invoke(*command)
    assert (again.code, len(results(tmp_path / "out"))) == (0, 5)
    assert "1 tagged, 4 done before" in again.err


@pytest.mark.parametrize("command", [["tag", SIREN, EXAMPLES / "rain.ogg"], ["viz", SIREN, "-o", "a.png"]])
def test_a_model_that_never_ends_is_given_up(
    endless: Path, tmp_path: Path, command: list[str | Path]
) -> None:
    result = spawn(*command, "-m", endless, *LIMIT, cwd=tmp_path)
    assert (result.code, result.out, list(tmp_path.iterdir())) == (3, "", [])
    lines = result.err.splitlines()
    assert len(lines) == sum(isinstance(word, Path) for word in command)
    assert all("given up after 1 s" in line for line in lines)


def test_workers_stuck_in_a_model_are_replaced(endless: Path, tmp_path: Path) -> None:
    folder = sounds(tmp_path / "in", *(f"{i}.wav" for i in range(3)))
    seen = set[int]()
    with running("tag", folder, "-o", tmp_path / "out", "-m", endless, "-j", "2", *LIMIT) as process:
        while process.poll() is None:
            seen |= {worker.pid for worker in workers_of(process)}
            time.sleep(0.02)
        err = process.communicate()[1].decode()
    assert (process.returncode, err.count("given up after 1 s"), "died" in err) == (3, 3, False)
    assert len(seen) > 2


def test_standard_input_may_take_its_time() -> None:
    with start("tag", "-", "-f", "jsonl", *LIMIT, stdin=subprocess.PIPE) as process:
        time.sleep(3)
        out, err = process.communicate(SIREN.read_bytes(), timeout=PATIENCE)
    assert (process.returncode, err) == (0, b"")
    assert json.loads(out)["labels"]


def test_a_limit_is_a_setting(tmp_path: Path, endless: Path) -> None:
    (tmp_path / "diffres.toml").write_text("timeout = 1\n")
    result = spawn("tag", SIREN, "-m", endless, cwd=tmp_path)
    assert "given up after 1 s" in result.err


@pytest.mark.parametrize("value", ["-1", "nan", "inf"])
@pytest.mark.parametrize("command", ["tag", "viz"])
def test_a_limit_that_is_none_is_refused(command: str, value: str) -> None:
    result = invoke(command, SIREN, f"--timeout={value}")
    assert result.code == 2
    assert "--timeout" in result.complaint


def test_a_dataset_with_a_recording_that_hangs_is_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffres_cli import timeouts
    from diffres_cli.datasets import load_dataset
    from diffres_cli.datasets.check import find_problems
    from diffres_cli.datasets.waveforms.decoding import read_excerpts

    sound(tmp_path / "data" / "rain" / "1.wav")
    hanging = unknown_format(tmp_path / "data" / "rain" / "2.m4a")
    monkeypatch.setenv("PATH", silent_ffmpeg(tmp_path)["PATH"])
    monkeypatch.setattr(timeouts.run_with_timeout, "__defaults__", (0.5,))
    [found] = find_problems(load_dataset("folder", tmp_path / "data"))
    assert (found.name, found.kind) == ("rain/2.m4a", "undecodable")
    [failure] = read_excerpts(hanging, [(0, None)], 8000)
    assert "without progress" in failure.reason  # type: ignore[union-attr]
    assert not failure.permanent  # type: ignore[union-attr]
    assert not ffmpegs(tmp_path)


# --- signals


@contextmanager
def running(*arguments: str | Path, **how: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A run that a test which fails does not wait for."""
    with start(*arguments, **how) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGTERM) -> Result:
    """A run after a signal, which must end it."""
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    return Result(process.returncode, out.decode(), err.decode())


BEGAN: dict[int, float] = {}  # processor time of a process when it had loaded ONNX Runtime
COMMANDS: dict[str, Callable[[Path], list[str | Path]]] = {
    "tag": lambda here: ["tag", here / "in" / "0.wav", "-o", here / "out.json"],
    "processes": lambda here: ["tag", here / "in", "-j", "2", "-f", "csv", "-o", here / "out.csv"],
    "folder": lambda here: ["tag", here / "in", "-o", here / "out", "-j", "1"],
    "folder and processes": lambda here: ["tag", here / "in", "-o", here / "out", "-j", "2"],
    "viz": lambda here: ["viz", here / "in" / "0.wav", "-o", here / "out.png"],
    "eval": lambda here: ["eval", "--dataset", "folder", "--data", here / "in", "--split", "all",
                          "--map", here / "map.csv"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("command", "number"),
    [*((name, signal.SIGTERM) for name in COMMANDS), ("tag", signal.SIGINT), ("viz", signal.SIGINT)],
)
def test_a_signal_is_heard_inside_a_model(
    endless: Path, tmp_path: Path, command: str, number: signal.Signals
) -> None:
    labels = tmp_path / "in"
    if command == "eval":
        pytest.importorskip("torch")
        for name in ("Speech", "Music"):
            sounds(labels / name, "0.wav", "1.wav")
        (tmp_path / "map.csv").write_text("label,model_label\nSpeech,Speech\nMusic,Music\n")
    else:
        sounds(labels, *(f"{i}.wav" for i in range(4)))
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    with running(*COMMANDS[command](tmp_path), "-m", endless, env=environment) as process:
        wait_until(lambda: _computes(process), process)
        workers = workers_of(process)
        result = ended(process, number)
    assert result.code == 128 + number
    assert "Traceback" not in result.err
    assert len(result.err.splitlines()) <= 1
    assert not leftovers(tmp_path)
    assert not psutil.wait_procs(workers, timeout=PATIENCE)[1]


def _computes(process: subprocess.Popen[bytes]) -> bool:
    """Whether a model runs, in a process or a worker: half a second of computing since it has the library."""
    own = psutil.Process(process.pid)
    time.sleep(0.1)
    for each in (own, *own.children()):
        with suppress(psutil.Error, OSError):
            now = sum(each.cpu_times()[:2])
            loaded = "onnxruntime" in Path(f"/proc/{each.pid}/maps").read_text()
            if loaded and now - BEGAN.setdefault(each.pid, now) > 0.5:
                return True
    return False


@pytest.mark.parametrize("command", ["tag", "folder", "viz", "processes"])
def test_a_signal_is_heard_while_ffmpeg_hangs(tmp_path: Path, command: str) -> None:
    sounds(tmp_path / "in")
    for i in range(3):
        unknown_format(tmp_path / "in" / f"{i}.m4a")
    line = [str(word).replace("0.wav", "0.m4a") for word in COMMANDS[command](tmp_path)]
    with running(*line, env=silent_ffmpeg(tmp_path)) as process:
        wait_until((tmp_path / "pids").exists, process)
        result = ended(process)
    assert result.code == 143
    assert "Traceback" not in result.err
    assert not leftovers(tmp_path)
    wait_until(lambda: not ffmpegs(tmp_path))


def test_a_check_in_processes_ends_with_its_signal(tmp_path: Path) -> None:
    (tmp_path / "in" / "rain").mkdir(parents=True)
    for i in range(8):
        silence(tmp_path / "in" / "rain" / f"{i}.wav", 36_000)
    with running("data", "check", "folder", "--data", tmp_path / "in", "--deep", "-j", "2") as process:
        wait_until(lambda: workers_of(process), process)
        time.sleep(1)  # into the first recordings, of ten hours each
        workers = workers_of(process)
        result = ended(process)
    assert (result.code, result.err) == (143, "")
    assert not psutil.wait_procs(workers, timeout=PATIENCE)[1]


@pytest.mark.parametrize("stuck", [True, False])
def test_workers_of_a_killed_parent_end_in_silence(endless: Path, tmp_path: Path, stuck: bool) -> None:
    folder = sounds(tmp_path / "in", *(f"{i}.wav" for i in range(200)))
    model = ["-m", endless] if stuck else []
    with running("tag", folder, "-o", tmp_path / "out", "-j", "2", *model) as process:
        if stuck:
            wait_until(lambda: _computes(process), process)
        else:
            wait_until(lambda: len(list((tmp_path / "out").glob("*.json"))) > 5, process)
        workers = workers_of(process)
        process.kill()
        out, err = process.communicate(timeout=PATIENCE)  # until the last worker let go of the pipes
    assert len(workers) == 2
    assert (out, err) == (b"", b"")
    assert not psutil.wait_procs(workers, timeout=PATIENCE)[1]
    assert not leftovers(tmp_path)
