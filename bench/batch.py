"""Folders at scale: throughput, memory, short files, and what 100,000 done recordings cost.

    python bench/batch.py [--clips 200] [--rounds 5] [--tree 100000] [--only-tree | --write]

Throughput and short files are whole processes, each run once a round, in turn; a ratio is the median over
rounds of a command's time over its baseline's in the same round. CPU time is what all processes of a command
used and is hardly disturbed by others on the machine. `--write` replaces docs/bench-batch.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime
import psutil
import soundfile

from diffres_cli import __version__
from diffres_cli.audio import find_files
from diffres_cli.batch.ledger import Ledger
from diffres_cli.batch.plan import Task, plan
from diffres_cli.batch.resumable import Resumable
from diffres_cli.batch.run import Summary, local_engine, tag_all
from diffres_cli.batch.work import Setup
from diffres_cli.checkpoint.find import find_model
from diffres_cli.cores import available_cores
from diffres_cli.tagging.settings import Settings

PAGE = Path(__file__).resolve().parents[1] / "docs" / "bench-batch.md"
DIFFRES = str(Path(sys.executable).with_name("diffres"))
RATE, CLIP = 32_000, 10  # Hz, seconds
SHORT = 16
FIRST, LAST = 200, 2000  # files between which memory must not grow
BARE = """
import sys, threading, numpy, onnxruntime
model, clips, threads, sessions = sys.argv[1], *map(int, sys.argv[2:])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = threads
noise = numpy.random.default_rng(0).normal(0, 0.1, (1, 320_000)).astype(numpy.float32)
feed = {"waveform": noise, "fps": numpy.array(50, numpy.float32)}
def serve(count):
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    for _ in range(count):
        session.run(["probabilities"], feed)
