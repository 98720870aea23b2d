"""Time whole processes: what a person waits for between Enter and the answer.

    python bench/process.py [--rounds 21] [--write]

Every round runs every command once, in turn; a ratio is the median over rounds of a command's time over
its baseline's in the same round, so that a busy machine slows both. CPU time is what all threads of a
process used, its loading included, and is hardly disturbed by other processes. `--write` replaces
the first half of docs/bench-process.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime
import soundfile
import typer

from diffres_cli import __version__
from diffres_cli.checkpoint.find import find_model
from diffres_cli.inference.graph import with_fixed_rate

MEMORY = "## Peak memory"  # the part of the page that is written by bench/memory.py
PAGE = Path(__file__).resolve().parents[1] / "docs" / "bench-process.md"
DIFFRES = str(Path(sys.executable).with_name("diffres"))
SECONDS, RATE = 10, 32_000
BARE = """
import sys

import numpy
import onnxruntime
import soundfile

samples, _ = soundfile.read(sys.argv[2], dtype="float32")
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
(scores,) = session.run(["probabilities"], {"waveform": samples[None]})
print(scores[0].argmax())
"""
ASLEEP = BARE.replace(
    "session = onnxruntime.InferenceSession(sys.argv[1], ",
    "options = onnxruntime.SessionOptions()\n"
    'options.add_session_config_entry("session.intra_op.allow_spinning", "0")\n'
    "session = onnxruntime.InferenceSession(sys.argv[1], options, ",
)
INTRODUCTION = """# Whole processes, measured

Written by `python bench/process.py --write`. Every command ran once in each of {rounds} rounds; times are
medians in milliseconds, and *ratio* is the median over rounds of a command's time over its baseline's in
the same round. CPU is of all threads together. The clip is {seconds} s of noise at 32 kHz, the model's own
rate, unless another is named. The bare script imports numpy, onnxruntime and soundfile, reads the clip,
loads the same model, as `diffres export --fps 50` writes it, with ONNX Runtime's default options and runs
it once. Its threads, and NumPy's, spin while they wait; those of `diffres` sleep, as ONNX Runtime's do in the
second line, and `diffres` loads the model while it imports the rest. All modules are compiled, as pip
leaves them.

{machine}.
"""


class Command(NamedTuple):
    """A process to time, and the name of the one it is compared with."""

    name: str
    line: list[str]
    baseline: str = ""
    target: float | None = None


class Time(NamedTuple):
    """Seconds a process took: on the clock, and of CPU in all its threads."""

    wall: float
    cpu: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        commands = commands_on(Path(folder))
        keep_bytecode(folder)
        times = measure(commands, options.rounds)
    table = "\n".join(["", *rows(commands, times), ""])
    print(table)
    if options.write:
        page = INTRODUCTION.format(rounds=options.rounds, seconds=SECONDS, machine=machine()) + table
        _, heading, memory = PAGE.read_text("utf-8").partition(MEMORY)
        PAGE.write_text(page + ("\n" if heading else "") + heading + memory, "utf-8")


def commands_on(folder: Path) -> list[Command]:
    """What is compared, on clips written to `folder`."""
    model, clip, resampled = folder / "model.onnx", folder / "clip.wav", folder / "44100.wav"
    model.write_bytes(with_fixed_rate(find_model("audioset-small").read_bytes(), 50.0))
    for path, rate in ((clip, RATE), (resampled, 44_100)):
        soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, SECONDS * rate), rate)
    bare, help_ = "bare script", "`import typer, rich`"
    tag, files = [DIFFRES, "tag", str(clip)], [str(model), str(clip)]
    return [
        Command(bare, [sys.executable, "-c", BARE, *files]),
        Command("bare script whose threads sleep", [sys.executable, "-c", ASLEEP, *files], bare),
        Command("`diffres tag clip.wav`", tag, bare, 1.15),
        Command("`diffres tag clip.wav -f json`", [*tag, "-f", "json"], bare),
        Command("`diffres tag clip.wav --fps 25`", [*tag, "--fps", "25"], bare),
        Command("`diffres tag 44100.wav` (resampled)", [DIFFRES, "tag", str(resampled)], bare),
        Command(help_, [sys.executable, "-c", "import typer, rich"]),
        Command("`diffres --help`", [DIFFRES, "--help"], help_, 1.3),
        Command("`diffres --version`", [DIFFRES, "--version"], help_),
    ]


def keep_bytecode(folder: str) -> None:
    """Compile every module once, as pip does for an installed package, whatever the environment says."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = folder


def measure(commands: list[Command], rounds: int) -> dict[str, list[Time]]:
    """Times of each command, round by round, after a round that fills the caches."""
    times: dict[str, list[Time]] = {command.name: [] for command in commands}
    for turn in range(rounds + 1):
        for command in commands:
            taken = timed(command.line)
            if turn:
                times[command.name].append(taken)
    return times


def timed(line: list[str]) -> Time:
    began = time.perf_counter()
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{line} ended with {process.returncode}")
    return Time(wall, used.ru_utime + used.ru_stime)


def rows(commands: list[Command], times: dict[str, list[Time]]) -> list[str]:
    """The table, in Markdown."""
    table = ["| process | wall | CPU | wall ratio | CPU ratio | target |", "|---|---|---|---|---|---|"]
    for command in commands:
        wall, cpu = (1000 * statistics.median(each) for each in zip(*times[command.name], strict=True))
        ratios = [f"{ratio:.2f}" for ratio in against(times, command)] if command.baseline else ["1", "1"]
        target = f"{command.target:g}" if command.target else ""
        table.append(f"| {command.name} | {wall:.0f} | {cpu:.0f} | {' | '.join(ratios)} | {target} |")
    return table


def against(times: dict[str, list[Time]], command: Command) -> list[float]:
    """Median ratios to the baseline, of wall and of CPU time."""
    pairs = list(zip(times[command.name], times[command.baseline], strict=True))
    return [statistics.median(own[i] / base[i] for own, base in pairs) for i in range(2)]


def machine() -> str:
    first = hasattr(os, "SCHED_FIFO") and os.sched_getscheduler(0) == os.SCHED_FIFO
    return (
        f"Machine: {platform.machine()}, {os.cpu_count()} cores, {platform.system()}, Python "
        f"{platform.python_version()}, numpy {np.__version__}, onnxruntime {onnxruntime.__version__}, "
        f"soundfile {soundfile.__version__}, typer {typer.__version__}, diffres {__version__}; "
        f"{'ahead of all other programs (`chrt -f 5`)' if first else f'load {os.getloadavg()[0]:.0f}'}"
    )


if __name__ == "__main__":
    main()
