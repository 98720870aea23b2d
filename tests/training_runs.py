"""Runs small enough for tests: seconds of the example sounds, and a very narrow network."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from command import EXAMPLES
from safetensors.torch import load_file

SOUNDS = {"bell": "church_bell.ogg", "bird": "birdsong.flac", "phone": "telephone.ogg", "rain": "rain.ogg"}
TINY = {
    "model.architecture": "mobilenet_v3_large",
    "model.width": 0.1,
    "data.seconds": 0.5,
    "training.epochs": 2,
    "training.batch_size": 8,
    "training.checkpoint_every": 2,
    "optimizer.lr": 1e-3,
    "rate.validation": [25.0, 100.0],
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