running = [threading.Thread(target=serve, args=(clips // sessions,)) for _ in range(sessions)]
for thread in running: thread.start()
for thread in running: thread.join()
"""
TEXT = """# Folders at scale, measured

Written by `python bench/batch.py {arguments}`, on {machine}.
Clips are {clip} s of noise at {rate} Hz, 16 bit.
Times are medians over {rounds} rounds in seconds; a *ratio* is the median over rounds of time over the
baseline's in the same round. Load average when it was run: {load}.

## Throughput

{clips} clips, whole processes, start-up included. The bare sessions are fed one clip from memory again and
again; `diffres tag` finds, opens and decodes every file and writes a result and a ledger line for each.

{throughput}

## Short files

{short} clips of {clip} s against one file of {joint} s. Target: 1.5.

{files}

## Memory

Resident memory of all processes of `diffres tag -j {jobs}` over {last} files of 1 s.

{memory}

## Done already

Nothing is tagged here: every recording has a result and a line in the ledger. Seconds of CPU time: of the
steps in a process that has its libraries loaded, and of `diffres tag -r -o OUT` as a whole process, start-up
included. Target: 2 s for 100,000, and linear.

{tree}
"""


class Time(NamedTuple):
    """Seconds: on the clock, and of CPU in all processes."""

    wall: float
    cpu: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tree", type=int, default=100_000)
    parser.add_argument("--only-tree", action="store_true", help="print the last table and nothing else")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    load = f"{os.getloadavg()[0]:.1f} on {available_cores()} cores"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.only_tree:
            print(tree(folder, options.tree))
            return
        page = TEXT.format(
            arguments=f"--clips {options.clips} --rounds {options.rounds} --tree {options.tree} --write",
            machine=machine(), clip=CLIP, rate=RATE, rounds=options.rounds, load=load, clips=options.clips,
            throughput=throughput(folder, options.clips, options.rounds),
            short=SHORT, joint=SHORT * CLIP, files=short_files(folder, options.rounds),
            jobs=available_cores(), last=LAST, memory=memory(folder),
            tree=tree(folder, options.tree),
        )  # fmt: skip
    print(page)
    if options.write:
        PAGE.write_text(page, "utf-8")


def throughput(folder: Path, clips: int, rounds: int) -> str:
    recordings, cores = noise(folder / "clips", clips), available_cores()
    model = str(find_model("audioset-small"))
    bare = [sys.executable, "-c", BARE, model, str(clips)]
    lines = {
        "bare session on all cores": [*bare, str(cores), "1"],
        "a bare session of one thread on each core": [*bare, "1", str(cores)],
        "`diffres tag -o OUT`": [DIFFRES, "tag", str(recordings), "-q", "-o", str(folder / "out")],
    }
    times = measure(lines, rounds, lambda: shutil.rmtree(folder / "out", ignore_errors=True))
    return table(times, list(lines)[:2], clips)


def short_files(folder: Path, rounds: int) -> str:
    recordings = noise(folder / "short", SHORT)
    soundfile.write(folder / "joint.wav", samples(SHORT * CLIP), RATE)
    lines = {
        "one file": [DIFFRES, "tag", str(folder / "joint.wav"), "-f", "json"],
        f"{SHORT} files": [DIFFRES, "tag", str(recordings), "-f", "json"],
    }
    return table(measure(lines, rounds), ["one file"], SHORT)


def measure(
    lines: dict[str, list[str]], rounds: int, before: Callable[[], None] | None = None
) -> dict[str, list[Time]]:
    """Times of each command, round by round, after one round that warms the disk's cache."""
    times: dict[str, list[Time]] = {name: [] for name in lines}
    for turn in range(rounds + 1):
        for name, line in lines.items():
            if before:
                before()
            taken = timed(line)
            if turn:
                times[name].append(taken)
    return times


def timed(line: list[str]) -> Time:
    """Of a command and all its descendants that ended."""
    used, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(line, stdout=subprocess.DEVNULL, check=True)
    wall, now = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Time(wall, now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime)


def table(times: dict[str, list[Time]], baselines: list[str], clips: int) -> str:
    heads = [f"{kind} ratio to {name}" for name in baselines for kind in ("wall", "CPU")]
    rows = ["| process | wall | CPU | clips/s | " + " | ".join(heads) + " |", "|---" * (4 + len(heads)) + "|"]
    for name, taken in times.items():
        wall, cpu = (statistics.median(each) for each in zip(*taken, strict=True))
        ratios = [ratio(taken, times[baseline], i) for baseline in baselines for i in range(2)]
        shown = " | ".join(f"{value:.2f}" for value in ratios)
        rows.append(f"| {name} | {wall:.2f} | {cpu:.2f} | {clips / wall:.0f} | {shown} |")
    return "\n".join(rows)


def ratio(own: list[Time], baseline: list[Time], which: int) -> float:
    return statistics.median(a[which] / b[which] for a, b in zip(own, baseline, strict=True))


def memory(folder: Path) -> str:
    recordings, out = noise(folder / "many", LAST, seconds=1), folder / "memory"
    line = [DIFFRES, "tag", str(recordings), "-q", "-o", str(out), "-j", str(available_cores())]
    process = subprocess.Popen(line)
    seen: dict[int, tuple[float, float]] = {}
    while process.poll() is None:
        done = sum(1 for _ in out.glob("*.json")) if out.exists() else 0
        if FIRST <= done < LAST:  # at the end, workers leave
            seen[done] = resident(process.pid)
        time.sleep(0.1)
    marks = [min(seen), *(min(seen, key=lambda n: abs(n - mark)) for mark in (LAST // 2, LAST))]
    rows = ["| files done | parent, MiB | workers, MiB |", "|---|---|---|"]
    return "\n".join([*rows, *(f"| {n} | {seen[n][0]:.1f} | {seen[n][1]:.1f} |" for n in marks)])


def resident(pid: int) -> tuple[float, float]:
    """MiB of a process, and of its children together."""
    parent = psutil.Process(pid)
    children = sum(child.memory_info().rss for child in parent.children(recursive=True))
    return parent.memory_info().rss / 2**20, children / 2**20


def tree(folder: Path, most: int) -> str:
    rows = [
        "| recordings | find | plan | ledger and results | sum | whole process |",
        "|---|---|---|---|---|---|",
    ]
    for count in (most // 4, most):
        recordings, out = folder / f"in{count}", folder / f"out{count}"
        many(recordings, count, ".wav")
        many(out, count, ".wav.json")
        times = seconds_of(recordings, out)
        process = timed([DIFFRES, "tag", str(recordings), "-r", "-q", "-o", str(out)]).cpu
        shown = " | ".join(f"{each:.2f}" for each in (*times, sum(times), process))
        rows.append(f"| {count:,} | {shown} |")
        shutil.rmtree(recordings)
        shutil.rmtree(out)
    return "\n".join(rows)


def seconds_of(recordings: Path, out: Path) -> list[float]:
    """Seconds of CPU time to find, to plan, and to see that nothing is left to do."""
    results = Resumable(Setup("audioset-small", Settings(), mirror=out).pinned())
    fingerprint, marks, summary = results.fingerprint, [time.process_time()], Summary()
    found = list(find_files([recordings], recursive=True))
    marks.append(time.process_time())
    items = plan(found, [str(recordings)])
    marks.append(time.process_time())
    with Ledger(results.ledger_folder) as ledger:
        for task in items:
            assert isinstance(task, Task)
            ledger.add(task, fingerprint)
    looked = time.process_time()
    tag_all(items, local_engine(results.setup), results, summary)
    assert summary.skipped == len(items)
    return [marks[1] - marks[0], marks[2] - marks[1], time.process_time() - looked]


def many(folder: Path, count: int, suffix: str) -> None:
    """Files of one byte, a thousand to a folder."""
    for first in range(0, count, 1000):
        below = folder / f"{first:06}"
        below.mkdir(parents=True)
        for number in range(first, min(first + 1000, count)):
            (below / f"{number:06}{suffix}").write_bytes(b"1")


def noise(folder: Path, count: int, seconds: float = CLIP) -> Path:
    """A folder of clips: twenty that differ, under many names."""
    folder.mkdir()
    for number in range(count):
        path = folder / f"{number:05}.wav"
        if number < 20:
            soundfile.write(path, samples(seconds, number), RATE)
        else:
            path.hardlink_to(folder / f"{number % 20:05}.wav")
    return folder


def samples(seconds: float, seed: int = 0) -> np.typing.NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0, 0.1, round(seconds * RATE))


def machine() -> str:
    return (
        f"{platform.machine()}, {available_cores()} cores, {platform.system()}, Python "
        f"{platform.python_version()}, onnxruntime {onnxruntime.__version__}, soundfile "
        f"{soundfile.__version__}, diffres {__version__}"
    )


if __name__ == "__main__":
    main()
