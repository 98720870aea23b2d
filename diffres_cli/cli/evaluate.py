"""`diffres eval`: how well a model does on a dataset, at each frame rate."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from diffres_cli.cli import options
from diffres_cli.cli.console import say
from diffres_cli.cli.livebar import LiveBar
from diffres_cli.errors import OutputError, UsageError
from diffres_cli.files import write_atomically
from diffres_cli.imports import required
from diffres_cli.outputs.sink import open_sink

if TYPE_CHECKING:
    from diffres_cli.evaluation.result import Evaluation
    from diffres_cli.evaluation.subjects import Request, Subject

_SUFFIXES = {".txt": "table", ".json": "json", ".csv": "csv"}
_SHOWN = 5


@required("diffres eval", "diffres[train]")
def evaluate(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="Folders of training runs, for folds or seeds: dataset, split and fold are their recipes'.",
            show_default=False,
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset",
            metavar="NAME",
            help="See `diffres data list`; or package.module:NAME.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="DIR",
            help="The dataset's folder. [default: where it is downloaded to]",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            help="A name, hf:ORG/NAME, folder or file; again for each seed. [default: the run's]",
            show_default=False,
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            "--split", metavar="NAME", help="Or all. [default: test, or every fold]", show_default=False
        ),
    ] = None,
    fold: Annotated[
        str | None,
        typer.Option("--fold", metavar="N|all", help="Of a dataset with folds.", show_default=False),
    ] = None,
    fps: Annotated[
        str | None,
        typer.Option(
            "--fps",
            metavar="LIST",
            help="Frame rates. [default: of 25,50,75,100 those the model serves]",
            show_default=False,
        ),
    ] = None,
    map_: Annotated[
        Path | None,
        typer.Option(
            "--map",
            metavar="FILE",
            help="CSV of label,model_label, for a model with other labels.",
            show_default=False,
        ),
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option("--backend", help="onnx or torch. [default: by the file]", show_default=False),
    ] = None,
    device: options.Device = "auto",
    batch_size: Annotated[int, typer.Option("--batch-size", help="Clips of one length at once.")] = 8,
    limit: Annotated[
        int | None, typer.Option("--limit", help="Only so many clips, evenly spread.", show_default=False)
    ] = None,
    max_missing: Annotated[
        float | None,
        typer.Option(
            "--max-missing",
            metavar="SHARE",
            help="Of clips that may be missing or unreadable. [default: the run's, or 0.05]",
            show_default=False,
        ),
    ] = None,
    per_class: Annotated[
        Path | None,
        typer.Option("--per-class", metavar="FILE", help="CSV of each class's scores.", show_default=False),
    ] = None,
    confusion: Annotated[
        Path | None,
        typer.Option("--confusion", metavar="FILE", help=".csv, or .png, .pdf, .svg.", show_default=False),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", metavar="FILE", help="Metric and time by rate: .png, .pdf, .svg.", show_default=False
        ),
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format", "-f", help="table, json or csv. [default: by -o, or table]", show_default=False
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Not to standard output.")
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
    _refuse_early(output, per_class, confusion, plot)
    import diffres_cli.evaluation.job  # noqa: F401 (what it needs may be missing: that comes first)
    from diffres_cli.evaluation import report
    from diffres_cli.evaluation.provenance import facts
    from diffres_cli.evaluation.subjects import Request, subjects

    request = Request(
        tuple(runs or ()), tuple(model or ()), dataset, data, split, fold, _rates(fps), map_,
        _checked_backend(backend), device, batch_size, limit, max_missing, offline,
    )  # fmt: skip
    tested = subjects(request)
    if confusion and tested[0].dataset.multi_label:
        raise UsageError(f"--confusion: clips of {tested[0].dataset.name} may have several labels")
    if not quiet:
        _warn_of_training(tested)
    provenance = facts()
    found = _evaluate(request, tested, provenance, quiet)
    texts = {
        "table": lambda: report.table(found),
        "csv": lambda: report.as_csv(found),
        "json": lambda: report.as_json(found, provenance),
    }
    with open_sink(output) as sink:
        sink.write(texts[form]())
    _write_others(found, per_class, confusion, plot)


def _evaluate(
    request: Request, tested: Sequence[Subject], provenance: dict[str, Any], quiet: bool
) -> list[Evaluation]:
    """Test the subjects; a run's own result is kept as soon as it is there."""
    from diffres_cli.evaluation.job import evaluate_all
    from diffres_cli.evaluation.runs import write_evaluation

    found = []
    bar = LiveBar(shown=sys.stderr.isatty() and not quiet, remaining=True)
    with bar:
        for subject, evaluation in zip(tested, evaluate_all(request, tested, bar.draw), strict=True):
            found.append(evaluation)
            if subject.run:
                write_evaluation(subject.run, provenance | evaluation.plain())
            bar.clear(anew=True)
            if not quiet:
                _warn(subject, evaluation)
    return found


def _warn_of_training(tested: Sequence[Subject]) -> None:
    """Say in a line which models know the clips they are tested on."""
    known: dict[str, dict[str, None]] = {}
    for subject in tested:
        if subject.trained:
            known.setdefault(subject.name, {}).update(dict.fromkeys(subject.trained))
    if known:
        told = "; ".join(f"{name} was trained on {', '.join(splits)}" for name, splits in known.items())
        say(f"warning: {told}: these are not held-out figures")


def _warn(subject: Subject, evaluation: Evaluation) -> None:
    """Say what was not heard, and where a result went or why it did not."""
    dataset = subject.dataset
    if missing := len(evaluation.missing):
        total = missing + len(dataset.of(*subject.splits))
        say(
            f"warning: {missing} of {total} clips of {dataset.name} {','.join(subject.splits)} are missing: "
            f"see `{subject.check}`"
        )
    for name, why in list(evaluation.undecodable.items())[:_SHOWN]:
        say(f"warning: {name}: {why}")
    if len(evaluation.undecodable) > _SHOWN:
        say(f"warning: {len(evaluation.undecodable)} clips of {dataset.name} cannot be decoded")
    if subject.run:
        say(f"kept in {subject.run.evaluation}")


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
    found = [options.frame_rate(part.strip()) for part in text.split(",")] if text is not None else []
    return tuple(rate for rate in found if rate is not None)


def _checked_backend(backend: str | None) -> str | None:
    if backend not in (None, "onnx", "torch"):
        raise UsageError(f"--backend {backend}: choose onnx or torch")
    return backend


def _chosen_format(format_: str | None, output: Path | None) -> str:
    if format_ is None:
        suffix = output.suffix.lower() if output else ""
        if suffix not in ("", *_SUFFIXES):
            raise UsageError(f"--output {output}: choose a suffix of {', '.join(_SUFFIXES)}, or give -f")
        return _SUFFIXES.get(suffix, "table")
    if format_ not in _SUFFIXES.values():
        raise UsageError(f"--format {format_}: choose {', '.join(_SUFFIXES.values())}")
    return format_


def _refuse_early(*outputs: Path | None) -> None:
    """Refuse what could not be written, before hours of work."""
    from diffres_cli.figure.write import check_suffix

    _, _, confusion, plot = outputs
    for picture in (plot, confusion if confusion and confusion.suffix != ".csv" else None):
        if picture:
            check_suffix(picture)
    for path in outputs:
        if path and not path.absolute().parent.is_dir():
            raise OutputError(f"cannot write {path}: there is no folder {path.parent}")
