"""How well events tell when a label is heard; writes docs/events.md.

    python scripts/evaluate_events.py ../shared/data/esc-50-part [--write]

Scenes are made of ESC-10's short sounds (fold 4, held out when the weights were adapted) at known times over
a quiet background, so that start and end of each are known; the shipped telephone's are known anyway.
"""

from __future__ import annotations

import argparse
import csv
import platform
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime
import soundfile
import soxr
from evaluate_zero_shot import HELD_OUT, label_map
from examples.struck import RINGS
from numpy.typing import NDArray

from diffres_cli import __version__, load_tagger
from diffres_cli.tagging.events import find_runs, join_events
from diffres_cli.tagging.labels import top_classes
from diffres_cli.tagging.prediction import Event, Prediction
from diffres_cli.tagging.tagger import Settings, Tagger

RATES = (100, 50, 25)
KINDS = ("dog", "rooster", "crying_baby", "sneezing")
RATE = 32_000  # Hz
GAP = Settings().merge_gap  # seconds
SCENES, DURATION = 20, 60.0  # of so many seconds each
STEP = 0.02  # seconds: the resolution at which presence is compared
RINGING = {"Telephone bell ringing", "Ringtone", "Telephone"}
TELEPHONE = Path(__file__).parent.parent / "examples" / "telephone.ogg"
TARGET = Path(__file__).parent.parent / "docs" / "events.md"
Samples = NDArray[np.float64]
Spans = list[tuple[float, float]]


HEADING = """\
# When a label is heard

What `--events` reports with `{model}`, at its own settings (at most 5 labels a window, at
least 0.1; a merge gap of {gap:g} s). An event is made of columns of the classifier's last feature map. A
column covers 32 output frames, and DiffRes decides how much time those are.

Command: `python scripts/evaluate_events.py ../shared/data/esc-50-part --write`. Machine: {machine},
CPU, Python {python}, onnxruntime {ort}, diffres {version}.

## A sound whose times are known

`examples/telephone.ogg` rings {rings};
its gongs sound on for almost a second each time, and there is silence in between. What is found under
any of its three names (Telephone bell ringing, Ringtone, Telephone), and the narrowest and the widest
column, the last one aside:

| fps | heard, in seconds | a column |
|---|---|---|"""
TIMES = """
## Scenes

{sounds} sounds of four kinds (dog, rooster, crying baby, sneezing: ESC-10, Karol J. Piczak, CC BY 3.0;
fold 4, held out) in {scenes} recordings of 60 s, over pink noise at -54 dBFS. A sound is taken to last
while it is within 35 dB of its loudest 10 ms. Presence is compared every 20 ms: precision / recall / F1
in per cent. Start and end are those of an event that meets a sound: medians of how far they are off.
The column is the middle 80 %: over a steady noise floor the importance is all but even.

| fps | windows (10 s) | events | start | end | a column |
|---|---|---|---|---|---|"""
WHETHER = """
## Why the window decides first

At 50 fps, by what it takes for a label to be reported at a moment. Framewise scores come from the head
that was trained on the mean over a window, applied to one column: they swing further, both ways, and of
527 labels some are always high. A window's own labels, looked for in its columns, are the rule that is
shipped, at 0.1.

| rule | labels at a time | precision / recall / F1 |
|---|---|---|"""
GAPS = """
## The merge gap

At 50 fps. Most events hold several sounds already, because a column is longer than the pause between
two barks.

| merge gap | events a sound | precision / recall / F1 |
|---|---|---|"""


class Scene(NamedTuple):
    """A made recording, [N] at RATE, and when each kind of sound is heard in it."""

    samples: NDArray[np.float32]
    truth: dict[str, Spans]


class Rule(NamedTuple):
    """A way of turning a window's scores into runs: which classes, and from which framewise score."""

    name: str
    gated: bool
    threshold: float


