"""Comparisons, run: real processes, which finish, fail, are stopped and killed, and go on."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from command import invoke, spawn, start
from comparison_runs import TINY
from patience import PATIENCE, wait_until
from training_runs import facts, write_clips

from diffres_cli.comparison.run import worker_environment

pytestmark = pytest.mark.usefixtures("one_cache")

PLAN = f"""
title = "Tiny"
kind = "table1"
[fields]
{TINY}
[variants]
diverging = {{ optimizer.lr = 1e30 }}
[axes]
dataset = "folder"
fps = 25
reduction = "average-pool"
"""


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("data") / "clips", test=True)


@pytest.fixture
def words(tmp_path: Path, clips: Path) -> Callable[..., list[str]]:
    """The command line that compares what stands in a grid."""

    def command(grid: str, *more: str) -> list[str]:
        (tmp_path / "p.toml").write_text(PLAN + grid)
        where = ["-o", str(tmp_path / "out"), "--data", f"folder={clips}"]
        return ["compare", str(tmp_path / "p.toml"), *where, "--devices", "cpu", "--threads", "1", *more]

    return command


def runs(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "out" / "cells").glob("*/run"))


def one_run(tmp_path: Path) -> Path:
    (run,) = runs(tmp_path)
    return run


def test_a_cell_that_crashes_is_reported_and_the_others_go_on(
    words: Callable[..., list[str]], tmp_path: Path
) -> None:
    command = words('[grid]\nvariant = ["diverging", "full"]\n')
    result = spawn(*command, "-j", "2")
    assert result.code == 1, result.err
    *_, failed, last = result.err.splitlines()
    assert last == "diffres: 1 cell done, 1 failed"
    label = "folder paper average-pool 25fps seed0 (diverging)"
    why, _, log = failed.removeprefix(f"diffres: {label}: ").rpartition(" (see ")
    assert why == Path(log.rstrip(")")).read_text().splitlines()[-1].removeprefix("diffres: ")
    rows = [line for line in result.out.splitlines() if line.startswith("| folder")]
    assert [row.split("|")[2].strip() for row in rows] == ["AvgPool, diverging", "AvgPool"]
    assert [row.endswith("| – |") for row in rows] == [True, False]
    assert (tmp_path / "out" / "p.md").read_text() == result.out
    assert {path.suffix for path in (tmp_path / "out").glob("p.*")} == {".md", ".csv", ".tex", ".json"}

    good = next(run for run in runs(tmp_path) if facts(run)["status"] == "finished")
    recipe = str(good.parent / "recipe.toml")
    assert facts(good)["command"] == ["diffres", "train", "--recipe", recipe, "-o", str(good)]
    scored = json.loads((good / "evaluation.json").read_text())["command"]
    assert scored == f"diffres eval --fps 25 {good}"
    trained = (good / "weights.safetensors").stat().st_mtime_ns
    again = invoke(*command, "-j", "0")
    assert (again.code, again.out) == (1, result.out)
    assert again.err.splitlines()[-1] == "diffres: 0 cells done, 1 done before, 1 failed"
    assert (good / "weights.safetensors").stat().st_mtime_ns == trained
    only = invoke(*command, "--table-only", "-f", "csv")
    assert (only.code, only.out) == (0, (tmp_path / "out" / "p.csv").read_text())


def test_where_nothing_succeeds_it_says_so(words: Callable[..., list[str]]) -> None:
    result = invoke(*words('[grid]\nvariant = "diverging"\n'), "-j", "0")
    assert (result.code, result.out) == (3, "")
    assert "diffres: 0 cells done, 1 failed" in result.err
    assert "has a result: there is no table" in result.err


LONG = (
    "[grid]\nfields = { training.epochs = 6, training.checkpoint_every = 1, training.validate_every = 6 }\n"
)


@pytest.mark.parametrize(("jobs", "number", "code"), [("1", signal.SIGINT, 130), ("0", signal.SIGTERM, 143)])
def test_an_interrupted_comparison_goes_on(
    jobs: str, number: int, code: int, words: Callable[..., list[str]], tmp_path: Path
) -> None:
    process = start(*words(LONG), "-j", jobs)
    _wait_for_progress(process, tmp_path)
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, err
    last = err.decode().splitlines()[-1]
    assert last == "diffres: stopped: 0 cells done; run the same command to resume"
    assert facts(one_run(tmp_path))["status"] == "stopped"
    _goes_on(words(LONG), tmp_path)


def test_robbed_of_a_process_it_goes_on(words: Callable[..., list[str]], tmp_path: Path) -> None:
    process = start(*words(LONG))
    _wait_for_progress(process, tmp_path)
    _worker(process).kill()
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 3, err
    assert "killed by SIGKILL: out of memory?" in err.decode()
    _goes_on(words(LONG), tmp_path)


def test_killed_it_goes_on(words: Callable[..., list[str]], tmp_path: Path) -> None:
    process = start(*words(LONG))
    _wait_for_progress(process, tmp_path)
    worker = _worker(process)
    process.kill()
    process.wait()
    psutil.wait_procs([worker], timeout=PATIENCE)
    assert not worker.is_running()
    assert facts(one_run(tmp_path))["status"] == "stopped"
    _goes_on(words(LONG), tmp_path)


def _goes_on(command: list[str], tmp_path: Path) -> None:
    """In this process, which has torch loaded, a cell that was stopped is trained to its end."""
    result = invoke(*command, "-j", "0")
    assert result.code == 0, result.err
    held = facts(one_run(tmp_path))
    assert (held["status"], len(held["sessions"])) == ("finished", 2)
    assert held["sessions"][-1]["command"] == ["diffres", "train", "--resume", str(one_run(tmp_path))]


def test_two_comparisons_share_a_folder_and_its_work(words: Callable[..., list[str]], tmp_path: Path) -> None:
    command = words("[grid]\nseed = [0, 1]\n")
    processes = [start(*command) for _ in range(2)]
    outs = [process.communicate(timeout=PATIENCE) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outs
    assert outs[0][0] == outs[1][0]
    assert [len(facts(run)["sessions"]) for run in runs(tmp_path)] == [1, 1]


def test_a_changed_plan_makes_its_changed_cells_anew_and_says_so(
    words: Callable[..., list[str]], tmp_path: Path
) -> None:
    first = invoke(*words("[grid]\nseed = [0, 1]\n"), "-j", "0")
    assert first.code == 0, first.err
    kept = {run: (run / "weights.safetensors").stat().st_mtime_ns for run in runs(tmp_path)}
    grids = "[[grid]]\nseed = 0\n[[grid]]\nseed = 1\nfields = { optimizer.lr = 1e-4 }\n"
    dry = invoke(*words(grids), "--dry-run")
    assert [line.split()[-2] for line in dry.out.splitlines()[1:]] == ["done", "do"]
    second = invoke(*words(grids), "-j", "0")
    assert second.code == 0, second.err
    changed, *_, last = second.err.splitlines()
    assert changed == (
        "diffres: 1 cell changed since the last run and will run again: folder paper average-pool 25fps seed1"
    )
    assert last == "diffres: 1 cell done, 1 done before"
    assert len(runs(tmp_path)) == 3
    assert all((run / "weights.safetensors").stat().st_mtime_ns == kept[run] for run in kept)


def test_one_network_is_tested_at_several_rates_and_again_only_where_one_is_missing(
    words: Callable[..., list[str]], tmp_path: Path
) -> None:
    elastic = "elastic = true\nfields = { rate.minimum = 25.0, rate.maximum = 100.0 }\n"
    first = invoke(*words(f"[grid]\nfps = [25, 100]\n{elastic}"), "-j", "0")
    assert first.code == 0, first.err
    assert "| AvgPool, one network for 25 to 100 fps |" in first.out
    trained = (one_run(tmp_path) / "weights.safetensors").stat().st_mtime_ns
    second = invoke(*words(f"[grid]\nfps = [25, 50, 100]\n{elastic}"), "-j", "0")
    assert second.code == 0, second.err
    assert "| 25 fps | 50 fps | 100 fps |" in second.out
    assert (one_run(tmp_path) / "weights.safetensors").stat().st_mtime_ns == trained
    found = json.loads((one_run(tmp_path) / "evaluation.json").read_text())
    assert [rate["fps"] for rate in found["rates"]] == [25, 50, 100]


def test_a_process_sees_the_gpu_it_is_given_and_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    second = worker_environment("cuda:1", 3)
    assert (second["CUDA_VISIBLE_DEVICES"], second["OMP_NUM_THREADS"]) == ("1", "3")
    assert worker_environment("cpu", 1)["CUDA_VISIBLE_DEVICES"] == ""
    assert "CUDA_VISIBLE_DEVICES" not in worker_environment("cuda", 1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    assert worker_environment("cuda:1", 1)["CUDA_VISIBLE_DEVICES"] == "6"


def _worker(process: subprocess.Popen[bytes]) -> psutil.Process:
    children = psutil.Process(process.pid).children()
    (worker,) = (child for child in children if any("spawn_main" in word for word in child.cmdline()))
    return worker


def _wait_for_progress(process: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """Until a checkpoint is newer than now."""
    began, checkpoints = time.time_ns(), (tmp_path / "out").glob
    pattern = "cells/*/run/last.safetensors"
    wait_until(lambda: any(path.stat().st_mtime_ns > began for path in checkpoints(pattern)), process)
