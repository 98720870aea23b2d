"""Runs small enough for tests: seconds of the example sounds, and a very narrow network."""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
from command import EXAMPLES
from safetensors.torch import load_file

from diffres_cli.cli.main import run

SOUNDS = {"bell": "church_bell.ogg", "bird": "birdsong.flac", "phone": "telephone.ogg", "rain": "rain.ogg"}
TINY = {
    "model.architecture": "mobilenet_v3_large",
    "model.width": 0.1,
    "data.seconds": 0.5,
    "training.epochs": 2,
    "training.batch_size": 8,
    "training.checkpoint_every": 2,
    "training.statistics_batches": 1,
    "optimizer.lr": 1e-3,
    "rate.validation": [25.0, 100.0],
    "rate.per_batch": 1,
    "augment.shift": 0.1,
}


def write_clips(root: Path, train: int = 8, seconds: float = 0.5, *, test: bool = False) -> Path:
    """A folder for `--dataset folder`: stretches of four sounds, `train` of each to train on.

    Two more of each are to validate, or, with `test`, one to validate and one to test.
    """
    root.mkdir(parents=True)
    rows = []
    for label, file in SOUNDS.items():
        (root / file).symlink_to(EXAMPLES / file)
        for i in range(train + 2):
            start = i * 0.3
            rest = "test" if test and i > train else "validation"
            rows.append((file, label, start, start + seconds, "train" if i < train else rest))
    with (root / "clips.csv").open("w", newline="") as table:
        csv.writer(table).writerows([("path", "labels", "start", "end", "split"), *rows])
    return root / "clips.csv"


def options(data: Path, run: Path, **changes: Any) -> list[str]:
    """The command line of a tiny run; `changes` are fields with "__" for the dot."""
    fields = TINY | {name.replace("__", "."): value for name, value in changes.items()}
    settings = [word for name, value in fields.items() for word in ("--set", f"{name}={_toml(value)}")]
    return ["train", "--dataset", "folder", "--data", str(data), "-o", str(run), "--device", "cpu", *settings]


def fork(*arguments: str) -> BaseProcess:
    """Start a command line in a process forked from one that has loaded torch, which takes seconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["diffres_cli.training.fit"])
    process = context.Process(target=_run, args=(arguments, dict(os.environ)))
    process.start()
    return process


def _run(arguments: Sequence[str], environment: dict[str, str]) -> None:
    os.environ.update(environment)
    sys.exit(run(list(arguments)))


def kill(process: BaseProcess, delay: float = 0.0) -> None:
    """Kill a process that is at work still after `delay` seconds."""
    time.sleep(delay)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def wait_for(path: Path, process: subprocess.Popen[bytes] | BaseProcess, than: int = 0) -> None:
    """Until there is a file that is newer than `than`, in ns, or the process has ended."""

    def ended() -> bool:
        return not process.is_alive() if isinstance(process, BaseProcess) else process.poll() is not None

    while not ended() and (not path.exists() or path.stat().st_mtime_ns <= than):
        time.sleep(0.002)


def facts(run: Path) -> dict[str, Any]:
    """What run.json says."""
    held: dict[str, Any] = json.loads((run / "run.json").read_text())
    return held


def differing(first: Path, second: Path, names: Sequence[str] = ("weights", "last")) -> list[str]:
    """Tensors of two runs that are not the same, bit for bit."""
    found = []
    for name in names:
        one, other = (load_file(run / f"{name}.safetensors") for run in (first, second))
        assert one.keys() == other.keys()
        found += [key for key in one if not torch.equal(one[key], other[key])]
    return found


def _toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)
