"""Time a model whose frame rate is fed at each run, and the same with the rate as a constant.

    python bench/rate.py [--older MODEL.onnx] [--rounds 40] [--write]

The shipped model, and the same with weights and statistics that depend on the rate, which is exported first.
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
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
from processor import processor

from diffres_cli.checkpoint.find import find_model
from diffres_cli.inference.graph import with_fixed_rate
from diffres_cli.nn.export import to_onnx_bytes
from diffres_cli.nn.network import DiffResNetwork
from diffres_cli.nn.weights import load_network

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


def conditioned() -> bytes:
    """The shipped model, with all that can depend on the rate depending on it."""
    source = load_network(find_model("audioset-small", weights=True))
    variant = replace(source.card.variant, conditioning="all", anchors=(100.0, 50.0, 25.0))
    network = DiffResNetwork(replace(source.card, variant=variant))
    network.load_state_dict(source.state_dict(), strict=False)
    return to_onnx_bytes(network.eval())


def report(older: Path | None, rounds: int) -> str:
    """The whole page."""
    versions = f"Python {platform.python_version()}, onnxruntime {onnxruntime.__version__}"
    parts = [INTRODUCTION.format(seconds=SECONDS, rounds=rounds, machine=f"{processor()}; {versions}")]
    shipped = find_model("audioset-small").read_bytes()
    for title, model, before in (
        ("audioset-small", shipped, older),
        ("The same, with weights and statistics that depend on the rate", conditioned(), None),
    ):
        session = onnxruntime.InferenceSession(with_fixed_rate(model), providers=["CPUExecutionProvider"])
        samples = SECONDS * int(session.get_modelmeta().custom_metadata_map["sample_rate"])
        lines = ["| fps | the rate is | load ms | ratio | run ms | ratio |", "|---:|---|---:|---:|---:|---:|"]
        for fps in RATES:
            chosen = ways(model, before.read_bytes() if before else None, fps, samples)
            lines += rows(fps, measure(chosen, rounds))
        parts.append(f"## {title}\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--older", type=Path)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--write", action="store_true", help=f"replace docs/{PAGE.name}")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    page = report(options.older, options.rounds)
    print(page)
    if options.write:
        PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
