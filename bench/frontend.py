"""Time ways of computing the front end, as ONNX graphs run by ONNX Runtime on the CPU.

    python bench/frontend.py [--threads 1 2] [--rounds 60] [--write]

Every round runs every graph once, in turn; a ratio is the median over rounds of the graph's time over
the baseline's in the same round, so that a busy machine slows both. One thread is timed by its CPU
time, which other processes hardly disturb. `--write` replaces docs/bench-frontend.md.
"""

from __future__ import annotations

import argparse
import logging
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import frontend_variants as variants
import numpy as np
import onnxruntime
import scipy
import torch
from processor import CPUINFO, processor
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from diffres_cli.checkpoint.find import find_model
from diffres_cli.checkpoint.frontend import AUDIOSET_SMALL as CONFIG
from diffres_cli.nn.frontends.mel import MelSpectrogram, mel_filters
from diffres_cli.nn.network import DiffResNetwork
from diffres_cli.nn.weights import load_network

PAGE = Path(__file__).resolve().parents[1] / "docs" / "bench-frontend.md"
SECONDS = 10
FRAMES = 1000
FLOOR = "one matrix product of as many multiplications as the front end"
WAVEFORM = np.random.default_rng(0).normal(0, 0.1, (1, SECONDS * CONFIG.sample_rate)).astype(np.float32)
INTRODUCTION = """# The front end, measured

Written by `{command}`: a 10 s clip of noise at 32 kHz, the shipped model's mel
(25 ms windows every 10 ms, 1,024 points, 128 filters), ONNX Runtime on the CPU. Every graph runs
twice in each of {rounds} rounds and the second run is timed; *ratio* is the median over rounds of its
time over the first line's in the same round (one thread: CPU time; more: wall time). *Error* is the
largest one against `torch.stft` in float64, as a share of the loudest mel bin of the same frame.

{machine}.
"""


class Row(NamedTuple):
    """A line of a table: median and best milliseconds, and the median of the ratios to the baseline."""

    name: str
    median: float
    best: float
    ratio: float


