"""Learned importance against rules that need no training, on clips it never heard; writes docs/importance.md.

python scripts/evaluate_importance.py [--data ../shared/data] [--write]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from evaluate_zero_shot import Clips, accuracy, divergences, heading, mcnemar, sets
from scipy.stats import wilcoxon
from torch import Tensor

from diffres_cli.arrays import Floats
from diffres_cli.checkpoint.find import find_model
from diffres_cli.nn.importance import novelty
from diffres_cli.nn.network import DiffResNetwork
from diffres_cli.nn.weights import load_network

MODEL = "audioset-small"
RATES = (50.0, 33.0, 25.0, 20.0)
SECONDS = 10
TARGET = Path(__file__).parent.parent / "docs" / "importance.md"
TEXT = """\
# Learned importance against simple rules

The same network, `audioset-small`, with the frame scores of its importance network and with scores of three
rules in their place: *flat*, all frames alike, which is average pooling; *energy*, a frame's mean log-mel;
*flux*, how much the log-mel changes (`diffres_cli.nn.importance.novelty`), both standardised over the clip.
Rescale and warp are the same. Classes are scored as in [results.md](results.md), clips are cut at
{seconds} s.

*Won, lost*: clips that are right with learned importance and wrong with the rule, and the other way round,
with the p of McNemar's exact test. *Divergence*: from the same network at full rate, as in results.md, the
mean over clips; p is of Wilcoxon's signed-rank test against learned importance, clip by clip. The network was
trained with its own importance, not with the rules', which puts them at a disadvantage. One training run.

What the tables of November 2026 say: no accuracy differs significantly. Learned importance stays closer to
full rate than flat importance at 20 fps on ESC-10 and at 25 fps on the instruments. Flux, which needs no
network, is never significantly further from full rate than learned importance, and on ESC-10 at 33 and 25 fps
closer (p 0.03 and 0.04, of 24 comparisons, uncorrected).

{facts}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--write", action="store_true", help=f"write {TARGET.name}")
    options = parser.parse_args()
    torch.set_num_threads(1)
    network = load_network(find_model(MODEL, weights=True))
    facts = heading({MODEL: ""})[0].rpartition("\n\n")[2]
    lines = [TEXT.format(seconds=SECONDS, facts=facts)]
    lines += [line for clips in sets(options.data) for line in table(network, clips)]
    print("\n".join(lines))
    if options.write:
        TARGET.write_text("\n".join(lines) + "\n", "utf-8")


def rules(network: DiffResNetwork) -> dict[str, Callable[[Tensor], Tensor | None]]:
    """Power [1, F, T] -> logits [1, T]; None: the network's own."""
    log = network.front_end.log

    def energy(power: Tensor) -> Tensor:
        mean = log(power).mean(1)
        return (mean - mean.mean()) / (mean.std() + 1e-3)

    return {
        "learned": lambda power: None,
        "flat": lambda power: torch.zeros_like(power[:, 0]),
        "energy": energy,
        "flux": lambda power: novelty(log(power)),
    }


def table(network: DiffResNetwork, clips: Clips) -> Iterator[str]:
    yield from (f"## {clips.title} ({len(clips.files)} clips)", "")
    yield "| fps | importance | accuracy % | won, lost (p) | divergence (p) |"
    yield "|---:|---|---:|---:|---:|"
    powers = [spectrogram(network, path) for path, _ in clips.files]
    full = scores(network, powers, network.card.mel.frame_rate, lambda power: None)
    for fps in RATES:
        learned: tuple[Floats, Floats] | None = None
        for name, rule in rules(network).items():
            found = scores(network, powers, fps, rule)
            measured = right(network, clips, found), divergences(full, found)
            learned = learned or measured
            yield f"| {fps:g} | {name} | {' | '.join(cells(*measured, *learned))} |"
    yield ""


@torch.no_grad()
def spectrogram(network: DiffResNetwork, path: Path) -> Tensor:
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    heard = soxr.resample(samples[: SECONDS * rate].mean(1), rate, network.card.sample_rate)
    return network.spectrogram(torch.from_numpy(heard)[None], network.card.mel.frame_rate)


@torch.no_grad()
def scores(
    network: DiffResNetwork, powers: list[Tensor], fps: float, rule: Callable[[Tensor], Tensor | None]
) -> Floats:
    """Probabilities [clips, classes]."""
    rows = [network.from_spectrogram(power, fps, logits=rule(power)).probabilities[0] for power in powers]
    values: Floats = torch.stack(rows).numpy()
    return values


def right(network: DiffResNetwork, clips: Clips, found: Floats) -> Floats:
    """1 for each clip whose class has the largest score, [clips]."""
    index = {label: i for i, label in enumerate(network.card.classes)}
    names = list(clips.labels)
    classes = np.stack([found[:, [index[each] for each in clips.labels[name]]].max(1) for name in names], 1)
    guesses = [names[int(best)] for best in classes.argmax(1)]
    return np.array([guess == category for guess, (_, category) in zip(guesses, clips.files, strict=True)])


def cells(hits: Floats, far: Floats, learned_hits: Floats, learned_far: Floats) -> list[str]:
    if far is learned_far:
        return [accuracy(hits), "", f"{far.mean():.2f}"]
    won, lost, p = mcnemar(learned_hits, hits)
    signed = wilcoxon(far, learned_far).pvalue
    return [accuracy(hits), f"{won}, {lost} ({p:.2f})", f"{far.mean():.2f} ({signed:.1g})"]


if __name__ == "__main__":
    main()
