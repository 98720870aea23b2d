"""Probabilities and targets -> the field's metrics, measured by torchmetrics; works under DDP.

A class that no clip of the split has cannot be ranked: it is left out of the means over classes,
where torchmetrics alone would count it as 0. `class_scores` shows which those are.
"""

from __future__ import annotations

import math
import warnings

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.functional.classification import (
    multiclass_confusion_matrix,
    multiclass_f1_score,
    multiclass_precision,
    multiclass_recall,
    multilabel_auroc,
    multilabel_average_precision,
)
from torchmetrics.utilities import dim_zero_cat

from diffres_cli.evaluation.result import ClassScores


class TaggingMetrics(Metric):
    """Metrics to update with probabilities [B, classes] and targets [B, classes], multi-hot.

    Keys: "mAP", the mean over classes of the average precision; "AUC", of the area under the ROC curve;
    "d_prime", sqrt(2) Φ⁻¹(AUC) (Hershey et al., 2017; infinite at AUC 1); and with one label a clip
    "accuracy", the share of clips whose largest score is that label's. Of soft targets, 0.5 and more
    is positive. Compute gives NaN where no class can be ranked.

    >>> measure = TaggingMetrics(multi_label=False)
    >>> measure.update(torch.tensor([[0.9, 0.2], [0.6, 0.4]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    >>> {name: value.item() for name, value in measure.compute().items()}
    {'mAP': 1.0, 'AUC': 1.0, 'd_prime': inf, 'accuracy': 0.5}
    """

    full_state_update = False
    scores: list[Tensor]
    targets: list[Tensor]

    def __init__(self, multi_label: bool) -> None:
        super().__init__()
        self.multi_label = multi_label
        self.add_state("scores", [], dist_reduce_fx="cat")
        self.add_state("targets", [], dist_reduce_fx="cat")

    def update(self, probabilities: Tensor, targets: Tensor) -> None:
        """Add probabilities [B, classes] and targets [B, classes]."""
        self.scores.append(_probability(probabilities))
        self.targets.append(targets.float())

    def compute(self) -> dict[str, Tensor]:
        """Each metric as a scalar tensor."""
        scores, targets = dim_zero_cat(self.scores), dim_zero_cat(self.targets)
        precision, auroc = _ranking(scores, targets)
        auc = auroc.nanmean()
        found = {"mAP": precision.nanmean(), "AUC": auc, "d_prime": math.sqrt(2) * torch.special.ndtri(auc)}
        if not self.multi_label:
            found["accuracy"] = (scores.argmax(1) == targets.argmax(1)).float().mean()
        return found


def class_scores(probabilities: Tensor, targets: Tensor, multi_label: bool) -> list[ClassScores]:
    """Each class's scores.

    Shape:
        probabilities: [N, classes]. targets: [N, classes], multi-hot.
    """
    counts = _positive(targets).sum(0)
    columns = [counts, *_ranking(_probability(probabilities), targets)]
    if not multi_label:
        guesses, labels = probabilities.argmax(1), targets.argmax(1)
        for measure in (multiclass_recall, multiclass_precision, multiclass_f1_score):
            values = measure(guesses, labels, len(counts), average="none")
            columns.append(values.where(counts > 0, torch.nan))
    return [ClassScores(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def confusion_matrix(probabilities: Tensor, targets: Tensor) -> Tensor:
    """How often a clip of class i got class j's score as its largest: [classes, classes], int64.

    >>> scores = torch.tensor([[0.9, 0.2], [0.6, 0.4]])
    >>> confusion_matrix(scores, torch.tensor([[1.0, 0.0], [0.0, 1.0]])).tolist()
    [[1, 0], [1, 0]]
    """
    return multiclass_confusion_matrix(probabilities.argmax(1), targets.argmax(1), targets.shape[1])


def _ranking(scores: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Each class's average precision and area under the ROC curve, NaN where it cannot be ranked."""
    wanted, classes = _positive(targets), targets.shape[1]
    with warnings.catch_warnings():  # torchmetrics warns of each class without positives
        warnings.filterwarnings("ignore", message="No (positive|negative) samples")
        precision = multilabel_average_precision(scores, wanted, classes, average="none")
        auroc = multilabel_auroc(scores, wanted, classes, average="none")
    counts = wanted.sum(0)
    some = counts > 0
    return precision.where(some, torch.nan), auroc.where(some & (counts < len(targets)), torch.nan)


def _probability(scores: Tensor) -> Tensor:
    """Scores clamped to [0, 1]: torchmetrics takes a batch with a score of 1 + 1e-7 for logits."""
    return scores.float().clamp(0.0, 1.0)


def _positive(targets: Tensor) -> Tensor:
    return (targets >= 0.5).long()