class Job(NamedTuple):
    """A graph, what it is run on, and what is done in Python before each run."""

    model: bytes
    inputs: tuple[np.ndarray[Any, Any], ...]
    before: Callable[[variants.Floats], variants.Floats] | None = None

    def runner(self, threads: int) -> Callable[[], Any]:
        """A call that does the job once and returns the graph's first output."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(self.model, options, providers=["CPUExecutionProvider"])
        names = [node.name for node in session.get_inputs()]

        def run() -> Any:
            inputs = self.inputs if self.before is None else (self.before(WAVEFORM),)
            return session.run(None, dict(zip(names, inputs, strict=True)))[0]

        return run


def graph(module: nn.Module, *examples: Tensor, axes: Sequence[Sequence[int]]) -> bytes:
    """A module as ONNX; `axes` lists, for each input, those whose length varies."""
    shapes = tuple(dict.fromkeys(varying, torch.export.Dim.DYNAMIC) for varying in axes)
    captured = torch.export.export(module.eval(), examples, dynamic_shapes=shapes)
    program = torch.onnx.export(captured, opset_version=18, dynamo=True, verbose=False)
    assert program is not None
    return bytes(program.model_proto.SerializeToString())


def waveform_graph(module: nn.Module) -> bytes:
    return graph(module, torch.zeros(2, 40_000), axes=[(0, 1)])


def mel_jobs() -> dict[str, Job]:
    """Every way to mel power, the baseline first."""
    modules: dict[str, nn.Module] = {
        "direct DFT, strided convolution": variants.Convolution(),
        "direct DFT, matrix product with frames": variants.Direct(),
        "folded DFT, even and odd halves": variants.Folded(),
        "factorised DFT, 32 × 32": variants.Factorised(32, 32),
        "factorised DFT, 64 × 16": variants.Factorised(64, 16),
        "factorised DFT, 32 × 4 × 8": variants.Factorised(32, 4, 8),
        "factorised DFT, 16 × 8 × 8, dense mel filters": variants.Factorised(16, 8, 8, dense=True),
        "**factorised DFT, 16 × 8 × 8 (shipped)**": MelSpectrogram(CONFIG),
        "ONNX DFT operator": variants.DftOperator(),
        "ONNX STFT operator": variants.StftOperator(),
    }
    jobs = {name: Job(waveform_graph(module), (WAVEFORM,)) for name, module in modules.items()}
    mel = graph(variants.MelOfPower(), torch.zeros(2, 50, CONFIG.fft // 2), axes=[(0, 1)])
    jobs["NumPy rfft outside, mel filters in the graph"] = Job(mel, (), variants.numpy_fft)
    jobs["SciPy rfft outside, mel filters in the graph"] = Job(mel, (), variants.scipy_fft)
    return jobs


def chain_jobs() -> dict[str, Job]:
    """The shipped model's stages; the baseline, its backbone at 100 fps, first."""
    network = load_network(find_model("audioset-small", weights=True)).eval()
    example, slots = torch.rand(2, CONFIG.mel_bins, 300), torch.zeros(150)
    backbone = graph(variants.Backbone(network), torch.rand(2, 3, CONFIG.mel_bins, 200), axes=[(0, 3)])
    mel = waveform_graph(network.front_end)
    importance = graph(variants.Importance(network), example, axes=[(0, 2)])
    merging = graph(variants.Warp(network), example, torch.randn(2, 300), slots, axes=[(0, 2), (0, 1), (0,)])
    whole = graph(variants.FrontEnd(network), torch.zeros(2, 40_000), slots, axes=[(0, 1), (0,)])

    power = Job(mel, (WAVEFORM,)).runner(1)()
    logits = Job(importance, (power,)).runner(1)()
    rates = {fps: np.zeros(fps * FRAMES // 100, np.float32) for fps in (100, 50, 25)}
    ends = {fps: Job(whole, (WAVEFORM, t)) for fps, t in rates.items()}
    jobs: dict[str, Job] = {
        f"backbone at {fps} fps": Job(backbone, (end.runner(1)(),)) for fps, end in ends.items()
    }
    jobs["mel"] = Job(mel, (WAVEFORM,))
    jobs["logarithm and importance network"] = Job(importance, (power,))
    jobs |= {f"warp to {fps} fps": Job(merging, (power, logits, t)) for fps, t in rates.items()}
    jobs |= {f"**front end, to {fps} fps**": end for fps, end in ends.items()}
    return jobs | {FLOOR: floor(network)}


def floor(network: DiffResNetwork) -> Job:
    """One matrix product of as many multiplications as the front end's convolutions and products have."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        variants.FrontEnd(network)(torch.from_numpy(WAVEFORM), torch.zeros(FRAMES))
    depth = counter.get_total_flops() // 2 // (FRAMES * CONFIG.mel_bins)
    weights = torch.randn(depth, CONFIG.mel_bins)
    product = graph(variants.Product(weights), torch.zeros(1, 50, depth), axes=[(1,)])
    return Job(product, (np.random.default_rng(0).random((1, FRAMES, depth), np.float32),))


def measure(jobs: Mapping[str, Job], threads: int, rounds: int) -> list[Row]:
    """Do every job once a round; the first one is the baseline."""
    runs = {name: job.runner(threads) for name, job in jobs.items()}
    times: dict[str, list[float]] = {name: [] for name in runs}
    clock = time.process_time if threads == 1 else time.perf_counter
    for _ in range(rounds):
        for name, run in runs.items():
            run()  # the one before it left the caches full of other things
            start = clock()
            run()
            times[name].append(1e3 * (clock() - start))
    baseline = next(iter(times.values()))
    return [
        Row(name, statistics.median(spent), min(spent), statistics.median(np.divide(spent, baseline)))
        for name, spent in times.items()
    ]


def errors(jobs: dict[str, Job]) -> dict[str, float]:
    """Largest error against torch.stft in float64, as a share of the loudest mel bin of its frame."""
    signal = torch.from_numpy(WAVEFORM).double()
    signal = signal[:, 1:] - CONFIG.pre_emphasis * signal[:, :-1]
    window = torch.hann_window(CONFIG.window, periodic=CONFIG.periodic, dtype=torch.float64)
    spectrum = torch.stft(signal, CONFIG.fft, CONFIG.hop, CONFIG.window, window, return_complex=True)
    exact = mel_filters(CONFIG).double() @ spectrum[:, :-1].abs() ** 2
    scale = exact.amax(1, keepdim=True)
    outputs = {name: torch.from_numpy(job.runner(1)()) for name, job in jobs.items()}
    return {name: float(((power - exact).abs() / scale).max()) for name, power in outputs.items()}


def table(rows: list[Row], extra: dict[str, float] | None = None) -> str:
    """Markdown; `extra` is a column of errors."""
    head = ["", "ratio", "median ms", "best ms"] + (["error"] if extra else [])
    lines = [head, ["---"] + ["---:"] * (len(head) - 1)]
    for row in rows:
        cells = [row.name, f"{row.ratio:.2f}", f"{row.median:.1f}", f"{row.best:.1f}"]
        lines.append(cells + ([f"{extra[row.name]:.0e}"] if extra else []))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine() -> str:
    wide = "AVX-512" if "avx512f" in CPUINFO.read_text() else "no AVX-512"
    versions = f"Python {platform.python_version()}, onnxruntime {onnxruntime.__version__}"
    versions += f", torch {torch.__version__}, NumPy {np.__version__}, SciPy {scipy.__version__}"
    return f"{processor()}, {wide}; {versions}"


def verdict(mels: list[Row], chain: list[Row]) -> str:
    """The tables in two sentences."""
    mel = next(row for row in mels if "shipped" in row.name)
    ratio = {row.name.strip("*"): row.ratio for row in chain}
    whole = ratio["front end, to 50 fps"]
    parts = {
        "the mel": "mel",
        "the importance network": "logarithm and importance network",
        "the warp": "warp to 50 fps",
    }
    shares = ", ".join(f"{part} {ratio[name]:.2f}" for part, name in parts.items())
    return (
        f"The shipped mel takes {mel.ratio:.2f} of the direct DFT's time. The front end at 50 fps takes\n"
        f"{whole:.2f} of the backbone's at 100 fps, where 1 is the goal: {shares}. Its\n"
        f"multiplications alone, were they one large matrix product, would take {ratio[FLOOR]:.2f}: the\n"
        "rest is framing and elementwise work, bound by memory, and matrices too small for full\n"
        "speed.\n"
    )


def report(threads: Sequence[int], rounds: int) -> str:
    """The whole page."""
    ways, stages = mel_jobs(), chain_jobs()
    error = errors(ways)
    command = " ".join(["python", "bench/frontend.py", *sys.argv[1:]])
    parts = [INTRODUCTION.format(command=command, machine=machine(), rounds=rounds)]
    for count in threads:
        title = f"{count} thread" + "s" * (count > 1)
        mels, chain = measure(ways, count, rounds), measure(stages, count, rounds)
        parts.append(f"## Mel power, {title}\n\n{table(mels, error)}\n")
        parts.append(f"## The shipped model's stages, {title}\n\n{table(chain)}\n\n{verdict(mels, chain)}")
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--write", action="store_true", help=f"replace docs/{PAGE.name}")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    page = report(options.threads, options.rounds)
    print(page)
    if options.write:
        PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
