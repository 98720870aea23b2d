"""The folders of cells -> numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from diffres_cli.comparison.cells import Cell
from diffres_cli.comparison.state import CellFolder, folder_of
from diffres_cli.evaluation.spread import Spread, spread

Key = TypeVar("Key")
_CLASSIFIER = "backbone"


@dataclass(frozen=True)
class Result:
    """What a cell scored.

    Attributes:
        metric: "accuracy" or "mAP". scores: fps -> percent. parameters: part of the network -> how many.
        seconds: its training took.
    """

    cell: Cell
    folder: CellFolder
    metric: str
    scores: dict[float, float]
    parameters: dict[str, int]
    seconds: float

    @property
    def score(self) -> float:
        """At the one rate it was tested at, or the lowest."""
        return self.scores[min(self.scores)]

    @property
    def learnable(self) -> int:
        """Parameters before the classifier."""
        return sum(count for part, count in self.parameters.items() if part != _CLASSIFIER)


def results_of(cells: Iterable[Cell], output: Path) -> list[Result]:
    """The results of those cells that have any."""
    found = (_result(cell, folder_of(cell, output)) for cell in cells)
    return [result for result in found if result]


def spreads(
    results: Iterable[Result], key: Callable[[Result], Key], fps: float | None = None
) -> dict[Key, Spread]:
    """Mean and standard deviation over seeds and folds of the results that have the same key.

    Args:
        fps: at this rate; None: at the one rate each was tested at.
    """
    groups: dict[Key, list[float]] = {}
    for result in results:
        rates = [fps] if fps is not None else list(result.cell.rates)[:1]
        for rate in rates:
            if rate in result.scores and rate in result.cell.rates:
                groups.setdefault(key(result), []).append(result.scores[rate])
    return {key: spread(values) for key, values in groups.items()}


def _result(cell: Cell, folder: CellFolder) -> Result | None:
    found = folder.evaluation() if folder.trained() else None
    if not found:
        return None
    metric = "mAP" if found["multi_label"] else "accuracy"
    scores = {
        rate["fps"]: 100 * rate["metrics"][metric]
        for rate in found["rates"]
        if rate["fps"] in cell.rates and rate["metrics"][metric] is not None
    }
    sessions = folder.facts().get("sessions", [])
    seconds = sum(float(session.get("seconds", 0)) for session in sessions)
    return Result(cell, folder, metric, scores, folder.parameters(), seconds) if scores else None
