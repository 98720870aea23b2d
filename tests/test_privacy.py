"""What the libraries do unasked: reports to their makers, files in the home folder, complaints about it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from command import EXAMPLES, spawn
from places import names
from repository import ROOT, imports_of, python_files

# Telemetry is off where a CI says that it is one, and the developer may have switched it off.
SWITCHES = {"CI", "DO_NOT_TRACK", "HF_HUB_DISABLE_TELEMETRY", "ORT_DISABLE_TELEMETRY"}


def strangers_environment(home: Path) -> dict[str, str]:
    """The environment of somebody who has switched nothing off."""
    moved = {"HOME": str(home), "USERPROFILE": str(home)}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    return {name: value for name, value in kept.items() if name not in SWITCHES} | moved


@pytest.mark.parametrize("processes", ["1", "2"])
def test_tagging_leaves_nothing_behind_and_reports_nothing(tmp_path: Path, processes: str) -> None:
    for folder in ("home", "here", "sounds"):
        (tmp_path / folder).mkdir()
    sounds = [tmp_path / "sounds" / f"{number}.ogg" for number in range(2)]
    for sound in sounds:
        sound.symlink_to(EXAMPLES / "siren.ogg")
    result = spawn(
        "tag", *sounds, "-f", "csv", "-j", processes,
        env=strangers_environment(tmp_path / "home"), cwd=tmp_path / "here",
    )  # fmt: skip
    assert (result.code, result.err) == (0, "")
    # ONNX Runtime's telemetry keeps a number for this machine and what it could not send yet.
    assert [path for path in (tmp_path / "home").rglob("*") if path.is_file()] == []
    assert names(tmp_path / "here") == []


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder in which nobody can write")
@pytest.mark.parametrize("command", [["tag"], ["viz", "-o", "siren.png"]])
def test_a_machine_without_a_home_is_not_complained_about(tmp_path: Path, command: list[str]) -> None:
    environment = strangers_environment(Path("/proc/nowhere"))
    result = spawn(*command, EXAMPLES / "siren.ogg", env=environment, cwd=tmp_path)
    assert (result.code, result.err) == (0, "")


def test_one_module_imports_onnx_runtime() -> None:
    found = {found.path for found in imports_of(python_files("diffres_cli")) if found.top == "onnxruntime"}
    assert found == {ROOT / "diffres_cli" / "inference" / "ort.py"}
