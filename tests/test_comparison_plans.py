"""Every plan that is shipped, from its cells to its table and figure, on tiny real data.

A plan's cells are hundreds, but few are different networks: each of those is trained once, over all plans,
and each plan has some. Widths, lengths and epochs are cut down by the fields that --set would.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import dataset_trees
import pytest

from diffres_cli.comparison.cells import Cell
from diffres_cli.comparison.checks import load_plan
from diffres_cli.comparison.markup import Table
from diffres_cli.comparison.plan import SPEED, Plan, shipped_plans
from diffres_cli.comparison.report import write_report
from diffres_cli.comparison.run import PlanSummary, RunOptions, run_plan, worker_environment

TINY = {
    "model.architecture": "mobilenet_v3_large",
    "model.width": 0.1,
    "model.init": "",
    "data.seconds": 0.35,
    "data.maximum_missing": 0.5,
    "training.epochs": 1,
    "training.validate_every": 1,
    "training.batch_size": 6,
    "optimizer.warmup": 0,
}


def esc10(root: Path) -> Path:
    """ESC-50 with the clips of ESC-10's classes in two folds."""
    rows = [
        (f"{fold}-{row[5]}-A-{row[2]}.wav", fold, *row[2:])
        for row in dataset_trees.esc50_rows()
        for fold in (1, 2)
    ]
    return dataset_trees.esc50(root, rows)


TREES = {
    "audioset": dataset_trees.audioset_clips, "fsd50k": dataset_trees.fsd50k, "esc50": dataset_trees.esc50,
    "esc10": esc10, "speechcommands": dataset_trees.speech_commands,
    "nsynth": dataset_trees.nsynth, "arabic-speechcommands": dataset_trees.arabic,
}  # fmt: skip
FEWEST = 2  # cells of a plan


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("trees")
    return {name: build(root / name) for name, build in TREES.items()}


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory, one_cache: None) -> Path:
    """One folder of comparisons for all plans."""
    return tmp_path_factory.mktemp("out")


networks: set[str] = set()  # that a plan before had
trained: set[str] = set()  # the keys of cells that are in the folder by then


def few(cells: Sequence[Cell]) -> list[Cell]:
    """Cells with networks that no plan before had, those there already, and as many more as make a plan."""
    chosen = [cell for cell in cells if cell.key in trained or _is_new(cell)]
    more = [cell for cell in cells if cell not in chosen]
    chosen += more[: max(0, FEWEST - len(chosen))]
    trained.update(cell.key for cell in chosen)
    return chosen


def _is_new(cell: Cell) -> bool:
    variant, rates = cell.recipe.variant, cell.rates == (100.0,)
    network = repr((variant, cell.recipe.model.hop, cell.recipe.loss, rates))
    new = network not in networks
    networks.add(network)
    return new


@pytest.mark.parametrize("name", shipped_plans())
def test_a_shipped_plan_runs_from_end_to_end(name: str, trees: dict[str, Path], output: Path) -> None:
    plan, cells = load_plan(name, TINY)
    cells = _few_to_time(cells) if plan.kind == SPEED else few(cells)
    said: list[str] = []
    summary = PlanSummary()
    workers = [worker_environment("cpu", 1)] if plan.kind == SPEED else []  # cells share this one's torch
    run_plan(plan, cells, RunOptions(output, trees, workers=workers, log=said.append), summary)
    count = len(cells if plan.kind == SPEED else {cell.key for cell in cells})  # what is timed is timed anew
    assert (summary.failures, summary.done + summary.skipped) == ({}, count), said
    table = write_report(plan, cells, output)
    assert table
    _check(plan, table, output)


def _few_to_time(cells: Sequence[Cell]) -> list[Cell]:
    """Every front end and reduction once, and the baseline."""
    found = {
        (cell.recipe.model.front_end, cell.recipe.model.reduction, cell.baseline): cell for cell in cells
    }
    return list(found.values())


def _check(plan: Plan, table: Table, output: Path) -> None:
    assert (output / f"{plan.name}.md").read_text().startswith(f"**{plan.title}**")
    # A table with a column of differences has none where the full model is not among the few.
    assert all(any(row.values) for row in table.rows)
    differences = any(row.values[-1] for row in table.rows)
    pictured = plan.kind.startswith("figure") and (plan.kind != "figure8" or differences)
    assert {suffix for suffix in (".png", ".svg", ".pdf") if (output / f"{plan.name}{suffix}").exists()} == (
        {".png", ".svg", ".pdf"} if pictured else set()
    )
