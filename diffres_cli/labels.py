"""Scores -> ranked labels."""

from __future__ import annotations

import numpy as np

from diffres_cli.card import ModelCard
from diffres_cli.prediction import Floats, Label


def rank(probabilities: Floats, card: ModelCard, top_k: int, min_confidence: float) -> tuple[Label, ...]:
    """The `top_k` best labels at or above `min_confidence`, best first; ties in the model's order.

    Args:
        probabilities: [classes], each in [0, 1].
    """
    best = np.argsort(-probabilities, kind="stable")[:top_k]
    return tuple(
        Label(card.classes[i], card.class_ids[i], float(probabilities[i]))
        for i in best
        if probabilities[i] >= min_confidence
    )


def pool(so_far: Floats | None, probabilities: Floats) -> Floats:
    """A recording's scores from its windows': the largest, since a sound heard once was heard.

    Shape: [classes] and [classes] -> [classes].
    """
    return probabilities if so_far is None else np.maximum(so_far, probabilities)
