"""Zero-shot accuracy of taggers on clips they never heard, by frame rate; writes docs/results.md.

    python scripts/build_conditioned.py runs/start
    python scripts/evaluate_zero_shot.py audioset-small=checkpoints/audioset-small start=runs/start \\
        previous=runs/previous --write

The models are diffres checkpoints. The first, at full rate, is what the others are compared with.
"""

from __future__ import annotations

import argparse
import csv
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from scipy.stats import binomtest, bootstrap

from diffres_cli import __version__, load_tagger
from diffres_cli.arrays import Floats
from diffres_cli.tagging.prediction import is_even
from diffres_cli.tagging.tagger import Tagger

RATES = (100.0, 75.0, 50.0, 33.0, 25.0, 20.0)
MAPS = Path(__file__).parent.parent / "examples" / "maps"
TARGET = Path(__file__).parent.parent / "docs" / "results.md"
HELD_OUT = "4"
HEADING = """\
# Zero-shot accuracy by frame rate

Each class is scored by the largest probability of the AudioSet labels that name it (`examples/maps/`), in
clips of several windows by their mean. The clips: fold 4 of ESC-10 (Karol J. Piczak, CC BY 3.0), which was
held out when the models were adapted, and instruments of FSDKaggle2018 (Freesound, CC BY and CC0). No label
of either set was used to train or to choose a model. Intervals are of 95 %, for accuracy Wilson's.

`audioset-small` at full rate is the tagger it was adapted from, EfficientAT's mn04_as, to 1e-6
(`scripts/build_audioset_small.py` refuses otherwise). `start` is what its training went on from
(`scripts/build_conditioned.py`), `previous` what was shipped before, up to commit c55cd7e, and is not
conditioned on the frame rate. One training run each.

*Difference* is to `{first}` at full rate, in points, with the p of McNemar's exact test on the same clips.
*Divergence* is the binary Kullback-Leibler divergence from `{first}` at full rate, summed over the labels, as
the mean over clips with a bootstrap interval: it separates models that are right equally often. *Flat* is the
share of windows whose importance hardly varies: its 5 to 95 % range is under a tenth of its mean.

The best of ten classes is an easier question than which of 527 labels stands first: see
[which label comes first](first-label.md).

Command: `{command}`. Machine: {machine}, CPU, {versions}."""


@dataclass(frozen=True)
class Clips:
    """A set of held-out clips: files with their classes, and the labels that name each class."""

    title: str
    files: list[tuple[Path, str]]
    labels: dict[str, list[str]]


@dataclass(frozen=True)
class Scores:
    """What a model gives for a set of clips at one rate: clip by label, right or wrong, flat or not."""

    probabilities: Floats
    right: Floats
    flat: Floats


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--write", action="store_true", help=f"write {TARGET.name}")
    options = parser.parse_args()
    models = dict(item.split("=", 1) for item in options.models)
    taggers = {name: load_tagger(folder, threads=1) for name, folder in models.items()}
    text = "\n".join(
        [*heading(models), *(line for clips in sets(options.data) for line in table(taggers, clips))]
    )
    print(text)
    if options.write:
        TARGET.write_text(text + "\n", "utf-8")


def sets(data: Path) -> Iterator[Clips]:
    """The held-out clips that are there."""
    yield esc10(data, HELD_OUT)
    files = [(path, path.parent.name) for path in sorted((data / "fsdkaggle2018-part").glob("*/*.flac"))]
    yield Clips("FSDKaggle2018, instruments", files, label_map("fsdkaggle2018_audioset.csv"))


def esc10(data: Path, folds: str) -> Clips:
    """The clips of some folds of ESC-10, such as "1235"."""
    folder = data / "esc-50-part"
    rows = csv.DictReader((folder / "meta" / "esc50.csv").read_text("utf-8").splitlines())
    files = [
        (audio(folder / "audio" / row["filename"]), row["category"]) for row in rows if row["fold"] in folds
    ]
    title = f"ESC-10, fold{'s' if len(folds) > 1 else ''} {', '.join(folds)}"
    return Clips(title, files, label_map("esc10_audioset.csv"))


