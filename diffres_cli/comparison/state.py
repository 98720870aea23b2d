"""The folder of a cell: its recipe, its log, its run, and what of it is done."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffres_cli.comparison.cells import Cell
from diffres_cli.errors import ModelError, UsageError
from diffres_cli.evaluation.runfolder import FINISHED, RunFolder
from diffres_cli.files import make_folder, write_atomically
from diffres_cli.recipes.files import read_recipe, to_toml
from diffres_cli.recipes.recipe import Recipe

CELLS = "cells"


@dataclass(frozen=True)
class CellFolder:
    """A cell on disk."""

    path: Path

    @property
    def recipe(self) -> Path:
        """What is trained, without a place for the data."""
        return self.path / "recipe.toml"

    @property
    def run(self) -> Path:
        """The folder of the training run."""
        return self.path / "run"

    @property
    def log(self) -> Path:
        """What its processes said."""
        return self.path / "log.txt"

    @property
    def lock(self) -> Path:
        """Held by whoever works on it."""
        return self.path / ".lock"

    @property
    def sizes(self) -> Path:
        """How many parameters each part of its network has."""
        return self.path / "parameters.json"

    def prepare(self, cell: Cell) -> None:
        """Make the folder, with the recipe in it.

        Raises:
            OutputError: it cannot be written.
        """
        make_folder(self.path)
        text = to_toml(cell.recipe).encode()
        if not self.recipe.exists() or self.recipe.read_bytes() != text:
            write_atomically(self.recipe, text)

    def facts(self) -> dict[str, Any]:
        """What run.json says; nothing before there is a run."""
        return RunFolder(self.run).known_facts()

    def trained(self) -> bool:
        """Whether its run is finished."""
        return self.facts().get("status") == FINISHED

    def evaluation(self) -> dict[str, Any] | None:
        """What its network scored; None before it was tested."""
        try:
            return RunFolder(self.run).read_evaluation()
        except ModelError:  # damaged, or of an older network: to be tested again
            return None

    def missing_rates(self, rates: Iterable[float]) -> tuple[float, ...]:
        """Those of some frame rates at which it was not tested."""
        found = self.evaluation()
        tested = {rate["fps"] for rate in found["rates"]} if found else set()
        return tuple(rate for rate in rates if rate not in tested)

    def parameters(self) -> dict[str, int]:
        """Parts of the network -> learnable parameters; empty before it was trained."""
        try:
            held: dict[str, int] = json.loads(self.sizes.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return held

    def done(self, rates: Iterable[float]) -> bool:
        """Whether nothing remains to be done."""
        return self.trained() and not self.missing_rates(rates) and bool(self.parameters())

    def refuse_other_recipe(self, recipe: Recipe) -> None:
        """Raises UsageError if the run there is of another recipe: defaults changed, or it was edited."""
        held = read_recipe(RunFolder(self.run).recipe).changed({"data.root": ""}, "")
        if held != recipe:
            raise UsageError(f"{self.run}: is of another recipe than {self.recipe}; move it away")


def folder_of(cell: Cell, output: Path) -> CellFolder:
    """Where a cell lies in a folder of comparisons."""
    return CellFolder(output / CELLS / cell.folder)
