"""A recording gets the same scores whatever `-j` and the machine's cores; what else changes them is known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from batch_runs import clips, counted
from command import invoke

from diffres_cli.batch.fingerprint import fingerprint
from diffres_cli.batch.work import Setup
from diffres_cli.tagging.settings import Settings
from diffres_cli.tagging.tagger import load_tagger

NOISE = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)


@pytest.fixture
def several_threads() -> Iterator[None]:
    """torch on several threads, whatever the machine and its environment say."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_onnx_runtime_computes_on_one_thread_unless_asked_otherwise() -> None:
    for tagger, threads in ((load_tagger(), 1), (load_tagger(threads=2), 2)):
        options = tagger._runtime._sessions[50.0].get_session_options()
        assert options.intra_op_num_threads == threads


@pytest.mark.usefixtures("several_threads")
@pytest.mark.parametrize(("asked", "used"), [({}, 1), ({"threads": 2}, 2), ({"threads": 0}, 3)])
def test_torch_too_and_its_callers_own_number_is_left_alone(asked: dict[str, int], used: int) -> None:
    tagger, seen = load_tagger(backend="torch", **asked), []
    tagger._runtime._network.register_forward_hook(lambda *_: seen.append(torch.get_num_threads()))
    tagger.tag(NOISE, 32_000, spectrogram=False)
    assert (seen, torch.get_num_threads()) == ([used], 3)


def test_what_one_number_of_processes_tagged_another_leaves_alone(tmp_path: Path) -> None:
    clips(tmp_path / "in", 3)
    command = ("tag", tmp_path / "in", "-o", tmp_path / "out")
    runs = [invoke(*command, *how) for how in (["-j", "2"], ["-j", "1"], ["--device", "cpu"])]
    done = [counted(run.err.splitlines()[-1])[:2] for run in runs]
    assert done == [(3, 0), (0, 3), (0, 3)]


@pytest.mark.parametrize("where", ["--combined all.csv", "-o out"])
@pytest.mark.parametrize("version", ["diffres_cli.batch.fingerprint.__version__", "onnxruntime.__version__"])
def test_what_another_version_tagged_is_tagged_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, where: str
) -> None:
    monkeypatch.chdir(tmp_path)
    clips(Path("in"), 2)
    command = ("tag", "in", *where.split())
    assert invoke(*command).err == "diffres: 2 tagged\n"
    monkeypatch.setattr(version, "99.0")
    said = "settings or versions changed since the last run: 2 recordings are tagged again"
    assert invoke(*command).err.splitlines() == [f"diffres: {said}", "diffres: 2 tagged"]


def test_a_cluster_may_have_devices_that_this_machine_does_not() -> None:
    setups = [
        Setup("audioset-small", Settings(), device=device).pinned() for device in ("auto", "cpu", "cuda")
    ]
    here, there = ([fingerprint(setup, here=at) for setup in setups] for at in (True, False))
    assert here[0] in here[1:]
    assert len(set(there)) == 3
