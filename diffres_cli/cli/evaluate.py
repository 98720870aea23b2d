"""`diffres eval`: how well a model does on a dataset, at each frame rate."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diffres_cli.cli import options
from diffres_cli.cli.console import emit, say
from diffres_cli.errors import MissingDependencyError, UsageError

if TYPE_CHECKING:
    from diffres_cli.evaluation.job import Request

FORMATS = ("table", "json", "csv")


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
        typer.Option("--dataset", metavar="NAME", help="See `diffres data list`.", show_default=False),
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
        int | None, typer.Option("--limit", help="Only the first so many clips.", show_default=False)
    ] = None,
    max_missing: Annotated[
        float, typer.Option("--max-missing", help="The share of clips that may be missing or unreadable.")
    ] = 0.05,
    per_class: Annotated[
        Path | None,
        typer.Option("--per-class", metavar="FILE", help="CSV of each class's scores.", show_default=False),
    ] = None,
    confusion: Annotated[
        Path | None,
        typer.Option(
            "--confusion", metavar="FILE", help=".csv, or .png, .pdf, .svg.", show_default=False
        ),
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
    raise NotImplementedError
