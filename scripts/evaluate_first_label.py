"""Which label comes first, by scores and with specific labels first; writes docs/first-label.md.

    python scripts/evaluate_first_label.py ../shared/data [--write]

The share of an ancestor's score that puts a label before it is chosen on ESC-10's folds 1, 2, 3 and 5. Fold 4
and the instruments of FSDKaggle2018 only measure. Half a minute of CPU time.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from evaluate_zero_shot import Clips, esc10, sets

from diffres_cli import __version__, load_tagger
from diffres_cli.arrays import Floats
from diffres_cli.tagging.labels import SPECIFIC_SHARE, put_specific_first, top_classes
from diffres_cli.tagging.settings import Settings
from diffres_cli.tagging.tagger import Tagger

RATES = (25, 50, 100)
SHARES = tuple(tenths / 10 for tenths in range(10, 0, -1))
CHOSEN_ON = "1235"
TARGET = Path(__file__).parent.parent / "docs" / "first-label.md"
HEADING = """\
# Which label comes first

`{model}` scores 527 labels, many of them names of one sound: a barking dog is Animal, Domestic animals,
Dog and Bark. By scores alone the general name often comes first. So a label stands before those above it, its
ancestors in AudioSet's ontology, of whose score it has {share:.0%} or more (`--ranking specific`, the
default). With `--ranking scores` the order is that of the scores.

The tables count clips at the default settings: at most 5 labels of at least 0.1. *First right*: the first
label is one of those that name the clip's class (`examples/maps/`). *Listed*: one of them is among the
labels. *General first*: the first label is above one of them. *Wrong first*: it is any other, be it below one
of them. *None*: there is no label. First right, general first, wrong first and none add up to all clips.
*Won, lost*: clips whose first label became right, and clips where it was. Where the model does not know the
specific sound, a wrong specific label may take the place of a true general one: see the instruments.

Command: `python scripts/evaluate_first_label.py ../shared/data --write`. Machine: {machine}, CPU, Python
{python}, onnxruntime {ort}, diffres {version}. ESC-10: Karol J. Piczak, CC BY 3.0; FSDKaggle2018:
Freesound, CC BY and CC0."""
CHOICE = """
## How the share was chosen

On {title} ({count} clips), whose audio, without labels, the model was adapted
with. The largest share with the most clips right first over the three rates is {best:.0%};
{share:.0%} is what ships. First right at {rates} fps, and the sums over the three:

| share | {columns} | first right | wrong first |
|---:|{lines}---:|---:|"""


@dataclass(frozen=True)
class Scored:
    """Clips with their scores, [clips, labels], by frame rate; for each clip the labels that are right."""

    clips: Clips
    scores: dict[int, Floats]
    right: list[set[int]]


@dataclass(frozen=True)
class Counts:
    """What comes first, clip by clip, and whether a right label is listed."""

    first: list[str]
    listed: int

    def of(self, outcome: str) -> int:
        """How many clips have it: "right", "general", "wrong" or "none"."""
        return self.first.count(outcome)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data"))
    parser.add_argument("--write", action="store_true", help=f"write {TARGET.name}")
    options = parser.parse_args()
    tagger = load_tagger()
    text = "\n".join(report(tagger, options.data)) + "\n"
    print(text)
    if options.write:
        TARGET.write_text(text, "utf-8")


def report(tagger: Tagger, data: Path) -> Iterator[str]:
    yield HEADING.format(
        model=tagger.card.name, share=SPECIFIC_SHARE, machine=platform.machine(),
        python=platform.python_version(), ort=onnxruntime.__version__, version=__version__,
    )  # fmt: skip
    for clips in sets(data):
        yield from results(tagger, scored(tagger, clips))
    yield from choice(tagger, scored(tagger, esc10(data, CHOSEN_ON)))


def scored(tagger: Tagger, clips: Clips) -> Scored:
    scores = {fps: np.array([pooled(tagger, path, fps) for path, _ in clips.files]) for fps in RATES}
    index = {label: i for i, label in enumerate(tagger.card.classes)}
    right = [{index[label] for label in clips.labels[category]} for _, category in clips.files]
    return Scored(clips, scores, right)


def pooled(tagger: Tagger, path: Path, fps: int) -> Floats:
    """The scores of a recording: the largest of its windows'."""
    windows = tagger.tag(path, fps=fps, spectrogram=False).windows
    return np.asarray(np.max([window.probabilities for window in windows], axis=0))


def results(tagger: Tagger, found: Scored) -> Iterator[str]:
    yield f"\n## {found.clips.title} ({len(found.right)} clips)\n"
    yield "| fps | ranking | first right | listed | general first | wrong first | none | won, lost |"
    yield "|---:|---|---:|---:|---:|---:|---:|---|"
    for fps in RATES:
        before, after = (counts(tagger, found, fps, share) for share in (None, SPECIFIC_SHARE))
        yield f"| {fps} | scores | {cells(before)} | |"
        yield f"| {fps} | specific | {cells(after)} | {changes(before, after)} |"


def counts(tagger: Tagger, found: Scored, fps: int, share: float | None) -> Counts:
    first, listed = [], 0
    for scores, right in zip(found.scores[fps], found.right, strict=True):
        labels = ranked(tagger, scores, share)
        first.append(outcome(tagger, labels, right))
        listed += not right.isdisjoint(labels)
    return Counts(first, listed)


def ranked(tagger: Tagger, scores: Floats, share: float | None) -> list[int]:
    """The labels of a recording as `tag` gives them; `share` None: by scores."""
    usual = Settings()
    order = top_classes(scores, len(scores), usual.min_confidence)
    if share is not None:
        order = put_specific_first(order, scores, tagger.ancestors, share)
    return [int(label) for label in order[: usual.top_k]]


def outcome(tagger: Tagger, labels: list[int], right: set[int]) -> str:
    if not labels:
        return "none"
    if labels[0] in right:
        return "right"
    return "general" if any(labels[0] in tagger.ancestors[label] for label in right) else "wrong"


def cells(found: Counts) -> str:
    return f"{found.of('right')} | {found.listed} | " + " | ".join(
        str(found.of(outcome)) for outcome in ("general", "wrong", "none")
    )


def changes(before: Counts, after: Counts) -> str:
    pairs = list(zip(before.first, after.first, strict=True))
    won = sum(one != "right" and other == "right" for one, other in pairs)
    return f"{won}, {sum(one == 'right' and other != 'right' for one, other in pairs)}"


def choice(tagger: Tagger, found: Scored) -> Iterator[str]:
    by_share = {share: [counts(tagger, found, fps, share) for fps in RATES] for share in (None, *SHARES)}
    totals = {share: sum(each.of("right") for each in by_share[share]) for share in SHARES}
    best = max(SHARES, key=lambda share: (totals[share], share))
    rates = " | ".join(map(str, RATES))
    yield CHOICE.format(
        title=found.clips.title, count=len(found.right), best=best, share=SPECIFIC_SHARE,
        rates=", ".join(map(str, RATES)), columns=rates, lines="---:|" * len(RATES),
    )  # fmt: skip
    for share, each in by_share.items():
        rights = [one.of("right") for one in each]
        name = "by scores" if share is None else f"{share:.0%}"
        wrong = sum(one.of("wrong") for one in each)
        yield f"| {name} | {' | '.join(map(str, rights))} | {sum(rights)} | {wrong} |"


if __name__ == "__main__":
    main()
