"""Time EfficientNet-B2 behind DiffRes at 100, 50 and 25 fps, end to end in one ONNX session.

    python bench/knob.py [--rounds 60] [--write]

The weights are random: they cost what trained ones do. Every round runs every rate once, in turn; the
gain is the median over rounds of the time at 100 fps over the time at that rate in the same round. One
thread is timed by its CPU time, which other processes hardly disturb. `--write` replaces
docs/bench-knob.md.
"""

from __future__ import annotations

import argparse
import logging
import platform
import statistics
import time
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from processor import processor

from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.checkpoint.frontend import AUDIOSET_SMALL, PAPER, MelConfig
from diffres_cli.inference.graph import with_fixed_rate
from diffres_cli.nn.export import to_onnx_bytes
from diffres_cli.nn.network import DiffResNetwork

PAGE = Path(__file__).resolve().parents[1] / "docs" / "bench-knob.md"
RATES = (100, 50, 25)
SECONDS = 10
FRONT_ENDS = {"the paper's front end, 16 kHz": PAPER, "the shipped model's front end, 32 kHz": AUDIOSET_SMALL}
INTRODUCTION = """# The frame rate, measured

Written by `python bench/knob.py --write`: what a lower frame rate saves. EfficientNet-B2 with 527 classes
behind DiffRes, one graph from waveform to probabilities, a {seconds} s clip of noise, ONNX Runtime on the
CPU. *Gain* is the median over {rounds} rounds of the time at 100 fps over the time at that rate in the same
round (one thread: CPU time; more: wall time). What no frame rate can save, mel and importance network, is
measured in [bench-frontend.md](bench-frontend.md).

{machine}.
"""


def graph(mel: MelConfig) -> bytes:
    """The network of Table 1 with random weights."""
    torch.manual_seed(0)
    classes = tuple(map(str, range(527)))
    card = ModelCard("b2", "efficientnet_b2", classes, classes, mel, license="none", trained_on="nothing")
    return to_onnx_bytes(DiffResNetwork(card).eval())


def times(model: bytes, sample_rate: int, threads: int, rounds: int) -> dict[str, list[float]]:
    """Milliseconds a round, at each rate."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    sessions = {
        f"{fps} fps": onnxruntime.InferenceSession(
            with_fixed_rate(model, fps), options, providers=["CPUExecutionProvider"]
        )
        for fps in RATES
    }
    waveform = np.random.default_rng(0).normal(0, 0.1, (1, SECONDS * sample_rate)).astype(np.float32)
    feed = {"waveform": waveform}
    clock = time.process_time if threads == 1 else time.perf_counter
    spent: dict[str, list[float]] = {name: [] for name in sessions}
    for _ in range(rounds):
        for name, session in sessions.items():
            session.run(["probabilities"], feed)  # the one before it left the caches full of other things
            start = clock()
            session.run(["probabilities"], feed)
            spent[name].append(1e3 * (clock() - start))
    return spent


def table(spent: dict[str, list[float]]) -> str:
    lines = ["| | gain | median ms | best ms |", "|---|---:|---:|---:|"]
    full = next(iter(spent.values()))
    for name, mine in spent.items():
        gain = statistics.median(np.divide(full, mine))
        lines.append(f"| {name} | {gain:.2f} | {statistics.median(mine):.1f} | {min(mine):.1f} |")
    return "\n".join(lines)


def machine() -> str:
    versions = f"Python {platform.python_version()}, onnxruntime {onnxruntime.__version__}"
    return f"{processor()}; {versions}, torch {torch.__version__}"


def report(rounds: int) -> str:
    """The whole page."""
    parts = [INTRODUCTION.format(seconds=SECONDS, rounds=rounds, machine=machine())]
    for title, mel in FRONT_ENDS.items():
        model = graph(mel)
        for threads in (1, 2):
            heading = f"## EfficientNet-B2, {title}, {threads} thread" + "s" * (threads > 1)
            parts.append(f"{heading}\n\n{table(times(model, mel.sample_rate, threads, rounds))}\n")
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--write", action="store_true", help=f"replace docs/{PAGE.name}")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    page = report(options.rounds)
    print(page)
    if options.write:
        PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