RULES = (
    Rule("framewise score at least 0.1", False, 0.1),
    Rule("framewise score at least 0.5", False, 0.5),
    Rule("a label of the window, and framewise at least 0.1", True, 0.1),
    Rule("a label of the window, and framewise at least 0.5", True, 0.5),
)
SHIPPED = RULES[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data/esc-50-part"))
    parser.add_argument("--write", action="store_true", help=f"write {TARGET.name}")
    options = parser.parse_args()
    text = report(load_tagger(), list(scenes(options.data)))
    print(text)
    if options.write:
        TARGET.write_text(text, "utf-8")


def scenes(data: Path) -> Iterator[Scene]:
    """Scenes with a sound every few seconds, at levels up to 13 dB apart, over pink noise at -54 dBFS."""
    rng = np.random.default_rng(0)
    clips = [(clip["category"], *_sound(data / "audio" / clip["filename"])) for clip in _clips(data)]
    for _ in range(SCENES):
        samples = 0.002 * _pink(round(DURATION * RATE), rng)
        truth: dict[str, Spans] = {kind: [] for kind in KINDS}
        start = rng.uniform(0, 4)
        while start < DURATION:
            kind, sound, spans = clips[rng.integers(len(clips))]
            spot = samples[round(start * RATE) :][: len(sound)]
            spot += rng.uniform(0.2, 0.9) * sound[: len(spot)]
            truth[kind] += [(start + a, min(start + b, DURATION)) for a, b in spans if start + a < DURATION]
            start += len(sound) / RATE + rng.uniform(1, 4)
        yield Scene(samples.astype(np.float32), truth)


def _clips(data: Path) -> list[dict[str, str]]:
    clips = csv.DictReader((data / "meta" / "esc50.csv").read_text("utf-8").splitlines())
    return [clip for clip in clips if clip["fold"] == HELD_OUT and clip["category"] in KINDS]


def _sound(path: Path) -> tuple[Samples, Spans]:
    """A clip without the silence around it, peak 1, and where it sounds: within 35 dB of its loudest 10 ms.

    Pauses under 0.2 s belong to the sound.
    """
    samples, rate = soundfile.read(path if path.exists() else path.with_suffix(".ogg"), always_2d=True)
    mono = soxr.resample(samples.mean(1), rate, RATE)
    frames = mono[: len(mono) // 320 * 320].reshape(-1, 320)
    level = np.sqrt((frames**2).mean(1))
    loud = np.flatnonzero(level > level.max() * 10 ** (-35 / 20))
    parts = np.split(loud, np.flatnonzero(np.diff(loud) > 20) + 1)
    first, last = loud[0], loud[-1] + 1
    spans = [((part[0] - first) / 100, (part[-1] + 1 - first) / 100) for part in parts]
    return mono[first * 320 : last * 320] / np.abs(mono).max(), spans


def _pink(count: int, rng: np.random.Generator) -> Samples:
    """Noise of RMS 1 whose power falls 3 dB an octave above 100 Hz."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    hz = np.fft.rfftfreq(count, 1 / RATE)
    noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(hz, 100)), count)
    return np.asarray(noise / np.sqrt(np.mean(noise**2)))


def report(tagger: Tagger, made: list[Scene]) -> str:
    tagged = {fps: [_tag(tagger, scene, fps) for scene in made] for fps in RATES}
    sounds = sum(len(spans) for scene in made for spans in scene.truth.values())
    lines = [
        HEADING.format(
            model=tagger.card.name, rings=" and ".join(f"from {a:.2f} to {b:.2f} s" for a, b in RINGS),
            machine=platform.machine(), python=platform.python_version(), ort=onnxruntime.__version__,
            version=__version__, gap=GAP,
        ),
        *(_telephone(tagger, fps) for fps in RATES),
        TIMES.format(sounds=sounds, scenes=len(made)),
        *(_times(tagger, fps, tagged[fps], made) for fps in RATES),
        WHETHER,
        *(_rule(tagger, rule, tagged[50], made) for rule in RULES),
        GAPS,
        *(_gap(tagger, gap, tagged[50], made) for gap in (0.0, 0.25, 0.5, 1.0)),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _tag(tagger: Tagger, scene: Scene, fps: int) -> Prediction:
    return tagger.tag(scene.samples, RATE, fps=fps, framewise=True, spectrogram=False)


def _telephone(tagger: Tagger, fps: int) -> str:
    tagging = tagger.tag(TELEPHONE, fps=fps, spectrogram=False, framewise=True, events=True)
    rings = join_events(replace(e, label="", id="") for e in tagging.events or () if e.label in RINGING)
    heard = ", ".join(f"{event.start:.2f}–{event.end:.2f}" for event in rings)
    columns = np.diff(_given(tagging.windows[0].framewise_times))[:-1]
    return f"| {fps} | {heard} | {columns.min():.2f}–{columns.max():.2f} s |"


def _times(tagger: Tagger, fps: int, tagged: list[Prediction], made: list[Scene]) -> str:
    windows = [_by_kind(_window_spans(tagging)) for tagging in tagged]
    found = [_by_kind(_pieces(tagger, tagging, SHIPPED)) for tagging in tagged]
    begin, end = np.median(list(_errors(found, made)), axis=0)
    columns = [np.diff(_given(window.framewise_times)) for tagging in tagged for window in tagging.windows]
    narrow, wide = np.percentile(np.concatenate(columns), (10, 90))
    return (
        f"| {fps} | {_score(windows, made)} | {_score(found, made)} | {begin:.2f} s | {end:.2f} s | "
        f"{narrow:.2f}–{wide:.2f} s |"
    )


def _rule(tagger: Tagger, rule: Rule, tagged: list[Prediction], made: list[Scene]) -> str:
    pieces = [list(_pieces(tagger, tagging, rule)) for tagging in tagged]
    heard = sum(piece.end - piece.start for found in pieces for piece in found)
    score = _score([_by_kind(found) for found in pieces], made)
    return f"| {rule.name} | {heard / (DURATION * len(made)):.1f} | {score} |"


def _gap(tagger: Tagger, gap: float, tagged: list[Prediction], made: list[Scene]) -> str:
    found = [_by_kind(_pieces(tagger, tagging, SHIPPED), gap) for tagging in tagged]
    events = sum(len(spans) for kinds in found for spans in kinds.values())
    sounds = sum(len(spans) for scene in made for spans in scene.truth.values())
    return f"| {gap:g} s | {events / sounds:.2f} | {_score(found, made)} |"


def _window_spans(tagging: Prediction) -> Iterator[Event]:
    for window in tagging.windows:
        for label in window.labels:
            yield Event(label.label, label.id, window.start, window.end, label.score)


def _pieces(tagger: Tagger, tagging: Prediction, rule: Rule) -> Iterator[Event]:
    every = np.arange(len(tagger.card.classes))
    for window in tagging.windows:
        classes = top_classes(window.probabilities, 5, 0.1, None, tagger.ancestors) if rule.gated else every
        yield from find_runs(window, classes, tagger.card, rule.threshold)


def _by_kind(pieces: Iterable[Event], gap: float = GAP) -> dict[str, Spans]:
    """Events of the labels that name a kind, as one."""
    named = label_map("esc10_audioset.csv")
    kinds = {label: kind for kind in KINDS for label in named[kind]}
    events = join_events((replace(e, label=kinds[e.label], id="") for e in pieces if e.label in kinds), gap)
    return {kind: [(e.start, e.end) for e in events if e.label == kind] for kind in KINDS}


def _score(found: list[dict[str, Spans]], made: list[Scene]) -> str:
    """Precision, recall and F1 in per cent, over every kind and step of time."""
    pairs = [
        (_present(kinds[kind]), _present(scene.truth[kind]))
        for kinds, scene in zip(found, made, strict=True)
        for kind in KINDS
    ]
    said, true = (np.concatenate(side) for side in zip(*pairs, strict=True))
    right = np.sum(said & true)
    precision, recall = 100 * right / said.sum(), 100 * right / true.sum()
    return f"{precision:.0f} / {recall:.0f} / {2 * precision * recall / (precision + recall):.0f}"


def _present(spans: Spans) -> NDArray[np.bool_]:
    times = np.arange(STEP / 2, DURATION, STEP)
    present = np.zeros(len(times), bool)
    for start, end in spans:
        present |= (start <= times) & (times < end)
    return present


def _errors(found: list[dict[str, Spans]], made: list[Scene]) -> Iterator[tuple[float, float]]:
    """How far the start and the end of an event lie from those of the sounds it overlaps, in seconds."""
    for kinds, scene in zip(found, made, strict=True):
        for kind in KINDS:
            for start, end in kinds[kind]:
                met = [span for span in scene.truth[kind] if span[0] < end and start < span[1]]
                if met:
                    yield abs(start - min(met)[0]), abs(end - max(met)[1])


def _given(times: NDArray[np.float64] | None) -> NDArray[np.float64]:
    assert times is not None, "tagged with framewise scores"
    return times


if __name__ == "__main__":
    main()
