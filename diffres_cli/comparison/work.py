"""One cell: trained, or its training resumed, then tested.

A cell's lock is taken first: a process that outlives a killed parent for a moment, or that of another
comparison, is waited for.
"""

from __future__ import annotations

import multiprocessing
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from traceback import print_exc

from diffres_cli.comparison.cells import Cell
from diffres_cli.comparison.folder import CellFolder
from diffres_cli.errors import DiffresError, OutputError
from diffres_cli.files import reason, write_json
from diffres_cli.imports import required
from diffres_cli.locks import locked
from diffres_cli.pool import Report


def run_cell(output: Path, roots: Mapping[str, Path], device: str, cell: Cell, report: Report) -> str:
    """Run the unfinished steps of a cell. Returns why that failed, "" if it succeeded.

    Args:
        output: the folder of comparisons. roots: dataset -> its folder; others lie in the usual place.
        device: auto, cpu or cuda. report: called with the current step.

    Raises:
        SystemExit: the process received a signal to stop.
    """
    folder, root = CellFolder(cell, output), roots.get(cell.recipe.data.dataset)

    def work() -> None:
        with locked(folder.lock):
            report("training")
            if not folder.is_trained():
                _train(folder, root, device, report)
            if not folder.parameters():
                _count_parameters(folder)
            if not folder.is_done():
                _evaluate(folder, root, device)

    report("waiting for its lock")
    return failure_of(work, folder.log)


def failure_of(work: Callable[[], None], log: Path) -> str:
    """Run `work` with its standard error in a file. Returns why it failed, "" if it succeeded."""
    with _logging_to(log):
        try:
            with required("diffres compare", "diffres[train]"):
                work()
        except DiffresError as error:
            if isinstance(error.__cause__, SystemExit):  # what training makes of SIGTERM
                raise SystemExit(128 + signal.SIGTERM) from error
            _log(f"diffres: {error}")
            return str(error)
        except Exception as error:
            print_exc()
            return f"{type(error).__name__}: {error}".splitlines()[0]
    return ""


def _train(folder: CellFolder, root: Path | None, device: str, report: Report) -> None:
    from diffres_cli.training import fit
    from diffres_cli.training.callbacks import Reporter
    from diffres_cli.training.launch import Hardware

    def report_epoch(epoch: int, metrics: Mapping[str, float]) -> None:
        report(f"epoch {epoch}")
        shown = (f"{name.removeprefix('validation/')} {metrics[name]:.4f}" for name in metrics if "@" in name)
        _log(f"epoch {epoch}: {', '.join(shown)}")

    hardware, reporter = Hardware(device), Reporter(report_epoch, _log)
    path = folder.run.path
    if folder.run.facts.exists():
        folder.check_recipe()
        command = ["diffres", "train", "--resume", str(path)]
        fit.resume(path, command, hardware, reporter, root)
        return
    shutil.rmtree(path, ignore_errors=True)  # it was killed before it began
    recipe = folder.cell.recipe.changed({"data.root": str(root or "")}, "")
    command = ["diffres", "train", "--recipe", str(folder.recipe), "-o", str(path)]
    fit.train(recipe, path, command, hardware, reporter)


def _count_parameters(folder: CellFolder) -> None:
    from diffres_cli.nn.weights import load_network

    network = load_network(folder.run.weights, folder.cell.recipe.model.import_paths)
    sizes = {name: sum(p.numel() for p in part.parameters()) for name, part in network.named_children()}
    write_json(folder.sizes, sizes)


def _evaluate(folder: CellFolder, root: Path | None, device: str) -> None:
    """Test it at its rates, and those it was tested at before."""
    from diffres_cli.evaluation.evaluate import evaluate_all
    from diffres_cli.evaluation.provenance import environment
    from diffres_cli.evaluation.tasks import EvalRequest, eval_tasks

    rates = tuple(sorted({*folder.cell.rates, *folder.tested_rates()}))
    request = EvalRequest((folder.run.path,), root=root, fps=rates, device=device, offline=True)
    command = ["diffres", "eval", "--fps", ",".join(f"{rate:g}" for rate in rates), str(folder.run.path)]
    tasks = eval_tasks(request)
    for task, evaluation in zip(tasks, evaluate_all(request, tasks), strict=True):
        if task.run:
            task.run.write_evaluation(environment(shlex.join(command)) | evaluation.plain())


@contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Send standard error to a file; in a worker process, also what native libraries print."""
    try:
        log = path.open("a", encoding="utf-8", buffering=1)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {reason(error)}") from error
    with log, redirect_stderr(log):
        if multiprocessing.parent_process() is not None:
            multiprocessing.current_process().daemon = False  # clips are decoded in processes of its own
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        yield


def _log(message: str) -> None:
    print(message, file=sys.stderr)
