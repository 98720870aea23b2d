"""Where a model can run, and what is said where it cannot."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from patience import PATIENCE
from repository import loaded_by

from diffres_cli.cli.main import run
from diffres_cli.errors import UsageError
from diffres_cli.inference import devices
from diffres_cli.tagging.tagger import load_tagger

SIREN = str(Path(__file__).parents[1] / "examples" / "siren.ogg")
OFFERED = devices.CUDA in onnxruntime.get_available_providers()
HAS_GPU = devices.driver_problem() == ""


def place(backend: str, device: str) -> devices.Place:
    return next(p for p in devices.places() if (p.backend, p.device) == (backend, device))


def test_the_cpu_can_always_be_used() -> None:
    assert place("onnx", "cpu") == devices.Place("onnx", "cpu", "CPUExecutionProvider", "")
    assert place("torch", "cpu").problem == ""
    assert place("torch", "cpu").by.startswith("torch 2.")


def test_every_provider_of_this_onnx_runtime_is_listed() -> None:
    listed = {p.by for p in devices.places() if p.backend == "onnx"}
    assert listed == {*onnxruntime.get_available_providers(), devices.CUDA}


@pytest.mark.skipif(OFFERED, reason="this ONNX Runtime knows CUDA")
def test_an_onnx_runtime_for_the_cpu_says_what_to_install() -> None:
    problem = place("onnx", "cuda").problem
    assert problem.startswith("this ONNX Runtime runs on the CPU only")
    assert "onnxruntime-gpu" in problem
    with pytest.raises(UsageError, match=r"device cuda: this ONNX Runtime .*; or choose cpu"):
        load_tagger(device="cuda")
    tagger = load_tagger(device="auto")
    assert (tagger.device, tagger.warnings) == ("cpu", ())


@pytest.mark.skipif(not OFFERED, reason="needs onnxruntime-gpu")
def test_cuda_that_is_offered_works_or_is_explained(capfd: pytest.CaptureFixture[str]) -> None:
    tagger = load_tagger(device="auto")
    if tagger.device == "cuda":
        assert (tagger.warnings, devices.cuda_problem()) == ((), "")
        noise = np.random.default_rng(0).normal(0, 0.1, 64_000).astype(np.float32)
        ours, theirs = (t.tag(noise, 32_000).windows[0] for t in (tagger, load_tagger(device="cpu")))
        np.testing.assert_allclose(ours.probabilities, theirs.probabilities, atol=1e-3)
        return
    (warning,) = tagger.warnings
    assert warning == f"running on the CPU, although this ONNX Runtime knows CUDA: {devices.cuda_problem()}"
    with pytest.raises(UsageError, match="device cuda: "):
        load_tagger(device="cuda")
    assert run(["tag", SIREN]) == 0
    assert capfd.readouterr().err == f"diffres: warning: {warning}\n"  # and none of ONNX Runtime's own


@pytest.mark.skipif(HAS_GPU, reason="there is an NVIDIA GPU")
def test_without_a_gpu_torch_cannot_use_one() -> None:
    assert place("torch", "cuda").problem in (
        "no NVIDIA driver is installed",
        "the NVIDIA driver finds no GPU",
        "this torch is built without CUDA",
    )


def test_a_library_that_does_not_load_is_named(tmp_path: Path) -> None:
    assert devices.load_problem(tmp_path) == ""  # nothing there, nothing against it
    broken = tmp_path / "libonnxruntime_providers_cuda.so"
    broken.write_bytes(b"not a library")
    with pytest.raises(OSError, match=broken.name) as refused:
        ctypes.CDLL(str(broken))
    assert devices.load_problem(tmp_path) == (
        f"a CUDA library does not load ({refused.value}): pip install 'onnxruntime-gpu[cuda,cudnn]'"
    )


@pytest.mark.skipif(HAS_GPU or sys.platform != "linux", reason="there is an NVIDIA GPU, or no libcuda.so.1")
def test_a_driver_that_does_not_load_is_not_taken_for_none(tmp_path: Path) -> None:
    code = "from diffres_cli.inference.devices import driver_problem; print(driver_problem())"
    (tmp_path / "libcuda.so.1").write_bytes(b"not a library")
    for folder, expected in (
        (tmp_path / "none", "no NVIDIA driver is installed"),
        (tmp_path, "does not load"),
    ):
        environment = {**os.environ, "LD_LIBRARY_PATH": str(folder)}
        run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
        assert expected in run.stdout
    assert "libcuda.so.1" in run.stdout


def test_the_table_has_a_line_for_each_place(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "providers"]) == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split() == ["backend", "device", "runs", "on", "usable", "why", "not"]
    assert [line.split()[:2] for line in lines] == [[p.backend, p.device] for p in devices.places()]
    for line, known in zip(lines, devices.places(), strict=True):
        assert line.endswith(known.problem or " yes")


def test_looking_does_not_import_torch() -> None:
    assert loaded_by("from diffres_cli.inference.devices import places; places()", {"torch"}) == set()


def test_torch_that_is_missing_is_said_so(tmp_path: Path) -> None:
    """In an environment without it: this one's packages, linked one by one, but torch."""
    packages = Path(onnxruntime.__file__).parents[1]
    for path in packages.iterdir():
        if not path.name.startswith(("torch", "diffres", "_")):
            (tmp_path / path.name).symlink_to(path)
    (tmp_path / "diffres_cli").symlink_to(Path(devices.__file__).parents[1])
    code = "from diffres_cli.inference.devices import places; print(*places(), sep='\\n')"
    found = subprocess.run(
        [sys.executable, "-S", "-c", code],  # -S: no other packages
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True, check=True, timeout=PATIENCE,
    )  # fmt: skip
    assert found.stdout.count("not installed: pip install 'diffres[train]'") == 2
