"""What the measurements were made on."""

from __future__ import annotations

import os
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")


def processor() -> str:
    """The processor's name and how many cores there are: "AMD EPYC, 2 cores"."""
    models = [line for line in CPUINFO.read_text().splitlines() if line.startswith("model name")]
    return f"{models[0].split(':')[1].strip()}, {os.cpu_count()} cores"
