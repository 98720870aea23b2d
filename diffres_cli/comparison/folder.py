"""The folder of a cell: its recipe, its log, its run, what of it is done, and what it scored."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from diffres_cli.comparison.cells import Cell
from diffres_cli.errors import ModelError, UsageError
from diffres_cli.evaluation.result import MeanStd, mean_and_std
from diffres_cli.evaluation.runfolder import FINISHED, RunFolder
from diffres_cli.files import make_folder, read_json, write_atomically
from diffres_cli.recipes.files import read_recipe, to_toml

Key = TypeVar("Key")
_CLASSIFIER = "backbone"


class CellFolder:
    """A cell on disk.

    Attributes:
        run: of its training. log: what its run and test print. lock: held by the process that works on it.
        sizes: holds how many parameters each part of its network has.
    """

    def __init__(self, cell: Cell, output: Path) -> None:
        self.cell = cell
        self.path = output / "cells" / cell.folder
        self.recipe, self.sizes = self.path / "recipe.toml", self.path / "parameters.json"
        self.log, self.lock = self.path / "log.txt", self.path / ".lock"
        self.run = RunFolder(self.path / "run")

    def prepare(self) -> None:
        """Make the folder, with the recipe in it.

        Raises:
            OutputError: it cannot be written.
        """
        make_folder(self.path)
        text = to_toml(self.cell.recipe).encode()
        if not self.recipe.exists() or self.recipe.read_bytes() != text:
            write_atomically(self.recipe, text)

    def status(self) -> str:
        """The status of its run; "" before there is one."""
        return str(self.run.known_facts().get("status", ""))

    def is_trained(self) -> bool:
        """Whether its run is finished."""
        return self.status() == FINISHED

    def evaluation(self) -> dict[str, Any] | None:
        """What its network scored; None before it was tested."""
        try:
            return self.run.read_evaluation()
        except ModelError:  # damaged, or of an older network: to be tested again
            return None

    def tested_rates(self) -> set[float]:
        """The frame rates it was tested at."""
        found = self.evaluation()
        return {rate["fps"] for rate in found["rates"]} if found else set()

    def parameters(self) -> dict[str, int]:
        """Parts of the network -> learnable parameters; empty before it was trained."""
        with suppress(UsageError):
            return read_json(self.sizes)
        return {}

    def is_done(self) -> bool:
        """Whether nothing remains to be done."""
        return self.is_trained() and {*self.cell.rates} <= self.tested_rates() and bool(self.parameters())

    def check_recipe(self) -> None:
        """Raises UsageError if the run there is of another recipe: defaults changed, or it was edited."""
        held = read_recipe(self.run.recipe).changed({"data.root": ""}, "")
        if held != self.cell.recipe:
            raise UsageError(f"{self.run.path}: is of another recipe than {self.recipe}; move it away")


@dataclass(frozen=True)
class Result:
    """What a cell scored.

    Attributes:
        metric: "accuracy" or "mAP". scores: fps -> percent. learnable: parameters before the classifier.
    """

    cell: Cell
    metric: str
    scores: dict[float, float]
    learnable: int

    @property
    def score(self) -> float:
        """At the one rate it was tested at, or the lowest."""
        return self.scores[min(self.scores)]


def read_results(cells: Iterable[Cell], output: Path) -> list[Result]:
    """The results of those cells that have any."""
    found = (read_result(CellFolder(cell, output)) for cell in cells)
    return [result for result in found if result]


def read_result(folder: CellFolder) -> Result | None:
    """What a cell scored at its rates; None before it was trained and tested."""
    found = folder.evaluation() if folder.is_trained() else None
    if not found:
        return None
    metric = "mAP" if found["multi_label"] else "accuracy"
    scores = {
        rate["fps"]: 100 * rate["metrics"][metric]
        for rate in found["rates"]
        if rate["fps"] in folder.cell.rates and rate["metrics"][metric] is not None
    }
    learnable = sum(count for part, count in folder.parameters().items() if part != _CLASSIFIER)
    return Result(folder.cell, metric, scores, learnable) if scores else None


def means_by_key(
    results: Iterable[Result], key: Callable[[Cell], Key], fps: float | None = None
) -> dict[Key, MeanStd]:
    """Mean and standard deviation over seeds and folds of the results whose cells have the same key.

    Args:
        fps: at this rate; None: at the lowest each was tested at.
    """
    groups: dict[Key, list[float]] = {}
    for result in results:
        rate = result.cell.rates[0] if fps is None else fps
        if rate in result.scores:
            groups.setdefault(key(result.cell), []).append(result.scores[rate])
    return {key: mean_and_std(values) for key, values in groups.items()}
