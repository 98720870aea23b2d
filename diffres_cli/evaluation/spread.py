"""Several values of one thing as mean and standard deviation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import mean, stdev
from typing import NamedTuple


class Spread(NamedTuple):
    """The mean of some values and their sample standard deviation, NaN for a single one."""

    mean: float
    std: float


def spread(values: Sequence[float]) -> Spread:
    """Mean and standard deviation (n - 1); an infinite value makes the deviation NaN.

    >>> spread([0.5, 0.7]).mean, round(spread([0.5, 0.7]).std, 3), spread([0.5]).std
    (0.6, 0.141, nan)
    """
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return Spread(sum(values) / len(values), math.nan)
    return Spread(mean(values), stdev(values))