def audio(path: Path) -> Path:
    return path if path.exists() else path.with_suffix(".ogg")


def label_map(name: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in csv.DictReader((MAPS / name).read_text("utf-8").splitlines()):
        found.setdefault(row["label"], []).append(row["model_label"])
    return found


def heading(models: dict[str, str]) -> list[str]:
    command = f"python {' '.join(sys.argv)}"
    versions = (
        f"Python {platform.python_version()}, onnxruntime {onnxruntime.__version__}, diffres {__version__}"
    )
    return [
        HEADING.format(
            first=next(iter(models)), command=command, machine=platform.machine(), versions=versions
        )
    ]


def table(taggers: dict[str, Tagger], clips: Clips) -> Iterator[str]:
    yield from ("", f"## {clips.title} ({len(clips.files)} clips)", "")
    yield "| model | fps | accuracy % | difference (p) | divergence | flat % |"
    yield "|---|---:|---:|---:|---:|---:|"
    reference: Scores | None = None
    for name, tagger in taggers.items():
        for fps in RATES:
            found = scores(tagger, clips, fps)
            reference = reference or found
            yield f"| {name} | {fps:g} | {' | '.join(cells(found, reference))} |"


def scores(tagger: Tagger, clips: Clips, fps: float) -> Scores:
    index = {label: i for i, label in enumerate(tagger.card.classes)}
    probabilities, right, flat = [], [], []
    for path, category in clips.files:
        windows = tagger.tag(path, fps=fps).windows
        mean = np.mean([window.probabilities for window in windows], axis=0)
        ranked = {name: max(mean[index[label]] for label in labels) for name, labels in clips.labels.items()}
        probabilities.append(mean)
        right.append(max(ranked, key=lambda name: ranked[name]) == category)
        flat.append(
            np.mean([is_even(window.spectrogram.importance) for window in windows if window.spectrogram])
        )
    return Scores(np.array(probabilities), np.array(right), np.array(flat))


def cells(found: Scores, reference: Scores) -> list[str]:
    flat = f"{100 * found.flat.mean():.0f}"
    if found is reference:
        return [accuracy(found.right), "", "", flat]
    return [accuracy(found.right), difference(found, reference), divergence(found, reference), flat]


def accuracy(right: Floats) -> str:
    """In %, with Wilson's interval; `right` is 1 or 0 for each clip."""
    interval = binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
    return f"{100 * right.mean():.1f} [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


def mcnemar(one: Floats, other: Floats) -> tuple[int, int, float]:
    """Clips that only `one` has right, clips that only the other has, and the exact p."""
    won, lost = int((one > other).sum()), int((one < other).sum())
    return won, lost, binomtest(won, won + lost).pvalue if won + lost else 1.0


def divergences(reference: Floats, found: Floats) -> Floats:
    """Of probabilities [clips, classes] from others, summed over the classes, [clips]."""
    p, q = (np.clip(each.astype(float), 1e-7, 1 - 1e-7) for each in (reference, found))
    sums: Floats = (p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))).sum(1)
    return sums


def difference(found: Scores, reference: Scores) -> str:
    _, _, p = mcnemar(found.right, reference.right)
    return f"{100 * (found.right.mean() - reference.right.mean()):+.1f} ({p:.2f})"


def divergence(found: Scores, reference: Scores) -> str:
    each = divergences(reference.probabilities, found.probabilities)
    if each.max() < 1e-3:  # the same probabilities but for rounding
        return "0"
    interval = bootstrap((each,), np.mean, random_state=np.random.default_rng(0)).confidence_interval
    return f"{each.mean():.2f} [{interval.low:.2f}, {interval.high:.2f}]"


if __name__ == "__main__":
    main()
