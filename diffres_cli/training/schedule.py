"""The learning rate at each update, as a share of the recipe's."""

from __future__ import annotations

import math

from diffres_cli.recipes.recipe import Optimizer


def share(optimizer: Optimizer, epochs: int, updates: int, update: int) -> float:
    """What to multiply lr by at an update, counted from 0, of a run of `epochs` of `updates` each.

    >>> paper = Optimizer(first=11, factor=0.5, every=5)
    >>> [share(paper, 30, 100, epoch * 100) for epoch in (0, 9, 10, 14, 15)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """
    warm = min(1.0, (update + 1) / optimizer.warmup) if optimizer.warmup else 1.0
    if optimizer.schedule == "cosine":
        return warm * 0.5 * (1 + math.cos(math.pi * update / (epochs * updates)))
    epoch = update // updates + 1
    cuts = (epoch - optimizer.first) // optimizer.every + 1 if epoch >= optimizer.first else 0
    return float(warm * optimizer.factor**cuts)
