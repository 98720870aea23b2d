"""What a number is to be quoted with: the command, the machine, the versions."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from diffres_cli import __version__
from diffres_cli.cores import available_cores


def facts(command: Sequence[str]) -> dict[str, Any]:
    """A command, `diffres` first, the machine it runs on, and what it runs with."""
    packages = ("torch", "torchmetrics", "onnxruntime", "numpy")
    return {
        "command": shlex.join(command),
        "machine": machine(),
        "versions": {
            "diffres": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in packages},
        },
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
