"""INT8 against float: what to quantise, what it costs in agreement and accuracy, and the time it brings.

    python bench/int8.py ../shared/data [--write]

Writes docs/bench-int8.md. Calibrated on ESC-10 folds 1, 2, 3 and 5; compared on fold 4. Time is what ONNX
Runtime takes on one thread (its CPU time, which other processes hardly disturb), both graphs in turn.
"""

from __future__ import annotations

import argparse
import csv
import platform
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from diffres_cli import __version__
from diffres_cli.audio import open_recording
from diffres_cli.card import ModelCard
from diffres_cli.checkpoint import ModelFile, find_model, read_model
from diffres_cli.model.export import to_onnx_bytes
from diffres_cli.model.int8 import LEAST_AGREEMENT, Report, compare, feed
from diffres_cli.model.network import DiffResNetwork
from diffres_cli.model.quantize import pointwise, quantize
from diffres_cli.prediction import Floats
from diffres_cli.runtime import OnnxRuntime
from diffres_cli.tagger import Tagger

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from evaluate_esc10 import HELD_OUT, accuracy  # noqa: E402  # a script beside this one

TARGET = ROOT / "docs" / "bench-int8.md"
RATES = (25.0, 50.0, 100.0)
EVERY = 5  # clips of the calibration folds: 64 of 320
LARGER = (("mobilenet_v3_large", 1.0), ("efficientnet_b0", 1.0), ("efficientnet_b2", 1.0))
Choice = Callable[[onnx.ModelProto], list[str]]


