"""`diffres compare`: a plan -> many trained and tested models -> the paper's tables."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diffres_cli.cli import options
from diffres_cli.cli.console import print_message, print_result, print_table
from diffres_cli.cli.options import DATA, OUTPUT, RUN, option
from diffres_cli.cli.progress import ProgressBar
from diffres_cli.cli.report import SIGNALLED, report_stop
from diffres_cli.cores import available_cores
from diffres_cli.errors import SettingError, UsageError
from diffres_cli.imports import required
from diffres_cli.text import pluralize

if TYPE_CHECKING:
    from diffres_cli.comparison.cells import Cell
    from diffres_cli.comparison.plan import Plan
    from diffres_cli.comparison.run import RunOptions


@required("diffres compare", "diffres[train]")
def compare(
    plan: Annotated[
        str, typer.Argument(metavar="[PLAN]", help="A TOML file, or the name of a plan of --plans.")
    ] = "",
    output: Annotated[
        Path, option("--output", "-o", panel=RUN, metavar="OUT", help="The folder of cells and tables.")
    ] = Path("comparisons"),
    data: Annotated[
        list[str] | None,
        option(
            panel=DATA,
            metavar="NAME=DIR",
            help="A dataset's folder; again for each. [default: where it is downloaded to]",
        ),
    ] = None,
    setting: options.Set = None,
    jobs: Annotated[
        int | None,
        option(
            "--jobs",
            "-j",
            panel=RUN,
            min=0,
            help="Cells at once; 0: one after another in this process. [default: one for each device]",
        ),
    ] = None,
    devices: Annotated[
        str, option(panel=RUN, metavar="LIST", help="auto, cpu, cuda, or cuda:0,cuda:1.")
    ] = "auto",
    threads: Annotated[
        int | None, option(panel=RUN, min=1, help="Of each process. [default: cores by jobs]")
    ] = None,
    format_: Annotated[
        str, option("--format", "-f", panel=OUTPUT, help="On standard output: markdown, csv or latex.")
    ] = "markdown",
    dry_run: Annotated[
        bool,
        option("--dry-run", panel=OUTPUT, help="List the cells, their state and where data is missing."),
    ] = False,
    table_only: Annotated[
        bool, option("--table-only", panel=OUTPUT, help="Only tables, of the cells that are there.")
    ] = False,
    plans: Annotated[
        bool, option("--plans", panel=OUTPUT, help="List the plans that come with the program.")
    ] = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> int:
    """Train and test every cell of a plan, and put the results into a table in the shape of the paper's.

    Finished cells are skipped, stopped ones resume. A cell that fails is reported, and the others still run.
    The folder holds a folder for each cell, and PLAN.md, PLAN.csv and PLAN.tex; plans that share cells can
    share it.
    """
    import diffres_cli.comparison.cells  # noqa: F401 (what it needs may be missing: that comes first)
    from diffres_cli.comparison.checks import load_plan
    from diffres_cli.comparison.markup import FORMATS
    from diffres_cli.comparison.plan import read_plan, shipped_plans
    from diffres_cli.comparison.run import RunOptions
    from diffres_cli.recipes.files import parse_settings

    if plans:
        found = [(name, read_plan(name)[0]) for name in shipped_plans()]
        print_table(("name", "kind", "title"), *((name, each.kind, each.title) for name, each in found))
        return 0
    if format_ not in FORMATS:
        raise SettingError("format", format_, f"choose {', '.join(FORMATS)}")
    if not plan:
        raise UsageError("give a plan: a file, or a name that `diffres compare --plans` lists")
    workers, roots = _workers(jobs, devices, threads), _roots(data)
    chosen, cells = load_plan(plan, parse_settings(setting or []))
    if dry_run:
        _list_cells(chosen, cells, output, roots)
        return 0
    run_options = RunOptions(output, roots, devices.partition(":")[0], workers)
    code = 0 if table_only else _run(chosen, cells, run_options, quiet)
    if code > SIGNALLED:
        return code
    return _write_tables(chosen, cells, output, format_) or code


def _run(plan: Plan, cells: Sequence[Cell], options: RunOptions, quiet: bool) -> int:
    """Run the cells and report. When Ctrl-C or SIGTERM stops them, print how to resume."""
    from diffres_cli.comparison.run import PlanSummary, run_plan

    bar = ProgressBar(shown=sys.stderr.isatty() and not quiet, remaining=True)

    def log(line: str) -> None:
        bar.clear()
        if not quiet:
            print_message(line)

    summary = PlanSummary()
    try:
        with bar:
            run_plan(plan, cells, replace(options, log=log, show=bar.draw), summary)
    except (KeyboardInterrupt, SystemExit) as stop:
        return report_stop(stop, summary)
    for label, why in summary.failures.items():
        print_message(f"{label}: {why}")
    if not quiet:
        print_message(str(summary))
    return summary.exit_code


def _write_tables(plan: Plan, cells: Sequence[Cell], output: Path, form: str) -> int:
    """Every format to a file, one to standard output; 3 where there is no result at all."""
    from diffres_cli.comparison.markup import FORMATS
    from diffres_cli.comparison.report import write_report

    table = write_report(plan, cells, output)
    if table is None:
        print_message(f"no cell of {plan.name} in {output} has a result: there is no table")
        return 3
    print_result(FORMATS[form][1](table))
    return 0


def _list_cells(plan: Plan, cells: Sequence[Cell], output: Path, roots: dict[str, Path]) -> None:
    """Print each cell and its state, and on standard error why cells cannot run."""
    from diffres_cli.comparison.checks import data_faults
    from diffres_cli.comparison.folder import CellFolder
    from diffres_cli.comparison.plan import SPEED

    faults = {} if plan.kind == SPEED else data_faults(cells, roots)
    without = {label for labels in faults.values() for label in labels}
    rows = []
    for cell in cells:
        folder, rates = CellFolder(cell, output), ",".join(f"{rate:g}" for rate in cell.rates)
        todo = "no data" if cell.label in without else "to do"
        rows.append((cell.label, rates, "done" if folder.is_done() else folder.status() or todo, cell.folder))
    print_table(("cell", "fps", "state", "folder"), *rows)
    for fault, labels in faults.items():
        print_message(f"{fault} (--data NAME=DIR) [{pluralize(len(labels), 'cell')}]")


def _roots(data: list[str] | None) -> dict[str, Path]:
    from diffres_cli.datasets.catalog import find_source

    roots = {}
    for given in data or []:
        name, equals, folder = given.partition("=")
        if not equals or not folder:
            raise SettingError("data", given, "write NAME=DIR, such as esc50=/data/ESC-50")
        roots[find_source(name).name] = Path(folder).expanduser()
    return roots


def _workers(jobs: int | None, devices: str, threads: int | None) -> list[dict[str, str]]:
    """The environments of the worker processes: one per device, or `jobs`, devices in rotation."""
    from diffres_cli.comparison.run import worker_environment

    names = [name.strip() for name in devices.split(",")]
    one = devices in ("auto", "cpu", "cuda")
    if not one and not all(re.fullmatch(r"cuda:\d+", name) for name in names):
        raise SettingError("devices", devices, "choose auto, cpu, cuda, or GPUs such as cuda:0,cuda:1")
    if jobs == 0 and not one:
        raise SettingError("devices", devices, "with -j 0, in this process, choose auto, cpu or cuda")
    count = len(names) if jobs is None else jobs
    each = threads or max(1, available_cores() // max(1, count))
    return [worker_environment(names[number % len(names)], each) for number in range(count)]
