"""Time a model whose frame rate is fed at each run, and the same with the rate as a constant.

    python bench/rate.py [MODEL.onnx ...] [--older MODEL.onnx] [--rounds 40] [--write]

Every round loads and runs every way once, in turn; a ratio is the median over rounds of a way's time over
the baseline's in the same round: the rate fed at each run, or with `--older` a graph that takes `slots`, t as
a length, as graphs did before `fps` was an input. One thread, timed by its CPU time, which other processes
hardly disturb. `--write` replaces docs/bench-rate.md.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
from processor import processor

from diffres_cli.checkpoint.find import find_model
from diffres_cli.inference.graph import with_fixed_rate

PAGE = Path(__file__).resolve().parents[1] / "docs" / "bench-rate.md"
Ways = dict[str, Callable[[], Callable[[], object]]]
RATES, SECONDS = (100, 50, 25), 10
INTRODUCTION = """# The rate as an input or as a constant, measured

Written by `python bench/rate.py --write`: `fps` fed to the graph at each run, and `fps` made a constant in
the model's bytes before ONNX Runtime loads them, as `diffres` and `diffres export --fps` do. Scores of
{seconds} s of noise on one thread; times are medians of CPU milliseconds over {rounds} rounds, *ratio* is the
median over rounds of a way's time over the first line's in the same round. Loading includes the change of
the bytes.

{machine}.
"""


def ways(model: bytes, older: bytes | None, fps: int, samples: int) -> Ways:
    """What is compared: name -> a function that loads a session and gives a function that runs it."""
    waveform = np.random.default_rng(0).normal(0, 0.1, (1, samples)).astype(np.float32)

    def load(graph: Callable[[], bytes], feed: dict[str, np.ndarray]) -> Callable[[], object]:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        session = onnxruntime.InferenceSession(graph(), options, providers=["CPUExecutionProvider"])
        return partial(session.run, ["probabilities"], {"waveform": waveform, **feed})

    found: Ways = {
        "fed": partial(load, lambda: model, {"fps": np.array(fps, np.float32)}),
        "a constant": partial(load, lambda: with_fixed_rate(model, fps), {}),
    }
    if older is None:
        return found
    slots = np.zeros(fps * SECONDS, np.float32)
    return {"t as a length": partial(load, lambda: older, {"slots": slots}), **found}


def measure(chosen: Ways, rounds: int) -> list[dict[str, list[float]]]:
    """Milliseconds a round of each way: loading, running."""
    loading: dict[str, list[float]] = {name: [] for name in chosen}
    running: dict[str, list[float]] = {name: [] for name in chosen}
    for _ in range(rounds):
        for name, load in chosen.items():
            start = time.process_time()
            run = load()
            loading[name].append(1e3 * (time.process_time() - start))
            run()  # the first one allocates
            start = time.process_time()
            run()
            running[name].append(1e3 * (time.process_time() - start))
    return [loading, running]


def rows(fps: int, spent: list[dict[str, list[float]]]) -> list[str]:
    lines = []
    for name in spent[0]:
        cells = [f"{statistics.median(part[name]):.1f} | {ratio(part, name):.2f}" for part in spent]
        lines.append(f"| {fps} | {name} | {' | '.join(cells)} |")
    return lines


def ratio(part: dict[str, list[float]], name: str) -> float:
    return float(statistics.median(np.divide(part[name], next(iter(part.values())))))


def report(models: list[Path], older: Path | None, rounds: int) -> str:
    """The whole page."""
    versions = f"Python {platform.python_version()}, onnxruntime {onnxruntime.__version__}"
    parts = [INTRODUCTION.format(seconds=SECONDS, rounds=rounds, machine=f"{processor()}; {versions}")]
    for path in models:
        model = path.read_bytes()
        session = onnxruntime.InferenceSession(with_fixed_rate(model), providers=["CPUExecutionProvider"])
        samples = SECONDS * int(session.get_modelmeta().custom_metadata_map["sample_rate"])
        lines = ["| fps | the rate is | load ms | ratio | run ms | ratio |", "|---:|---|---:|---:|---:|---:|"]
        for fps in RATES:
            chosen = ways(model, older.read_bytes() if older else None, fps, samples)
            lines += rows(fps, measure(chosen, rounds))
        parts.append(f"## {path.parent.name}\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--older", type=Path)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--write", action="store_true", help=f"replace docs/{PAGE.name}")
    options = parser.parse_args()
    page = report(options.models or [find_model("audioset-small")], options.older, options.rounds)
    print(page)
    if options.write:
        PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
