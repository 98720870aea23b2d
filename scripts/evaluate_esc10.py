"""Zero-shot accuracy of the shipped model on ESC-10, by frame rate; writes docs/results.md.

    python scripts/evaluate_esc10.py ../shared/data/esc-50-part [--write]

The same figures by the program itself, and with the deviation between folds:

    diffres eval --dataset esc10 --data ../shared/data/esc-50-part --map examples/maps/esc10_audioset.csv \\
        --fps 100,75,50,33,25,20

Each of the ten classes is scored by the largest probability of the AudioSet labels that name it. Fold 4
was held out when the weights were adapted; the audio of the other folds was heard then, without labels.
"""

from __future__ import annotations

import argparse
import csv
import platform
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime

from diffres_cli import __version__, load_tagger
from diffres_cli.checkpoint.find import DEFAULT_MODEL
from diffres_cli.tagging.tagger import Tagger

RATES = (100, 75, 50, 33, 25, 20)
HELD_OUT = "4"
MAP = Path(__file__).parent.parent / "examples" / "maps" / "esc10_audioset.csv"
TARGET = Path(__file__).parent.parent / "docs" / "results.md"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data/esc-50-part"))
    parser.add_argument("-m", "--model", default=DEFAULT_MODEL, help="another model, or weights of one")
    parser.add_argument("--write", action="store_true", help=f"write {TARGET.name}")
    options = parser.parse_args()
    text = report(tagger(options.model), options.data)
    print(text)
    if options.write:
        TARGET.write_text(text, "utf-8")


def report(tagger: Tagger, data: Path) -> str:
    clips = list(csv.DictReader((data / "meta" / "esc50.csv").read_text("utf-8").splitlines()))
    held_out = [clip for clip in clips if clip["fold"] == HELD_OUT]
    rows = [
        f"| {fps} | {accuracy(tagger, data, held_out, fps):.1f} | {accuracy(tagger, data, clips, fps):.1f} |"
        for fps in RATES
    ]
    return "\n".join([*heading(tagger, len(held_out), len(clips)), *rows, ""])


def tagger(model: str) -> Tagger:
    return load_tagger(model, backend="torch" if model.endswith(".safetensors") else "onnx")


def heading(tagger: Tagger, held_out: int, clips: int) -> list[str]:
    return [
        "# What the shipped model hears",
        "",
        f"Zero-shot accuracy (%) of `{tagger.card.name}` on ESC-10 (Karol J. Piczak, CC BY 3.0), by frame",
        "rate. Each class is scored by the largest probability of the AudioSet labels that name it; no",
        "weight was trained on ESC-10's labels. Fold 4 was held out when the weights were adapted; the audio",
        "of the other folds was heard then, without labels, so the last column is not a held-out result.",
        "",
        "Command: `python scripts/evaluate_esc10.py ../shared/data/esc-50-part --write`. "
        f"Machine: {platform.machine()}, CPU, Python {platform.python_version()}, "
        f"onnxruntime {onnxruntime.__version__}, diffres {__version__}.",
        "",
        f"| fps | fold 4 ({held_out} clips) | all folds ({clips} clips) |",
        "|---|---|---|",
    ]


def accuracy(tagger: Tagger, data: Path, clips: list[dict[str, str]], fps: float) -> float:
    right = [guess(tagger, data / "audio" / clip["filename"], fps) == clip["category"] for clip in clips]
    return 100 * float(np.mean(right))


def guess(tagger: Tagger, path: Path, fps: float) -> str:
    found = path if path.exists() else path.with_suffix(".ogg")
    window = tagger.tag(found, fps=fps, spectrogram=False).windows[0]
    index = {label: i for i, label in enumerate(tagger.card.classes)}
    scores = {label: window.probabilities[index[label]] for _, label in pairs()}
    return max(pairs(), key=lambda pair: scores[pair[1]])[0]


@cache
def pairs() -> list[tuple[str, str]]:
    """Each class of ESC-10 with each of the AudioSet labels that name it."""
    with MAP.open(encoding="utf-8", newline="") as file:
        return [(row["label"], row["model_label"]) for row in csv.DictReader(file)]


if __name__ == "__main__":
    main()
