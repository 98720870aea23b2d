"""What is around a run (Slurm, variables of Lightning, files beside it) does not change it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command import ROOT, invoke, start
from patience import PATIENCE
from training_runs import differing, facts, options, wait_for

SLURM = {
    "SLURM_JOB_ID": "4321",
    "SLURM_JOB_NAME": "train",
    "SLURM_NTASKS": "1",
    "SLURM_NTASKS_PER_NODE": "1",
    "SLURM_NNODES": "1",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "0",
    "SLURM_NODELIST": "localhost",
}
LIGHTNING = {
    "PL_TRAINER_FAST_DEV_RUN": "1",
    "PL_TRAINER_MAX_STEPS": "1",
    "PL_TRAINER_LIMIT_TRAIN_BATCHES": "1",
    "PL_TRAINER_OVERFIT_BATCHES": "1",
    "PL_GLOBAL_SEED": "5",
}

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="signals"),
    pytest.mark.usefixtures("one_cache"),
]


def launch(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.Popen[bytes]:
    cwd.mkdir(exist_ok=True)
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return start(*arguments, cwd=cwd, env=os.environ | environment | {"PYTHONPATH": paths})


def test_what_is_around_a_run_does_not_change_it(clips: Path, tmp_path: Path) -> None:
    assert invoke(*options(clips, tmp_path / "alone", training__epochs=1)).code == 0
    assert invoke(*options(clips, tmp_path / "other", training__epochs=1), "--seed", "9").code == 0
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    shutil.copy(tmp_path / "other" / "last.safetensors", cwd / "hpc_ckpt_1.ckpt")
    process = launch(*options(clips, tmp_path / "run", training__epochs=1), cwd=cwd, **SLURM, **LIGHTNING)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert not differing(tmp_path / "alone", tmp_path / "run")
    assert [path.name for path in cwd.iterdir()] == ["hpc_ckpt_1.ckpt"]


def test_slurms_signal_stops_a_run_as_sigterm_does(clips: Path, tmp_path: Path) -> None:
    run, cwd = tmp_path / "run", tmp_path / "cwd"
    process = launch(*options(clips, run, training__epochs=500), cwd=cwd, **SLURM)
    wait_for(run / "last.safetensors", process)
    process.send_signal(signal.SIGUSR1)
    _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, facts(run)["status"]) == (3, "stopped")
    assert f"stopped: `diffres train --resume {run}`" in err.decode().splitlines()[-1]
    assert not list(cwd.iterdir())
    assert not list(run.glob("*.ckpt"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_stopped_while_it_decodes_it_says_how_to_go_on(number: int, clips: Path, tmp_path: Path) -> None:
    run, elsewhere = tmp_path / "run", str(tmp_path / "home")  # where nothing is decoded yet
    process = launch(*options(clips, run), cwd=tmp_path / "cwd", DIFFRES_DATA=elsewhere)
    wait_for(run / "run.json", process)
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, facts(run)["status"]) == (3, "decoding")
    assert f"--resume {run}`" in err.decode().splitlines()[-1]


@pytest.mark.parametrize(
    ("slurm", "devices", "words"),
    [
        ({"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2"}, "4", ["needs 4 processes", "Slurm has 2"]),
        ({"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": ""}, "2", ["--ntasks-per-node"]),
    ],
)
def test_slurms_processes_must_be_those_that_are_asked_for(
    slurm: dict[str, str], devices: str, words: list[str], clips: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for name, value in (SLURM | slurm).items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
    result = invoke(*options(clips, tmp_path / "run"), "--devices", devices)
    assert result.code == 2
    assert all(word in result.complaint for word in words), result.complaint
    assert not (tmp_path / "run").exists()
