"""What an evaluation finds, as values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import mean, stdev
from typing import Any, NamedTuple

from diffres_cli.evaluation.runfolder import finite


class MeanStd(NamedTuple):
    """The mean of some values and their sample standard deviation, NaN for a single one."""

    mean: float
    std: float


def mean_and_std(values: Sequence[float]) -> MeanStd:
    """Mean and standard deviation (n - 1); an infinite value makes the deviation NaN.

    >>> mean_and_std([0.5, 0.7]).mean, round(mean_and_std([0.5, 0.7]).std, 3), mean_and_std([0.5]).std
    (0.6, 0.141, nan)
    """
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return MeanStd(sum(values) / len(values), math.nan)
    return MeanStd(mean(values), stdev(values))


@dataclass(frozen=True)
class ClassScores:
    """One class: how many clips have it, and how well it is found; NaN where that is undefined.

    Attributes:
        recall, precision, f1: of the largest score's label; None where several labels may hold at once.
    """

    count: int
    average_precision: float
    auc: float
    recall: float | None = None
    precision: float | None = None
    f1: float | None = None


@dataclass(frozen=True)
class RateResult:
    """What was measured at one frame rate.

    Attributes:
        metrics: by name, as shares: see `diffres_cli.evaluation.metrics`.
        seconds: the model's time for a clip. classes: each class's scores, in the dataset's order.
        confusions: [class][guess], how often; None where several labels may hold at once.
    """

    fps: float
    metrics: dict[str, float]
    seconds: float
    classes: tuple[ClassScores, ...]
    confusions: list[list[int]] | None = None


@dataclass(frozen=True)
class Evaluation:
    """One model on one set of clips.

    Attributes:
        model, sha256: its name, and of which file. backend, device, batch_size: how it was run.
        splits, fold: which clips. clips: how many were scored. missing, undecodable: names of others,
            and why. limited: not all of the split were asked for.
        duration: mean seconds of a clip. classes: the dataset's. map: the label map's file, "" for none.
    """

    model: str
    sha256: str
    backend: str
    device: str
    batch_size: int
    dataset: str
    licence: str
    citation: str
    multi_label: bool
    splits: tuple[str, ...]
    fold: int | None
    clips: int
    duration: float
    classes: tuple[str, ...]
    rates: tuple[RateResult, ...]
    missing: tuple[str, ...] = ()
    undecodable: dict[str, str] = field(default_factory=dict)
    limited: bool = False
    map: str = ""

    @property
    def main_metric(self) -> str:
        """What the paper reports: mAP where several labels may hold at once, else accuracy."""
        return "mAP" if self.multi_label else "accuracy"

    @property
    def absent(self) -> tuple[str, ...]:
        """Classes without a clip here, which mAP, AUC and d' leave out."""
        found = zip(self.classes, self.rates[0].classes, strict=True)
        return tuple(name for name, scores in found if not scores.count)

    def plain(self) -> dict[str, Any]:
        """As JSON holds it; null for what is no finite number."""
        held = asdict(self) | {"absent": self.absent}
        held["rates"] = [_rate(rate, self.classes) for rate in self.rates]
        plain: dict[str, Any] = finite(held)
        return plain


def _rate(rate: RateResult, classes: tuple[str, ...]) -> dict[str, Any]:
    scores = [
        {"label": name, **{key: value for key, value in asdict(each).items() if value is not None}}
        for name, each in zip(classes, rate.classes, strict=True)
    ]
    return {
        "fps": rate.fps,
        "metrics": rate.metrics,
        "seconds_per_clip": rate.seconds,
        "classes": scores,
        "confusions": rate.confusions,
    }
