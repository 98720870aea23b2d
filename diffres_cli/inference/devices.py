"""Where a model can run here: ONNX Runtime's providers and torch's devices; where it cannot, the reason.

torch is tried in another process: it would stay in this one.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_LOAD_TORCH = """
import sys; sys.path = {}
from diffres_cli.imports import required
with required("it", "diffres[train]"):
    import torch, torchaudio, torchvision, safetensors
"""
_DRIVERS = ("libcuda.so.1", "nvcuda.dll")


@dataclass(frozen=True)
class Place:
    """A device a backend knows: `by` which provider or package it would run; `problem`: why not, or ""."""

    backend: str
    device: str
    by: str
    problem: str


def places() -> list[Place]:
    """Every place that a backend and device can name, and the providers that diffres does not use."""
    others = [
        Place("onnx", "-", name, "not used by diffres") for name in _offered() if name not in (CPU, CUDA)
    ]
    torch = f"torch {_version('torch') or ''}".strip()
    missing = _torch_load_problem() if find_spec("torch") else "not installed: pip install 'diffres[train]'"
    return [
        Place("onnx", "cpu", CPU, ""),
        Place("onnx", "cuda", CUDA, cuda_problem()),
        *others,
        Place("torch", "cpu", torch, missing),
        Place("torch", "cuda", torch, missing or _torch_problem()),
    ]


def cuda_is_offered() -> bool:
    """Whether this ONNX Runtime was built for CUDA; whether it works here is another question."""
    return CUDA in _offered()


def device_here(backend: str, device: str) -> str:
    """The device that "auto" stands for on this machine, "cpu" or "cuda"; another name stands for itself."""
    if device != "auto":
        return device
    problem = _torch_problem() if backend == "torch" else cuda_problem()
    return "cpu" if problem else "cuda"


def runtime_version(backend: str) -> str:
    """The version of what runs a model: ONNX Runtime or torch."""
    if backend == "torch":
        return _version("torch") or ""
    from diffres_cli.inference.ort import onnxruntime

    return str(onnxruntime.__version__)


def preload_cuda() -> None:
    """Let ONNX Runtime find the CUDA libraries that pip installed, as for torch; it does not look itself."""
    from diffres_cli.inference.ort import onnxruntime

    if hasattr(onnxruntime, "preload_dlls"):  # since 1.21
        with contextlib.redirect_stdout(io.StringIO()):
            onnxruntime.preload_dlls()


def cuda_problem() -> str:
    """Why ONNX Runtime cannot use CUDA here, and what to do; "" where nothing is known against it."""
    if not cuda_is_offered():
        return _not_offered()
    from diffres_cli.inference.ort import onnxruntime

    preload_cuda()
    folder = Path(onnxruntime.__file__).parent / "capi"
    return driver_problem() or load_problem(folder)


def driver_problem() -> str:
    """Why the NVIDIA driver offers no GPU; "" where it does."""
    for name in _DRIVERS:
        try:
            driver, count = ctypes.CDLL(name), ctypes.c_int(0)
        except OSError as error:
            if _is_absent(error, name):
                continue
            return f"the NVIDIA driver does not load ({error})"
        if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
            return "the NVIDIA driver finds no GPU"
        return ""
    return "no NVIDIA driver is installed"


def _is_absent(error: OSError, name: str) -> bool:
    """Whether a library is not there, rather than something that it needs. The loader says so in words."""
    return isinstance(error, FileNotFoundError) or f"{name}: cannot open shared object file" in str(error)


def load_problem(folder: Path) -> str:
    """What ONNX Runtime's CUDA library in `folder` lacks to load; "" where it loads."""
    names = ("onnxruntime_providers_shared", "onnxruntime_providers_cuda")  # the second needs the first
    try:
        for name in names:
            for path in folder.glob(f"*{name}.*"):
                ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        return f"a CUDA library does not load ({error}): pip install 'onnxruntime-gpu[cuda,cudnn]'"
    return ""


def _offered() -> list[str]:
    from diffres_cli.inference.ort import onnxruntime

    offered: list[str] = onnxruntime.get_available_providers()
    return offered


def _not_offered() -> str:
    if _version("onnxruntime-gpu") and _version("onnxruntime"):
        return "onnxruntime hides onnxruntime-gpu: uninstall both, pip install onnxruntime-gpu"
    return "this ONNX Runtime runs on the CPU only: uninstall onnxruntime, pip install onnxruntime-gpu"


@cache
def _torch_load_problem() -> str:
    """Why torch and what goes with it do not load; "" where they do."""
    run = subprocess.run([sys.executable, "-c", _LOAD_TORCH.format(sys.path)], capture_output=True, text=True)
    said = run.stderr.strip().splitlines()[-1:] if run.returncode else []
    return said[0].partition(": ")[2] if said else ""


def _torch_problem() -> str:
    import runpy

    spec = find_spec("torch")
    facts = runpy.run_path(str(Path(spec.origin).with_name("version.py"))) if spec and spec.origin else {}
    return driver_problem() if facts.get("cuda") else "this torch is built without CUDA"


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version  # 15 ms, and only needed when asked

    try:
        return version(package)
    except PackageNotFoundError:
        return None
