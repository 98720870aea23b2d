"""`diffres eval`: how well a model does on a dataset, at each frame rate."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from diffres_cli.cli import options
from diffres_cli.cli.console import command_line, print_message
from diffres_cli.cli.options import DATA, MODEL, OUTPUT, option
from diffres_cli.cli.progress import ProgressBar
from diffres_cli.errors import OutputError, SettingError
from diffres_cli.files import write_atomically
from diffres_cli.imports import required
from diffres_cli.outputs.sink import open_sink

if TYPE_CHECKING:
    from diffres_cli.evaluation.result import Evaluation
    from diffres_cli.evaluation.tasks import EvalRequest, EvalTask

_SUFFIXES = {".txt": "table", ".json": "json", ".csv": "csv"}
_SHOWN = 5


@required("diffres eval", "diffres[train]")
def evaluate(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="Folders of training runs, for folds or seeds: dataset, split and fold are their recipes'.",
        ),
    ] = None,
    dataset: options.Dataset = None,
    data: options.Data = None,
    split: Annotated[
        str | None, option(panel=DATA, metavar="NAME", help="Or all. [default: test, or every fold]")
    ] = None,
    fold: Annotated[str | None, option(panel=DATA, metavar="N|all", help="Of a dataset with folds.")] = None,
    map_: Annotated[
        Path | None,
        option(
            "--map",
            panel=DATA,
            metavar="FILE",
            help="CSV of label,model_label, for a model with other labels.",
        ),
    ] = None,
    limit: Annotated[int | None, option(panel=DATA, help="Only so many clips, evenly spread.")] = None,
    max_missing: Annotated[
        float | None,
        option(
            panel=DATA,
            metavar="SHARE",
            help="Of clips that may be missing or unreadable. [default: the run's, or 0.05]",
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        option(
            "--model",
            "-m",
            panel=MODEL,
            help="A name, hf:ORG/NAME, folder or file; again for each seed. [default: the run's]",
        ),
    ] = None,
    fps: Annotated[
        str | None,
        option(
            panel=MODEL, metavar="LIST", help="Frame rates. [default: of 25,50,75,100 those the model serves]"
        ),
    ] = None,
    device: options.Device = "auto",
    backend: Annotated[str | None, option(panel=MODEL, help="onnx or torch. [default: by the file]")] = None,
    batch_size: Annotated[int, option(panel=MODEL, help="Clips of one length at once.")] = 8,
    format_: Annotated[
        str | None,
        option("--format", "-f", panel=OUTPUT, help="table, json or csv. [default: by -o, or table]"),
    ] = None,
    output: Annotated[
        Path | None, option("--output", "-o", panel=OUTPUT, metavar="FILE", help="Not to standard output.")
    ] = None,
    per_class: Annotated[
        Path | None, option(panel=OUTPUT, metavar="FILE", help="CSV of each class's scores.")
    ] = None,
    confusion: Annotated[
        Path | None, option(panel=OUTPUT, metavar="FILE", help=".csv, or .png, .pdf, .svg.")
    ] = None,
    plot: Annotated[
        Path | None, option(panel=OUTPUT, metavar="FILE", help="Metric and time by rate: .png, .pdf, .svg.")
    ] = None,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Measure a model on a dataset at each frame rate: mAP, AUC, d', accuracy, and the time a clip takes.

    Several models, runs or folds give mean ± standard deviation. What a run scores on its own test split
    is also written to RUN/evaluation.json, which `diffres export RUN` puts on the model's card.
    """
    form = _chosen_format(format_, output)
    _check_outputs(output, per_class, confusion, plot)
    if backend not in (None, "onnx", "torch"):
        raise SettingError("backend", backend, "choose onnx or torch")
    import diffres_cli.evaluation.evaluate  # noqa: F401 (what it needs may be missing: that comes first)
    from diffres_cli.evaluation import report
    from diffres_cli.evaluation.provenance import environment
    from diffres_cli.evaluation.tasks import EvalRequest, eval_tasks

    request = EvalRequest(
        tuple(runs or ()), tuple(model or ()), dataset, data, split, fold, _rates(fps), map_, backend, device,
        batch_size, limit, max_missing, offline,
    )  # fmt: skip
    tasks = eval_tasks(request)
    if confusion and tasks[0].dataset.multi_label:
        name = tasks[0].dataset.name
        raise SettingError("confusion", "", f"clips of {name} may have several labels")
    if not quiet:
        _warn_of_training(tasks)
    provenance = environment(shlex.join(command_line()))
    found = _evaluate(request, tasks, provenance, quiet)
    texts = {
        "table": lambda: report.as_table(found),
        "csv": lambda: report.as_csv(found),
        "json": lambda: report.as_json(found, provenance),
    }
    with open_sink(output) as sink:
        sink.write(texts[form]())
    _write_others(found, per_class, confusion, plot)


