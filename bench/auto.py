"""What `--fps auto` reaches: its margin fitted on one half of the data, reported on the other.

    python bench/auto.py ../shared/data [--write]

Writes docs/bench-auto.md. A window agrees when its best label is that of full rate. Time is what ONNX
Runtime takes on one thread (its CPU time, which other processes hardly disturb), every window at every
rate in turn. The shipped rule is in `diffres_cli/adaptive.py`; the first table is for choosing it.
"""

from __future__ import annotations

import argparse
import csv
import platform
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import thread_time

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from diffres_cli import __version__
from diffres_cli.adaptive import LOW, MARGIN, is_sure
from diffres_cli.audio import open_recording
from diffres_cli.checkpoint import find_model, read_model
from diffres_cli.prediction import Floats
from diffres_cli.runtime import OnnxRuntime
from diffres_cli.timing import slots_at

TARGET = Path(__file__).parent.parent / "docs" / "bench-auto.md"
AGREEMENT = 0.98
FULL = 100.0
STARTS = (20.0, 25.0, 33.0, 50.0, 75.0)
FIRST = STARTS.index(LOW)
HELD_OUT_FOLD = "4"
TWICE = {"esc10_train", "fsdk", "nsynth"}  # the same clips as ESC-10, FSDKaggle and NSynth below
MOST = 60  # windows a source
WINDOW = 320_000  # samples, 10 s
SHORTEST = 16_000


@dataclass(frozen=True)
class Measured:
    """A data set's windows at each rate of `STARTS`, then `FULL`.

    Shape:
        scores: [windows, rates, classes]. seconds: [windows, rates], each from the waveform on. shared:
        [windows], seconds of them that a second run need not spend again.
    """

    name: str
    scores: Floats
    seconds: NDArray[np.float64]
    shared: NDArray[np.float64]

    @property
    def same(self) -> NDArray[np.bool_]:
        """Where the best label is that of full rate, [windows, rates]."""
        best = self.scores.argmax(2)
        same: NDArray[np.bool_] = best == best[:, -1:]
        return same

    @property
    def margins(self) -> Floats:
        """The best score's lead, [windows, rates]."""
        second, best = np.moveaxis(np.partition(self.scores, -2)[..., -2:], 2, 0)
        lead: Floats = best - second
        return lead

    def time(self, rate: int, redone: NDArray[np.bool_] | None = None) -> float:
        """Model time over that of full rate: all windows at a rate, those `redone` at full rate too."""
        again = 0.0 if redone is None else (self.seconds[redone, -1] - self.shared[redone]).sum()
        return float((self.seconds[:, rate].sum() + again) / self.seconds[:, -1].sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data"))
    parser.add_argument("--write", action="store_true", help=f"write {TARGET.name}")
    options = parser.parse_args()
    runtime = OnnxRuntime(read_model(find_model("audioset-small")), "cpu", threads=1)
    fitted = [measure(runtime, *group) for group in fit_half(options.data)]
    held_out = [measure(runtime, *group) for group in report_half(options.data)]
    text = report(runtime.card.name, fitted, held_out)
    print(text)
    if options.write:
        TARGET.write_text(text, "utf-8")


# --- data


def fit_half(data: Path) -> Iterator[tuple[str, list[Floats]]]:
    for source in sources(data)[::2]:
        yield f"distill/{source.stem}", segments(source)
    yield "ESC-10, folds 1, 2, 3, 5", esc10(data, held_out=False)


def report_half(data: Path) -> Iterator[tuple[str, list[Floats]]]:
    yield "ESC-10, fold 4", esc10(data, held_out=True)
    yield "Speech Commands", files(data / "speech-commands-part")
    yield "NSynth", files(data / "nsynth-part")
    yield "FSDKaggle2018", files(data / "fsdkaggle2018-part")
    for source in sources(data)[1::2]:
        yield f"distill/{source.stem}", segments(source)


def sources(data: Path) -> list[Path]:
    return sorted(path for path in (data / "distill").glob("*.ogg") if path.stem not in TWICE)


def segments(source: Path) -> list[Floats]:
    """The clips a source was joined from: windows that do not overlap the one before."""
    waveform, end = decode(source), 0
    clips = []
    for first, count, _ in np.load(source.with_suffix(".npz"))["window"]:
        if first >= end:
            end = first + count
            clips.append(waveform[2 * first : 2 * end])  # stated at 16 kHz, read at 32
    kept = np.random.default_rng(0).permutation(len(clips))[:MOST]
    return [clips[i] for i in sorted(kept)]


def esc10(data: Path, held_out: bool) -> list[Floats]:
    folder = data / "esc-50-part"
    rows = csv.DictReader((folder / "meta" / "esc50.csv").read_text("utf-8").splitlines())
    names = [row["filename"] for row in rows if (row["fold"] == HELD_OUT_FOLD) == held_out]
    return [decode((folder / "audio" / name).with_suffix(".ogg")) for name in names]


def files(folder: Path) -> list[Floats]:
    found = sorted(path for path in folder.rglob("*") if path.suffix in (".wav", ".ogg", ".flac"))
    clips = map(decode, found)
    cut = [clip[i : i + WINDOW] for clip in clips for i in range(0, len(clip), WINDOW)]
    return [window for window in cut if len(window) >= SHORTEST]


def decode(path: Path) -> Floats:
    with open_recording(path) as recording:
        return np.concatenate(list(recording.blocks(32_000)))


# --- measuring


def measure(runtime: OnnxRuntime, name: str, clips: list[Floats]) -> Measured:
    rates = (*STARTS, FULL)
    scores, seconds, shared = [], [], []
    for clip in clips:
        runs = [run(runtime, clip, fps) for fps in rates]
        scores.append(np.stack([probabilities for probabilities, _, _ in runs]))
        seconds.append([first + rest for _, first, rest in runs])
        shared.append(np.mean([first for _, first, _ in runs]))
    return Measured(name, np.stack(scores), np.array(seconds), np.array(shared))


def run(runtime: OnnxRuntime, clip: Floats, fps: float) -> tuple[Floats, float, float]:
    """A window's scores, and the seconds before and after the rate matters."""
    mel = runtime.card.mel
    slots = slots_at(fps, mel.frames(len(clip)), mel.frame_rate)
    begin = thread_time()
    begun = runtime.begin(clip[None])
    middle = thread_time()
    values = runtime.finish(begun, slots, ["probabilities"])
    return values["probabilities"][0], middle - begin, thread_time() - middle


def joined(name: str, parts: list[Measured]) -> Measured:
    scores = np.concatenate([part.scores for part in parts])
    seconds = np.concatenate([part.seconds for part in parts])
    return Measured(name, scores, seconds, np.concatenate([part.shared for part in parts]))


def smallest_margin(data: Measured, rate: int) -> float:
    """The smallest lead, in hundredths, at which auto agrees as often as it should."""
    for margin in np.arange(0, 1.01, 0.01):
        redone = data.margins[:, rate] < margin
        if (data.same[:, rate] | redone).mean() >= AGREEMENT:
            break
    return float(margin)


# --- reporting


def report(model: str, fitted: list[Measured], held_out: list[Measured]) -> str:
    chosen, everything = joined("", fitted), joined("all", held_out)
    lines = [
        "# `--fps auto`\n",
        paragraph(heading(model, len(chosen.scores), len(everything.scores))),
        paragraph(setting()),
        "## The margin\n",
        paragraph(
            f"The smallest that makes {AGREEMENT:.0%} of the first half agree, by the rate to start at:"
        ),
        "| first fps | margin | redone | time |\n|---|---|---|---|",
        *(fit_row(chosen, rate) for rate in range(len(STARTS))),
        "\n## What it reaches\n",
        paragraph(
            f"On the second half, with the rule of `diffres_cli/adaptive.py`: {LOW:g} fps first, "
            f"{FULL:g} fps where the lead is below {MARGIN:g}."
        ),
        f"| data | windows | same label at {LOW:g} fps | auto | redone | time |\n|---|---|---|---|---|---|",
        *(auto_row(data) for data in (*held_out, everything)),
        "",
        paragraph(verdict(everything)),
        paragraph("The same windows at fixed rates:"),
        "| fps | same label | time |\n|---|---|---|",
        *(fixed_row(everything, rate) for rate in range(len(STARTS) + 1)),
    ]
    return "\n".join(lines) + "\n"


def paragraph(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), 110, break_on_hyphens=False) + "\n"


