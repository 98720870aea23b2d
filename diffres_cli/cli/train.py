"""`diffres train`: a recipe and a dataset -> a run folder; killed, it goes on with --resume."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from diffres_cli.cli import options
from diffres_cli.cli.console import emit, say
from diffres_cli.errors import DiffresError, UsageError
from diffres_cli.imports import required

if TYPE_CHECKING:
    from diffres_cli.recipes.recipe import Recipe

_RUN = "_DIFFRES_RUN"  # tells the processes Lightning starts for further devices which folder it is


@required("diffres train", "diffres[train]")
def train(
    dataset: Annotated[
        str,
        typer.Option(
            "--dataset",
            metavar="NAME",
            help="See `diffres data list`; or package.module:NAME.",
            show_default=False,
        ),
    ] = "",
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="DIR",
            help="Its folder. [default: where it is downloaded to]",
            show_default=False,
        ),
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(
            "--recipe", metavar="FILE", help="A TOML file. [default: the dataset's own]", show_default=False
        ),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="FIELD=VALUE",
            help="Any field, such as optimizer.lr=1e-3; may be repeated.",
            show_default=False,
        ),
    ] = None,
    fps: Annotated[
        str,
        typer.Option(
            "--fps",
            metavar="N or N-M",
            help="One frame rate, or a range. [default: the recipe's]",
            show_default=False,
        ),
    ] = "",
    epochs: Annotated[
        int | None, typer.Option("--epochs", help="[default: the recipe's]", show_default=False)
    ] = None,
    init: Annotated[
        str,
        typer.Option(
            "--init",
            metavar="MODEL",
            help="Start from a model's weights, or from imagenet.",
            show_default=False,
        ),
    ] = "",
    soft_labels: Annotated[
        Path | None,
        typer.Option(
            "--soft-labels",
            metavar="PATH",
            help="Train against probabilities: a table, or a folder of tables beside their audio.",
            show_default=False,
        ),
    ] = None,
    fold: Annotated[
        int | None,
        typer.Option("--fold", help="The fold to hold out, where a dataset has folds.", show_default=False),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="[default: the recipe's]", show_default=False)
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="RUN",
            help="A new folder. [default: runs/DATASET-TIME]",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            "--resume", metavar="RUN", help="Go on with a run that was stopped.", show_default=False
        ),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
    devices: Annotated[int, typer.Option("--devices", min=1, help="How many, on each machine.")] = 1,
    nodes: Annotated[int, typer.Option("--nodes", min=1, help="How many machines.")] = 1,
    show: Annotated[bool, typer.Option("--show", help="Print the recipe in effect, and do nothing.")] = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Train a tagger that serves any frame rate, or go on with a run that was stopped.

    The run folder holds the recipe, the best network (weights.safetensors), the last checkpoint, logs, and
    what is needed to repeat it. `diffres eval RUN` tests it, `diffres export RUN -o FOLDER` makes it ready
    to ship.
    """
    from diffres_cli.recipes.files import to_toml
    from diffres_cli.training import fit
    from diffres_cli.training.launch import is_main
    from diffres_cli.training.trainer import Listener, Place

    fields = _fields(dataset, data, setting, fps, epochs, init, soft_labels, fold, seed)
    if resume and (fields.keys() - {"data.root"} or recipe or output):
        raise UsageError(f"--resume {resume}: takes its recipe from the run; leave the other options out")
    place = Place(_device(device), devices, nodes)
    if nodes > 1 and not (output or resume):
        raise UsageError(f"--nodes {nodes}: name the run folder with -o, one that all of them see")
    quiet = quiet or not is_main()
    listener = Listener(
        _teller(quiet), _progress(quiet), _notes(quiet), bar=sys.stderr.isatty() and not quiet
    )
    chosen = None if resume else _recipe(recipe, dataset, fields)
    if chosen and show:
        emit(to_toml(chosen))
        return
    try:
        if chosen:
            folder = fit.train(chosen, _folder(output, chosen), place, listener)
        else:
            folder = fit.resume(resume or Path(), place, listener, data.resolve() if data else None)
    except DiffresError as error:
        if is_main():
            raise
        raise SystemExit(error.exit_code) from error  # the main process says it
    if is_main():
        emit(f"{folder.path}\n")


