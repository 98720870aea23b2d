"""Probabilities and targets -> the field's metrics, measured by torchmetrics; works under DDP.

A class that no clip of the split has cannot be ranked: it is left out of the means over classes,
where torchmetrics alone would count it as 0. `class_scores` tells which those are.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torchmetrics import MetricCollection
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
    MulticlassPrecision,
    MulticlassRecall,
    MultilabelAUROC,
    MultilabelAveragePrecision,
)
from torchmetrics.utilities import dim_zero_cat

from diffres_cli.evaluation.result import ClassScores

RANKING = ("mAP", "AUC", "d_prime")
"""Metrics of every dataset; one with a single label a clip has "accuracy" too."""


def metric_collection(classes: int, multi_label: bool) -> MetricCollection:
    """Metrics to update with probabilities [B, classes] and targets [B, classes], multi-hot.

    Keys: "mAP", the mean over classes of the average precision; "AUC", of the area under the ROC curve;
    "d_prime", sqrt(2) Φ⁻¹(AUC) (Hershey et al., 2017; infinite at AUC 1); and with one label a clip
    "accuracy", the share of clips whose largest score is that label's. Of soft targets, 0.5 and more
    is positive. Compute gives NaN where no class can be ranked.

    >>> measure = metric_collection(2, multi_label=False)
    >>> measure.update(torch.tensor([[0.9, 0.2], [0.6, 0.4]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    >>> {name: value.item() for name, value in measure.compute().items()}
    {'AUC': 1.0, 'accuracy': 0.5, 'd_prime': inf, 'mAP': 1.0}
    """
    measures: dict[str, MultilabelAveragePrecision | MultilabelAUROC | MulticlassAccuracy] = {
        "mAP": MeanAveragePrecision(classes),
        "AUC": MeanAUC(classes),
        "d_prime": DPrime(classes),
    }
    if not multi_label:
        measures["accuracy"] = Accuracy(classes)
    return MetricCollection(dict(measures))


class MeanAveragePrecision(MultilabelAveragePrecision):
    """Average precision of each class, averaged over those that some clip has."""

    def __init__(self, classes: int) -> None:
        super().__init__(classes, average="none")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Take in preds [B, classes] and target [B, classes]."""
        super().update(_probability(preds), _positive(target))

    def compute(self) -> Tensor:  # type: ignore[override]  # the parent's parent gives curves
        """The mean, a scalar."""
        with _empty_classes_expected():
            return _mean(super().compute(), dim_zero_cat(self.target))


class MeanAUC(MultilabelAUROC):
    """Area under the ROC curve of each class, averaged over those that some clip has and some has not."""

    def __init__(self, classes: int) -> None:
        super().__init__(classes, average="none")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Take in preds [B, classes] and target [B, classes]."""
        super().update(_probability(preds), _positive(target))

    def compute(self) -> Tensor:  # type: ignore[override]  # the parent's parent gives curves
        """The mean, a scalar."""
        with _empty_classes_expected():
            return _mean(super().compute(), dim_zero_cat(self.target), both=True)


class DPrime(MeanAUC):
    """How many standard deviations lie between two normal distributions of that mean AUC."""

    def compute(self) -> Tensor:  # type: ignore[override]  # see MeanAUC
        """The distance, a scalar."""
        distance: Tensor = math.sqrt(2) * torch.special.ndtri(super().compute())
        return distance


class Accuracy(MulticlassAccuracy):
    """The share of clips whose largest score is that of their label."""

    def __init__(self, classes: int) -> None:
        super().__init__(classes, average="micro")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Take in preds [B, classes] and target [B, classes]."""
        super().update(preds.argmax(1), target.argmax(1))


def class_scores(probabilities: Tensor, targets: Tensor, multi_label: bool) -> list[ClassScores]:
    """Each class's scores.

    Shape:
        probabilities: [N, classes]. targets: [N, classes], multi-hot.
    """
    classes, wanted = targets.shape[1], _positive(targets)
    with _empty_classes_expected():
        precision = MultilabelAveragePrecision(classes, average="none")(_probability(probabilities), wanted)
        area = MultilabelAUROC(classes, average="none")(_probability(probabilities), wanted)
    counts = wanted.sum(0)
    precision = precision.where(counts > 0, torch.nan)
    area = area.where((counts > 0) & (counts < len(targets)), torch.nan)
    columns = [counts.tolist(), precision.tolist(), area.tolist()]
    if not multi_label:
        columns += _decisions(probabilities.argmax(1), targets.argmax(1), counts)
    return [ClassScores(*row) for row in zip(*columns, strict=True)]


def confusion_matrix(probabilities: Tensor, targets: Tensor) -> Tensor:
    """How often a clip of class i got class j's score as its largest: [classes, classes], int64.

    >>> scores = torch.tensor([[0.9, 0.2], [0.6, 0.4]])
    >>> confusion_matrix(scores, torch.tensor([[1.0, 0.0], [0.0, 1.0]])).tolist()
    [[1, 0], [1, 0]]
    """
    measure = MulticlassConfusionMatrix(targets.shape[1])
    matrix: Tensor = measure(probabilities.argmax(1), targets.argmax(1))
    return matrix


def _decisions(guesses: Tensor, labels: Tensor, counts: Tensor) -> list[list[float]]:
    kinds = (MulticlassRecall, MulticlassPrecision, MulticlassF1Score)
    values = (kind(len(counts), average="none")(guesses, labels) for kind in kinds)
    return [value.where(counts > 0, torch.nan).tolist() for value in values]


def _probability(scores: Tensor) -> Tensor:
    """Scores as torchmetrics must see them: one of 1 + 1e-7, and it takes a whole batch for logits."""
    return scores.float().clamp(0.0, 1.0)


def _positive(targets: Tensor) -> Tensor:
    return (targets >= 0.5).long()


def _mean(values: Tensor, targets: Tensor, *, both: bool = False) -> Tensor:
    """The mean over the classes with a positive clip; with `both`, a negative one too."""
    counts = targets.sum(0)
    measured = (counts > 0) & (counts < len(targets)) if both else counts > 0
    return values[measured].mean()


@contextmanager
def _empty_classes_expected() -> Iterator[None]:
    """torchmetrics warns of each class without positives; we leave those out."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="No (positive|negative) samples")
        yield
