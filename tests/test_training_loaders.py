"""Batches that are read ahead: in order, whatever the threads do, and without anything in /dev/shm."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from command import PROGRAM
from patience import PATIENCE
from training_runs import facts, options, write_clips

from diffres_cli.errors import DataError
from diffres_cli.training.clips import EvalBatch as Batch
from diffres_cli.training.loaders import ReadAheadLoader

ROOM = "mount -t tmpfs -o size=200k none /dev/shm"  # a batch takes more


def batch(number: int) -> Batch:
    time.sleep(0.02 * (number % 3))  # later ones are ready before earlier ones
    return Batch(*(torch.full((1,), number) for _ in range(3)))


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_batches_come_in_order_each_time_they_are_asked_for(threads: int) -> None:
    loader = ReadAheadLoader(batch, range(12), threads)
    for _ in range(2):
        assert [each.lengths.item() for each in loader] == list(range(12))
    assert len(loader) == 12


@pytest.mark.parametrize("threads", [0, 2])
def test_a_batch_that_cannot_be_read_is_reported_and_no_thread_stays(threads: int) -> None:
    def fail(number: int) -> Batch:
        if number == 2:
            raise DataError("cached waveforms are gone")
        return batch(number)

    before = threading.active_count()
    loader = iter(ReadAheadLoader(fail, range(8), threads))
    assert [next(loader).lengths.item() for _ in range(2)] == [0, 1]
    with pytest.raises(DataError, match="gone"):
        next(loader)
    assert threading.active_count() == before


def small_shared_memory(command: list[str]) -> list[str]:
    """The command, with a /dev/shm of its own that holds next to nothing."""
    return [
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        f'{ROOM} && exec "$@"',
        "sh",
        *command,
    ]


def _can_mount() -> bool:
    if not shutil.which("unshare"):
        return False
    return subprocess.run(small_shared_memory(["true"]), capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not _can_mount(), reason="no mount namespaces here")
def test_workers_need_no_room_in_dev_shm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIFFRES_DATA", str(tmp_path / "home"))
    clips = write_clips(tmp_path / "clips")
    more: dict[str, Any] = {"training__workers": 2, "training__epochs": 1}
    command = small_shared_memory([*PROGRAM, *options(clips, tmp_path / "run", **more)])
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    assert facts(tmp_path / "run")["status"] == "finished"
