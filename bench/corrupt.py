"""A tenth of 10,000 recordings is corrupt: the others are correct, and every corrupt one is listed.

    python bench/corrupt.py [--count 10000] [--jobs 2]

Clips are 0.2 s of noise at 8 kHz, ten that differ under many names; every tenth file is damaged, in one of
five ways. The run is one `diffres tag`; its exit code, its complaints, its folder of results and its combined
file are compared with what should be there, and each result with that of its clip tagged without the others.
Exit code 1 if anything differs. `tests/test_batch_run.py` does this with 300 recordings.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

DIFFRES = str(Path(sys.executable).with_name("diffres"))
RATE, SECONDS, DISTINCT = 8000, 0.2, 10
WHOLE = 400  # bytes, with the header, that a damaged file may have of a whole one


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        good, bad = recordings(folder, options.count)
        out, combined = folder / "out", folder / "all.jsonl"
        line = [DIFFRES, "tag", str(folder / "in"), "-r", "-o", str(out), "--combined", str(combined)]
        began = time.perf_counter()
        done = subprocess.run([*line, "-j", str(options.jobs)], capture_output=True, text=True, check=False)
        taken = time.perf_counter() - began
        wrong = faults(done, good, bad, results(folder / "in", out), combined, alone(folder))
    print(
        f"{len(good):,} good, {len(bad):,} corrupt, -j {options.jobs}: "
        f"exit code {done.returncode}, {taken:.0f} s"
    )
    print("\n".join(wrong) or "every good one correct, every corrupt one listed once")
    return 1 if wrong else 0


def recordings(folder: Path, count: int) -> tuple[dict[Path, int], list[Path]]:
    """Files, a thousand to a folder: the good ones, with the number of their clip, and the corrupt ones."""
    clips = folder / "clips"
    clips.mkdir()
    noise = np.random.default_rng(0).normal(0, 0.1, (DISTINCT, round(RATE * SECONDS)))
    for number, samples in enumerate(noise):
        soundfile.write(clips / f"{number}.wav", samples, RATE)
    whole = [(clips / f"{number}.wav").read_bytes() for number in range(DISTINCT)]
    good, bad = dict[Path, int](), list[Path]()
    for number in range(count):
        path = folder / "in" / f"{number // 1000:03}" / f"{number:06}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        clip = number // DISTINCT % DISTINCT
        if number % DISTINCT == 5:
            path.write_bytes(damaged(whole[clip], number // DISTINCT))
            bad.append(path)
        else:
            path.write_bytes(whole[clip])
            good[path] = clip
    return good, bad


def damaged(data: bytes, how: int) -> bytes:
    """Nothing, text, a header cut short, zeros, and noise."""
    ways = [b"", b"RIFF, but no more", data[:30], bytes(WHOLE), np.random.default_rng(how).bytes(WHOLE)]
    return ways[how % len(ways)]


def alone(folder: Path) -> list[dict[str, Any]]:
    """The record of each clip, tagged with its like and nothing else."""
    line = [DIFFRES, "tag", str(folder / "clips"), "-f", "json"]
    records: list[dict[str, Any]] = json.loads(subprocess.run(line, capture_output=True, check=True).stdout)
    return records


def results(inputs: Path, out: Path) -> dict[Path, dict[str, Any]]:
    """What is in the folder of results, by recording."""
    found = (path for path in out.glob("*/*"))
    return {inputs / path.relative_to(out).with_suffix(""): json.loads(path.read_bytes())[0] for path in found
            if ".diffres" not in path.parts}  # fmt: skip


def faults(
    done: subprocess.CompletedProcess[str],
    good: dict[Path, int],
    bad: list[Path],
    found: dict[Path, dict[str, Any]],
    combined: Path,
    expected: list[dict[str, Any]],
) -> list[str]:
    """What is not as it should be."""
    *complaints, count = done.stderr.splitlines()
    listed = [line.removeprefix("diffres: ").partition(": ")[0] for line in complaints]
    lines = [json.loads(line) for line in combined.read_text().splitlines()]
    differing = [
        path for path, clip in good.items() if path in found and not same(found[path], expected[clip])
    ]
    checks = {
        f"exit code {done.returncode}": done.returncode == 1,
        f"the last line is {count!r}": count == f"diffres: {len(good)} tagged, {len(bad)} failed",
        f"{len(listed)} are listed, {len(set(listed) & set(map(str, bad)))} of them corrupt":
            sorted(listed) == list(map(str, bad)),
        f"{len(found)} results": found.keys() == good.keys(),
        f"{len(differing)} results differ from their clip's alone": not differing,
        f"{len(lines)} lines in the combined file, not in order or not those results":
            lines == [found.get(path) for path in good],
    }  # fmt: skip
    return [fault for fault, well in checks.items() if not well]


def same(record: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two records differ in the file's name at most."""
    return {**record, "file": ""} == {**other, "file": ""}


if __name__ == "__main__":
    sys.exit(main())