def heading(model: str, fitted: int, held_out: int) -> str:
    return f"""
        Every window at a low frame rate, and again at full rate where the best score does not lead the
        second by a margin. A window agrees when its best label, of all the model knows, is that of full
        rate. Time is the model's, over that of full rate for the same windows (ONNX Runtime, CPU time of
        one thread, every window at every rate in turn). The margin was fitted on {fitted} windows (ESC-10
        folds 1, 2, 3 and 5, and every other source of `distill`, at most {MOST} windows each); the results
        are of {held_out} others. The weights of `{model}` were adapted on much of `distill`, without
        labels; ESC-10 fold 4 was held out.
    """


def setting() -> str:
    return (
        "Command: `python bench/auto.py ../shared/data --write`. "
        f"Machine: {platform.machine()}, CPU, Python {platform.python_version()}, "
        f"onnxruntime {onnxruntime.__version__}, diffres {__version__}."
    )


def fit_row(data: Measured, rate: int) -> str:
    margin = smallest_margin(data, rate)
    redone = data.margins[:, rate] < margin
    return f"| {STARTS[rate]:g} | {margin:.2f} | {redone.mean():.0%} | {data.time(rate, redone):.2f} |"


def auto_row(data: Measured) -> str:
    agreement, share, time = auto(data)
    alone = data.same[:, FIRST].mean()
    return f"| {data.name} | {len(data.scores)} | {alone:.1%} | {agreement:.1%} | {share:.0%} | {time:.2f} |"


def auto(data: Measured) -> tuple[float, float, float]:
    """Agreement, share redone and time of the rule as it ships."""
    redone = np.array([not is_sure(scores) for scores in data.scores[:, FIRST]])
    return float((data.same[:, FIRST] | redone).mean()), float(redone.mean()), data.time(FIRST, redone)


def fixed_row(data: Measured, rate: int) -> str:
    return f"| {(*STARTS, FULL)[rate]:g} | {data.same[:, rate].mean():.1%} | {data.time(rate):.2f} |"


def verdict(data: Measured) -> str:
    """What a user must know, in numbers of this run."""
    agreement, _, time = auto(data)
    oracle = data.time(FIRST, ~data.same[:, FIRST])
    return f"""
        So {agreement:.1%} of the windows agree, at {time:.2f} of full rate's time. No rule could save much
        with this model: {LOW:g} fps alone takes {data.time(FIRST):.2f}, since mel and importance do not
        shrink with the rate and are most of its work. A second run goes on from them; redoing exactly the
        windows that would disagree would take {oracle:.2f}.
    """


if __name__ == "__main__":
    main()
