"""What a step minimises, and other quantities it logs."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy

from diffres_cli.nn.network import NetworkOutput
from diffres_cli.nn.objectives import activeness, guide_loss
from diffres_cli.recipes.recipe import Loss

_LEAST = 1e-7


class LossTerms(NamedTuple):
    """Scalars of one batch: `total` is minimised, the rest is logged."""

    total: Tensor
    classification: Tensor
    guide: Tensor
    saturation: Tensor
    embedding: Tensor
    activeness: Tensor


def training_loss(
    output: NetworkOutput, empty: Tensor, targets: Tensor, loss: Loss, embedding: Tensor | None = None
) -> LossTerms:
    """Binary cross entropy + guide loss (Eq. 7) + a penalty on the squared mean importance logit.

    Args:
        empty: [B, T], frames that hold no sound, before SpecAugment makes others silent.
        targets: [B, classes], 0 to 1. embedding: [B, features], what the output's is to be; None: anything.
    """
    classification = cross_entropy(output.probabilities, targets)
    guide, saturation, active = _importance_terms(output, empty, loss)
    distance = torch.zeros_like(classification)
    if embedding is not None:
        distance = relative_distance(output.embedding, embedding)
    total = classification + loss.guide * guide + loss.saturation * saturation + loss.embedding * distance
    return LossTerms(total, classification, guide, saturation, distance, active)


def _importance_terms(output: NetworkOutput, empty: Tensor, loss: Loss) -> tuple[Tensor, Tensor, Tensor]:
    """Guide loss, the penalty on the logits, and activeness; 0 for a reduction that learns no importance."""
    if output.importance_logits is None:
        none = torch.zeros_like(output.importance[0, 0])
        return none, none, none
    output_frames = output.merged.shape[2]
    real = torch.ones_like(empty) if output.mask is None else output.mask
    guide = guide_loss(output.importance, empty & real, output_frames, loss.tolerance)
    logits = output.importance_logits.float()[real]
    active = activeness(output.importance.detach(), empty | ~real, output_frames).mean()
    return guide, logits.mean().square(), active


def relative_distance(values: Tensor, targets: Tensor) -> Tensor:
    """Squared distance of rows [B, features] from their targets, by the targets' squared length; the mean."""
    targets = targets.detach().float()
    return ((values.float() - targets).square().sum(1) / targets.square().sum(1).clamp_min(_LEAST)).mean()


def cross_entropy(probabilities: Tensor, targets: Tensor) -> Tensor:
    """Mean binary cross entropy of probabilities [B, classes] against targets [B, classes]."""
    # In half precision 1 - 1e-7 is 1, whose logarithm is minus infinity on the other side.
    with torch.autocast(probabilities.device.type, enabled=False):
        return binary_cross_entropy(probabilities.float().clamp(_LEAST, 1 - _LEAST), targets.float())
