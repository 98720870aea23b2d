"""What a number is to be quoted with: the command, the machine, the versions."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from diffres_cli import __version__
from diffres_cli.cores import available_cores

_PACKAGES = (
    "torch", "torchaudio", "torchvision", "lightning", "torchmetrics", "onnxruntime", "numpy", "soundfile",
    "soxr",
)  # fmt: skip


def environment(command: str | Sequence[str]) -> dict[str, Any]:
    """What a result depends on besides recipe and data; the command with `diffres` first."""
    return {
        "command": command,
        "versions": {"diffres": __version__, "python": platform.python_version()}
        | {name: version(name) for name in _PACKAGES},
        "git": _git_state(),
        "machine": machine(),
    }


def machine() -> str:
    """The processor, its cores open to us, and the GPU where there is one."""
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{_processor()}, {available_cores()} cores{gpu}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _git_state() -> dict[str, Any] | None:
    """Commit of the code that runs, and whether it differs from that; None outside of a checkout."""
    try:
        changed = bool(_git("status", "--porcelain", "--", "."))
        return {"commit": _git("rev-parse", "HEAD").strip(), "changed": changed}
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*words: str) -> str:
    here = Path(__file__).parents[1]
    return subprocess.run(
        ["git", *words], cwd=here, capture_output=True, text=True, check=True, timeout=60
    ).stdout
