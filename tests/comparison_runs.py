"""Comparisons small enough for tests: plans, and cells as if they had been trained and tested."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from diffres_cli.comparison.cells import Cell, cells_of
from diffres_cli.comparison.folder import CellFolder
from diffres_cli.comparison.plan import Plan, parse_plan
from diffres_cli.evaluation.runfolder import sha256
from diffres_cli.files import parse_toml
from diffres_cli.recipes.files import to_toml

TINY = """
model.architecture = "mobilenet_v3_large"
model.width = 0.1
data.seconds = 0.5
training.epochs = 1
training.batch_size = 8
training.statistics_batches = 1
rate.per_batch = 1
optimizer.lr = 1e-3
"""


def plan_of(text: str) -> Plan:
    plan, faults = parse_plan(parse_toml(text), Path("mine.toml"))
    assert not faults
    return plan


def spread_out(text: str) -> tuple[Plan, list[Cell]]:
    """A plan and its cells."""
    plan = plan_of(text)
    return plan, cells_of(plan)


def write_result(
    cell: Cell,
    output: Path,
    scores: Mapping[float, float],
    *,
    multi_label: bool = False,
    parameters: Mapping[str, int] | None = None,
    logged: Sequence[Mapping[str, Any]] = (),
) -> None:
    """The folder of a cell that is done. scores: fps -> share; logged: rows of its log."""
    folder = CellFolder(cell, output)
    folder.prepare()
    folder.run.path.mkdir()
    (folder.run.path / "recipe.toml").write_text(to_toml(cell.recipe))
    (folder.run.path / "weights.safetensors").write_bytes(cell.key.encode())
    (folder.run.path / "run.json").write_text(
        json.dumps({"status": "finished", "sessions": [{"seconds": 60}]})
    )
    metric = "mAP" if multi_label else "accuracy"
    evaluation = {
        "sha256": sha256(folder.run.path / "weights.safetensors"),
        "multi_label": multi_label,
        "rates": [{"fps": fps, "metrics": {metric: score}} for fps, score in scores.items()],
    }
    (folder.run.path / "evaluation.json").write_text(json.dumps(evaluation))
    folder.sizes.write_text(json.dumps(parameters or {"front_end": 0, "importance": 82371, "backbone": 99}))
    for number, rows in enumerate([logged] if logged else []):
        write_log(folder.run.path, number, rows)


def write_log(run: Path, session: int, rows: Sequence[Mapping[str, Any]]) -> None:
    path = run / "logs" / str(session) / "metrics.csv"
    path.parent.mkdir(parents=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, dict.fromkeys(name for row in rows for name in row))
        writer.writeheader()
        writer.writerows(rows)