def _evaluate(
    request: EvalRequest, tasks: Sequence[EvalTask], provenance: dict[str, Any], quiet: bool
) -> list[Evaluation]:
    """Carry out the tasks; a run's own result is kept as soon as it is there."""
    from diffres_cli.evaluation.evaluate import evaluate_all

    found = []
    with ProgressBar(shown=sys.stderr.isatty() and not quiet, remaining=True) as bar:
        for task, evaluation in zip(tasks, evaluate_all(request, tasks, bar.draw), strict=True):
            found.append(evaluation)
            if task.run:
                task.run.write_evaluation(provenance | evaluation.plain())
            bar.clear(restart=True)
            if not quiet:
                _report(task, evaluation)
    return found


def _warn_of_training(tasks: Sequence[EvalTask]) -> None:
    """Print a warning about models that were trained on the clips they are evaluated on."""
    known: dict[str, dict[str, None]] = {}
    for task in tasks:
        if task.trained:
            known.setdefault(task.name, {}).update(dict.fromkeys(task.trained))
    if known:
        trained = "; ".join(f"{name} was trained on {', '.join(splits)}" for name, splits in known.items())
        print_message(f"warning: {trained}: these are not held-out figures")


def _report(task: EvalTask, evaluation: Evaluation) -> None:
    """Print which clips could not be used, and where the run's result is stored."""
    dataset, undecodable = task.dataset, evaluation.undecodable
    if missing := len(evaluation.missing):
        total = missing + len(dataset.clips_of(*task.splits))
        print_message(
            f"warning: {missing} of {total} clips of {dataset.name} {','.join(task.splits)} are missing: "
            f"see `{dataset.check_command(task.root)}`"
        )
    for name, why in list(undecodable.items())[:_SHOWN]:
        print_message(f"warning: {name}: {why}")
    if len(undecodable) > _SHOWN:
        print_message(f"warning: {len(undecodable)} clips of {dataset.name} cannot be decoded")
    if task.run:
        print_message(f"kept in {task.run.evaluation}")


def _write_others(
    found: Sequence[Evaluation], per_class: Path | None, confusion: Path | None, plot: Path | None
) -> None:
    from diffres_cli.evaluation import report

    if per_class:
        write_atomically(per_class, report.per_class_csv(found).encode())
    if confusion and confusion.suffix == ".csv":
        write_atomically(confusion, report.confusion_csv(found).encode())
    elif confusion:
        from diffres_cli.evaluation.plot import plot_confusions

        plot_confusions(found, confusion)
    if plot:
        from diffres_cli.evaluation.plot import plot_rates

        plot_rates(found, plot)


def _rates(text: str | None) -> tuple[float, ...]:
    found = [options.parse_fps(part.strip()) for part in text.split(",")] if text is not None else []
    return tuple(rate for rate in found if rate is not None)


def _chosen_format(format_: str | None, output: Path | None) -> str:
    if format_ is None:
        suffix = output.suffix.lower() if output else ".txt"
        if suffix and suffix not in _SUFFIXES:
            raise SettingError("output", output, f"choose a suffix of {', '.join(_SUFFIXES)}, or give -f")
        return _SUFFIXES.get(suffix, "table")
    if format_ not in _SUFFIXES.values():
        raise SettingError("format", format_, f"choose {', '.join(_SUFFIXES.values())}")
    return format_


def _check_outputs(output: Path | None, *others: Path | None) -> None:
    """Refuse what could not be written, before hours of work."""
    from diffres_cli.figure import check_picture

    _, confusion, plot = others
    for picture in (plot, confusion if confusion and confusion.suffix != ".csv" else None):
        if picture:
            check_picture(picture)
    for path in (output, *others):
        if path and not path.absolute().parent.is_dir():
            raise OutputError(f"cannot write {path}: there is no folder {path.parent}")