@dataclass(frozen=True)
class Clips:
    """ESC-10's recordings."""

    folder: Path

    def rows(self, held_out: bool) -> list[dict[str, str]]:
        """The list's rows of fold 4, or of the others."""
        text = (self.folder / "meta" / "esc50.csv").read_text("utf-8")
        return [row for row in csv.DictReader(text.splitlines()) if (row["fold"] == HELD_OUT) == held_out]

    def waveforms(self, rows: list[dict[str, str]]) -> list[Floats]:
        """What is heard in them, at 32 kHz, [N] each."""
        return [decode((self.folder / "audio" / row["filename"]).with_suffix(".ogg")) for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data"))
    parser.add_argument("--write", action="store_true", help=f"write {TARGET.name}")
    options = parser.parse_args()
    text = report(Clips(options.data / "esc-50-part"))
    print(text)
    if options.write:
        TARGET.write_text(text, "utf-8")


def decode(path: Path) -> Floats:
    with open_recording(path) as recording:
        return np.concatenate(list(recording.blocks(32_000)))


# --- what may be quantised


def convolutions(model: onnx.ModelProto) -> list[str]:
    """The backbone's convolutions, depthwise and all, but for the first layer and squeeze-and-excitation."""
    spared = ("features.0.", ".fc1.", ".fc2.")
    return [
        node.name
        for node in backbone(model)
        if node.op_type == "Conv" and not any(part in node.input[1] for part in spared)
    ]


def everything(model: onnx.ModelProto) -> list[str]:
    return [node.name for node in backbone(model)]


def backbone(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    kinds = ("Conv", "Gemm")
    return [n for n in model.graph.node if n.op_type in kinds and n.input[1].startswith("network.backbone.")]


CHOICES: dict[str, Choice] = {
    "pointwise convolutions (what `--int8` does)": pointwise,
    "and depthwise ones": convolutions,
    "and first layer, squeeze-and-excitation, head": everything,
}


# --- measuring


def report(clips: Clips) -> str:
    graph = read_model(find_model("audioset-small")).data
    card = OnnxRuntime(ModelFile(Path("audioset-small"), graph), "cpu").card
    heard = clips.waveforms(clips.rows(held_out=False)[::EVERY])
    held_out = clips.waveforms(clips.rows(held_out=True))
    twins = {name: quantize(graph, feeds(heard, card), choose) for name, choose in CHOICES.items()}
    reports = {name: compare(graph, twin, held_out) for name, twin in twins.items()}
    first = next(iter(CHOICES))
    lines = [
        "# INT8\n",
        paragraph(heading(card.name, len(heard), len(held_out))),
        paragraph(setting()),
        "| quantised | fps | same best label | largest difference | mean difference | time |",
        "|---|---|---|---|---|---|",
        *(line for name, found in reports.items() for line in rows(name, found)),
        "",
        paragraph(verdict(reports[first])),
        "## Accuracy\n",
        paragraph("ESC-10 fold 4, zero-shot as in [results.md](results.md), %:"),
        "| fps | float | INT8 |\n|---|---|---|",
        *accuracies(clips, graph, twins[first]),
        "\n## Larger classifiers\n",
        paragraph(
            "Time of INT8 over float, random weights (which is enough for time), 10 s of noise; what INT8 "
            "does to their labels has to be measured once they are trained."
        ),
        "| classifier | 25 fps | 50 fps | 100 fps |\n|---|---|---|---|",
        *(larger(card, *which) for which in LARGER),
    ]
    return "\n".join(lines) + "\n"


def feeds(heard: list[Floats], card: ModelCard) -> list[dict[str, Floats]]:
    return [feed(waveform, RATES[i % len(RATES)], card) for i, waveform in enumerate(heard)]


def rows(name: str, found: Report) -> list[str]:
    return [f"| {name} {line}" for line in found.lines()]


def accuracies(clips: Clips, graph: bytes, twin: bytes) -> list[str]:
    taggers = [Tagger(OnnxRuntime(ModelFile(Path("graph.onnx"), data), "cpu")) for data in (graph, twin)]
    held_out = clips.rows(held_out=True)
    right = [[accuracy(tagger, clips.folder, held_out, fps) for tagger in taggers] for fps in RATES]
    return [f"| {fps:g} | {both[0]:.1f} | {both[1]:.1f} |" for fps, both in zip(RATES, right, strict=True)]


def larger(card: ModelCard, architecture: str, width: float) -> str:
    torch.manual_seed(0)
    network = DiffResNetwork(replace(card, architecture=architecture, width=width)).eval()
    graph = to_onnx_bytes(network)
    noise = [np.random.default_rng(i).normal(0, 0.1, 320_000).astype(np.float32) for i in range(12)]
    times = [row.time for row in compare(graph, quantize(graph, feeds(noise[:3], card)), noise).rows]
    return f"| {architecture}, width {width:g} | " + " | ".join(f"{time:.2f}" for time in times) + " |"


# --- words


def paragraph(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), 110, break_on_hyphens=False) + "\n"


def heading(model: str, heard: int, held_out: int) -> str:
    return f"""
        `{model}` with parts of its backbone in INT8 (static, QDQ, per channel), against its float graph.
        Calibrated on {heard} clips of ESC-10 folds 1, 2, 3 and 5 (Karol J. Piczak, CC BY 3.0), compared on
        the {held_out} clips of fold 4. Time is INT8's over float's: the median of CPU time on one thread,
        both graphs in turn.
    """


def setting() -> str:
    return (
        f"Command: `python bench/int8.py ../shared/data --write`. Machine: {platform.machine()} "
        f"({'with' if 'avx512_vnni' in cpu_flags() else 'without'} AVX-512 VNNI), CPU, "
        f"Python {platform.python_version()}, onnxruntime {onnxruntime.__version__}, diffres {__version__}."
    )


def cpu_flags() -> str:
    path = Path("/proc/cpuinfo")
    return path.read_text("utf-8") if path.exists() else ""


def verdict(found: Report) -> str:
    if not found.faults:
        return "`diffres export --int8` accepts this twin."
    return (
        f"`diffres export --int8` refuses this twin without `--force`: {' and '.join(found.faults)}. "
        f"It asks for less time and at least {LEAST_AGREEMENT:.0%} at every rate."
    )


if __name__ == "__main__":
    main()
