"""Runs that are killed, told to stop, shared by two processes: the network at the end is the same."""

from __future__ import annotations

import csv
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from command import invoke, spawn, start
from patience import PATIENCE
from training_runs import differing, facts, fork, kill, options, wait_for

from diffres_cli.nn.weights import load_network

pytestmark = pytest.mark.usefixtures("one_cache")
SEED = int(os.environ.get("TEST_SEED", time.time()))


def test_killed_three_times_it_ends_where_an_uninterrupted_run_ends(clips: Path, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    print(f"TEST_SEED={SEED}")
    more = {
        "training__epochs": 8,
        "training__ema": 0.7,
        "training__accumulate": 2,
        "training__batch_size": 16,
    }
    assert invoke(*options(clips, tmp_path / "whole", **more)).code == 0
    command, state = options(clips, tmp_path / "cut", **more), tmp_path / "cut" / "last.safetensors"
    for _ in range(3):
        stood = state.stat().st_mtime_ns if state.exists() else 0
        process = fork(*command)
        wait_for(state, process, stood)
        kill(process, chance.uniform(0.0, 0.3))
        command = ["train", "--resume", str(tmp_path / "cut")]
    assert facts(tmp_path / "cut")["status"] == "running"
    result = invoke(*command)
    assert result.code == 0, result.err
    assert not differing(tmp_path / "whole", tmp_path / "cut")
    assert facts(tmp_path / "cut")["best"] == facts(tmp_path / "whole")["best"]
    assert [len(facts(tmp_path / run)["sessions"]) for run in ("whole", "cut")] == [1, 4]


@pytest.mark.parametrize(
    ("checkpoints", "delay", "more"),
    [
        (1, 0.0, {"training__workers": 1}),  # at an epoch's end; batches are read ahead
        (
            3,
            0.3,
            {
                "training__validate_every": 5,
                "training__ema": 0.7,
                "model__freeze_batch_norm": 3,
                "rate__per_batch": 3,
            },
        ),
    ],
)
def test_killed_where_each_epoch_is_one_part_it_trains_each_epoch_once(
    checkpoints: int, delay: float, more: dict[str, Any], clips: Path, tmp_path: Path
) -> None:
    more = {"training__checkpoint_every": 500, "training__epochs": 5, **more}
    assert invoke(*options(clips, tmp_path / "whole", **more)).code == 0
    state = tmp_path / "cut" / "last.safetensors"
    process, stood = fork(*options(clips, tmp_path / "cut", **more)), 0
    for _ in range(checkpoints):
        wait_for(state, process, stood)
        stood = state.stat().st_mtime_ns
    kill(process, delay)
    result = invoke("train", "--resume", tmp_path / "cut")
    assert result.code == 0, result.err
    assert not differing(tmp_path / "whole", tmp_path / "cut")
    assert rates(tmp_path / "whole") == rates(tmp_path / "cut")


def rates(run: Path) -> dict[int, float]:
    """The frame rate of each update that was logged; where one was trained twice, the later."""
    found = {}
    for log in sorted(run.glob("logs/*/metrics.csv")):
        with log.open() as file:
            found |= {
                int(row["step"]): float(row["train/fps"]) for row in csv.DictReader(file) if row["train/fps"]
            }
    return found


def test_killed_while_it_decodes_it_goes_on(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert invoke(*options(clips, tmp_path / "whole")).code == 0
    run = tmp_path / "cut"
    monkeypatch.setenv("DIFFRES_DATA", str(tmp_path / "elsewhere"))  # where nothing is decoded yet
    process = fork(*options(clips, run))
    wait_for(run / "run.json", process)
    kill(process)
    assert not any((tmp_path / "elsewhere").rglob("*.shard"))
    assert facts(run)["sessions"] == []
    (run / "recipe.toml").unlink(missing_ok=True)  # as if killed still earlier
    result = invoke("train", "--resume", run)
    assert (result.code, result.out) == (0, f"{run}\n"), result.err
    assert not differing(tmp_path / "whole", run)
    assert (run / "clips.csv").exists()
    names = ("recipe", "seed", "data", "best", "status")
    assert [facts(run)[name] for name in names] == [facts(tmp_path / "whole")[name] for name in names]


def test_a_full_disk_leaves_the_checkpoint_that_stood(clips: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = fork(*options(clips, run, training__epochs=50))
    wait_for(run / "last.safetensors", process)
    kill(process)
    stood = (run / "last.safetensors").read_bytes()
    # Room for weights and logs, not for a checkpoint, which holds Adam's moments too.
    size = len(stood) * 2 // 3
    limit = f"import resource, signal; resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))"
    full = f"{limit}; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)"
    result = spawn("train", "--resume", run, code=full)
    assert result.code == 3
    assert result.err.splitlines()[-1] == (
        f"diffres: cannot write {run}/last.safetensors: File too large; free some room, and `diffres train "
        f"--resume {run}` resumes from the last checkpoint"
    )
    assert (run / "last.safetensors").read_bytes() == stood
    assert not list(run.glob(".diffres-*"))
    assert facts(run)["status"] == "stopped"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_at_a_log_is_said_and_the_run_goes_on_later(clips: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = fork(*options(clips, run))
    wait_for(run / "last.safetensors", process)
    kill(process)
    (run / "logs" / "1").mkdir(parents=True)
    (run / "logs" / "1" / "metrics.csv").symlink_to("/dev/full")
    result = invoke("train", "--resume", run)
    assert result.code == 3
    assert result.err.splitlines()[-1] == (
        f"diffres: cannot write to {run}: No space left on device; free some room, and `diffres train "
        f"--resume {run}` resumes from the last checkpoint"
    )
    assert invoke("train", "--resume", run).code == 0


def test_told_to_stop_it_says_how_to_go_on(clips: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = start(*options(clips, run, training__epochs=500))
    wait_for(run / "last.safetensors", process)
    other = invoke("train", "--resume", run)
    assert (other.code, "another process is at work on this run" in other.err) == (2, True)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=PATIENCE)
    assert (
        err.decode().splitlines()[-1] == f"diffres: stopped: `diffres train --resume {run}` resumes the run"
    )
    assert process.returncode == 3
    assert facts(run)["status"] == "stopped"


def test_interrupted_it_is_said_in_one_line(clips: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = start(*options(clips, run, training__epochs=500))
    wait_for(run / "last.safetensors", process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err.decode().splitlines()[-1]) == (130, "diffres: interrupted")
    assert b"Traceback" not in err


def test_two_processes_give_what_one_gives(clips: Path, tmp_path: Path) -> None:
    # Statistics and dropout are each process's own: without them nothing depends on how a batch is shared.
    # Six clips are three pairs, so that the processes have two and four.
    more = {
        "model__freeze_batch_norm": 1,
        "model__dropout": False,
        "loss__guide": 0.0,
        "loss__saturation": 0.0,
        "training__batch_size": 6,
    }
    results = [
        invoke(*options(clips, tmp_path / "one", **more), "--devices", "1"),
        spawn(*options(clips, tmp_path / "two", **more), "--devices", "2"),
    ]
    for name, result in zip(("one", "two"), results, strict=True):
        assert (result.code, result.out) == (0, f"{tmp_path / name}\n"), result.err
        assert len([line for line in result.err.splitlines() if "epoch 2" in line]) == 1
    one, two = (facts(tmp_path / name) for name in ("one", "two"))
    assert one["best"] == pytest.approx(two["best"], abs=1e-4)
    assert [held["sessions"][0]["devices"] for held in (one, two)] == [1, 2]
    weights = [load_network(tmp_path / name / "weights.safetensors").state_dict() for name in ("one", "two")]
    for name, values in weights[0].items():
        assert (values.float() - weights[1][name].float()).abs().max() < 1e-3, name
