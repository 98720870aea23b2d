"""Peak memory of tagging a long recording, against a short one.

    python bench/memory.py [--hours 10] [--write]

The long recording is real: noise at 16 kHz, in WAV, 1.15 GB for ten hours, made in the temporary folder
and removed. `--write` replaces the second half of docs/bench-process.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from process import DIFFRES, MEMORY, PAGE, machine

RATE, SHORT = 16_000, 10
FORMATS = ("table", "json")
INTRODUCTION = """{heading}

Written by `python bench/memory.py --write`. `diffres tag` of {hours:g} hours of noise in one WAV at 16 kHz
against its first {short} s, with `-c 0`, so that every window has five labels. Peak resident memory of the
process in MiB, as the kernel counts it. The target is at most 1.5.

{machine}.
"""


class Usage(NamedTuple):
    """What a process took: peak resident memory in MiB, and seconds."""

    peak: float
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--hours", type=float, default=10)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        short, long = (Path(folder) / name for name in ("short.wav", "long.wav"))
        write_noise(short, SHORT)
        write_noise(long, round(options.hours * 3600))
        table = "\n".join(["", *rows(short, long), ""])
    print(table)
    if options.write:
        page = INTRODUCTION.format(heading=MEMORY, hours=options.hours, short=SHORT, machine=machine())
        before = PAGE.read_text("utf-8").partition(MEMORY)[0].rstrip()
        PAGE.write_text(f"{before}\n\n{page}{table}", "utf-8")


def write_noise(path: Path, seconds: int) -> None:
    """The same ten seconds of noise, again and again."""
    noise = (np.random.default_rng(0).normal(0, 3000, SHORT * RATE)).astype(np.int16)
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as file:
        for _ in range(-(-seconds // SHORT)):
            file.write(noise)


def rows(short: Path, long: Path) -> list[str]:
    """The table, in Markdown, and each of its lines to standard error as soon as it is known."""
    table = ["| output | 10 s | long | ratio | long took |", "|---|---|---|---|---|"]
    for format_ in FORMATS:
        small, large = (used([DIFFRES, "tag", str(path), "-c", "0", "-f", format_]) for path in (short, long))
        ratio = large.peak / small.peak
        line = f"| {format_} | {small.peak:.0f} | {large.peak:.0f} | {ratio:.2f} | {large.seconds:.0f} s |"
        print(line, file=sys.stderr)
        table.append(line)
    return table


def used(line: list[str]) -> Usage:
    began = time.perf_counter()
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{line} ended with {process.returncode}")
    return Usage(usage.ru_maxrss / 1024, time.perf_counter() - began)


if __name__ == "__main__":
    main()