def _fields(
    dataset: str, data: Path | None, setting: list[str] | None, fps: str, epochs: int | None, init: str,
    soft_labels: Path | None, fold: int | None, seed: int | None,
) -> dict[str, Any]:  # fmt: skip
    """What was asked for, as fields of a recipe: each option is the shorter way to say a --set."""
    from diffres_cli.recipes.files import parse_settings

    given = {
        "data.dataset": dataset or None,
        "data.root": str(data.resolve()) if data else None,
        "data.fold": fold,
        "data.soft_labels": str(soft_labels.resolve()) if soft_labels else None,
        "model.init": str(Path(init).resolve()) if init and Path(init).exists() else init or None,
        "training.epochs": epochs,
        "training.seed": seed,
    }
    return (
        {name: value for name, value in given.items() if value is not None}
        | _rates(fps)
        | parse_settings(setting or [])
    )


def _rates(fps: str) -> dict[str, Any]:
    """--fps 25, or --fps 15-100, as fields."""
    from diffres_cli.recipes.files import rate_fields

    if not fps:
        return {}
    first, dash, last = fps.partition("-")
    try:
        low, high = float(first), float(last if dash else first)
    except ValueError:
        raise UsageError(f"--fps {fps}: give one rate, such as 25, or a range, such as 15-100") from None
    if not 0 < low <= high:
        raise UsageError(f"--fps {fps}: must lie above 0, the lower rate first")
    return rate_fields(low, high)


def _recipe(path: Path | None, dataset: str, fields: dict[str, Any]) -> Recipe:
    from diffres_cli.recipes.files import completed, read_recipe, recipe_for
    from diffres_cli.recipes.rules import checked
    from diffres_cli.training.start import inherited_fields

    default = dataset or ("soft-labels" if "data.soft_labels" in fields else "")
    recipe = read_recipe(path) if path else recipe_for(default)
    transfer = str(fields.get("model.transfer", recipe.model.transfer))
    inherited = inherited_fields(str(fields.get("model.init", "")), transfer)
    return checked(completed(recipe.changed({**inherited, **fields}, "--set")))


def _folder(output: Path | None, recipe: Recipe) -> Path:
    from diffres_cli.training.launch import is_main

    if not is_main() and _RUN in os.environ:
        return Path(os.environ[_RUN])
    time = datetime.now().strftime("%Y%m%d-%H%M%S")
    name = recipe.data.dataset.replace(":", ".") or "soft-labels"
    folder = output or Path("runs") / f"{name}-{time}"
    os.environ[_RUN] = str(folder.absolute())
    return folder


def _device(device: str) -> str:
    if device not in ("auto", "cpu", "cuda"):
        raise UsageError(f"--device {device}: choose auto, cpu or cuda")
    return device


def _teller(quiet: bool) -> Any:
    def tell(epoch: int, values: dict[str, float]) -> None:
        if not quiet:
            shown = {
                name.removeprefix("validation/"): value
                for name, value in values.items()
                if name.startswith("validation/")
            }
            main = "accuracy@" if any(name.startswith("accuracy@") for name in shown) else "mAP@"
            best = {name: value for name, value in shown.items() if name.startswith(main)}
            rates = ", ".join(f"{name.replace('@', ' at ')} fps {value:.4f}" for name, value in best.items())
            say(f"epoch {epoch}: loss {shown['loss']:.4f}, {rates}")

    return tell


def _progress(quiet: bool) -> Any:
    told: dict[str, int] = {}

    def progress(split: str, done: int, of: int) -> None:
        tenth = 10 * done // max(1, of)
        if not quiet and of and tenth > told.get(split, 0):
            told[split] = tenth
            say(f"decoding the {split} clips: {done} of {of}")

    return progress


def _notes(quiet: bool) -> Any:
    return (lambda message: None) if quiet else say
