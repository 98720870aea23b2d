"""A plan, run: checked against the data, told what changed, trained and tested or measured."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from diffres_cli.comparison.cells import Cell
from diffres_cli.comparison.checks import check_data
from diffres_cli.comparison.plan import SPEED, Plan, count_of
from diffres_cli.comparison.run import Job, Summary, run_cells
from diffres_cli.comparison.speed import measure_all
from diffres_cli.errors import UsageError
from diffres_cli.files import make_folder, read_json, write_json

_SHOWN = 3


def run_plan(plan: Plan, cells: Sequence[Cell], job: Job, summary: Summary) -> None:
    """Do what remains to be done of a plan.

    Raises:
        UsageError: data is not there, or has not the splits that the cells need. OutputError: a folder or
            file cannot be written.
    """
    if plan.kind != SPEED:
        check_data(cells, job.roots, plan.name)
    make_folder(job.output)
    if changed := remember(plan.name, cells, job.output):
        more = f", and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
        job.say(
            f"{count_of(len(changed), 'cell')} changed since the last run, to be made anew: "
            f"{', '.join(changed[:_SHOWN])}{more}"
        )
    if plan.kind == SPEED:
        measure_all(plan, cells, job, summary)
    else:
        run_cells(cells, job, summary)


def remember(name: str, cells: Sequence[Cell], output: Path) -> list[str]:
    """Note which recipes a plan's cells have, and tell which had another when it ran here the last time.

    Raises:
        OutputError: the note cannot be written.
    """
    path = output / f"{name}.json"
    held: dict[str, str] = {}
    with suppress(UsageError):
        held = read_json(path)
    now = {cell.label: cell.key for cell in cells}
    if now != held:
        write_json(path, now)
    return [label for label, key in now.items() if held.get(label, key) != key]
