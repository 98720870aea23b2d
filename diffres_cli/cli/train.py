"""`diffres train`: a recipe and a dataset -> a run folder; --resume resumes one that was stopped."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from diffres_cli.cli import options
from diffres_cli.cli.console import command_line, print_message, print_result
from diffres_cli.cli.options import DATA, MODEL, RUN, TRAINING, option
from diffres_cli.errors import DiffresError, SettingError, UsageError
from diffres_cli.imports import required

if TYPE_CHECKING:
    from diffres_cli.recipes.recipe import Recipe
    from diffres_cli.training.callbacks import Reporter

_RUN = "_DIFFRES_RUN"  # tells the processes Lightning starts for further devices which folder it is


@required("diffres train", "diffres[train]")
def train(
    dataset: options.Dataset = None,
    data: options.Data = None,
    soft_labels: Annotated[
        Path | None,
        option(
            panel=DATA,
            metavar="PATH",
            help="Train against probabilities: a table, or a folder of tables next to their audio.",
        ),
    ] = None,
    fold: Annotated[
        int | None, option(panel=DATA, help="The fold to hold out, where a dataset has folds.")
    ] = None,
    recipe: Annotated[
        Path | None, option(panel=TRAINING, metavar="FILE", help="A TOML file. [default: the dataset's own]")
    ] = None,
    setting: options.Set = None,
    fps: Annotated[
        str,
        option(
            panel=TRAINING, metavar="N or N-M", help="One frame rate, or a range. [default: the recipe's]"
        ),
    ] = "",
    epochs: Annotated[int | None, option(panel=TRAINING, help="[default: the recipe's]")] = None,
    seed: Annotated[int | None, option(panel=TRAINING, help="[default: the recipe's]")] = None,
    init: Annotated[
        str,
        option(
            panel=TRAINING, metavar="MODEL", help="Start from a model's weights, or from imagenet or lite0."
        ),
    ] = "",
    output: Annotated[
        Path | None,
        option("--output", "-o", panel=RUN, metavar="RUN", help="A new folder. [default: runs/DATASET-TIME]"),
    ] = None,
    resume: Annotated[
        Path | None, option(panel=RUN, metavar="RUN", help="Resume a run that was stopped.")
    ] = None,
    show: Annotated[
        bool, option("--show", panel=RUN, help="Print the recipe in effect, and do nothing.")
    ] = False,
    device: options.Device = "auto",
    devices: Annotated[int, option(panel=MODEL, min=1, help="How many, on each machine.")] = 1,
    nodes: Annotated[int, option(panel=MODEL, min=1, help="How many machines.")] = 1,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Train a tagger that serves any frame rate, or resume a run that was stopped.

    The run folder holds the recipe, the best network (weights.safetensors), the last checkpoint, logs, and
    what is needed to repeat it. `diffres eval RUN` tests it, `diffres export RUN -o FOLDER` makes it ready
    to ship.
    """
    from diffres_cli.recipes.files import to_toml
    from diffres_cli.training import fit
    from diffres_cli.training.launch import Hardware, is_main_process

    fields = _fields(dataset, data, setting, fps, epochs, init, soft_labels, fold, seed)
    if resume and (fields.keys() - {"data.root"} or recipe or output):
        raise UsageError(f"--resume {resume}: takes its recipe from the run; leave the other options out")
    hardware = Hardware(_device(device), devices, nodes)
    if nodes > 1 and not (output or resume):
        raise UsageError(f"--nodes {nodes}: name the run folder with -o, one that all of them see")
    reporter = _reporter(quiet or not is_main_process())
    chosen = None if resume else _recipe(recipe, dataset, fields)
    if chosen and show:
        print_result(to_toml(chosen))
        return
    try:
        if chosen:
            folder = fit.train(chosen, _folder(output, chosen), command_line(), hardware, reporter)
        else:
            folder = fit.resume(
                resume or Path(), command_line(), hardware, reporter, data.resolve() if data else None
            )
    except DiffresError as error:
        if is_main_process():
            raise
        raise SystemExit(error.exit_code) from error  # the main process reports it
    if is_main_process():
        print_result(f"{folder.path}\n")


def _fields(
    dataset: str | None, data: Path | None, setting: list[str] | None, fps: str, epochs: int | None,
    init: str, soft_labels: Path | None, fold: int | None, seed: int | None,
) -> dict[str, Any]:  # fmt: skip
    """What was asked for, as fields of a recipe: each option is short for a --set."""
    from diffres_cli.recipes.files import parse_settings

    given = {
        "data.dataset": dataset,
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
        raise SettingError("fps", fps, "give one rate, such as 25, or a range, such as 15-100") from None
    if not 0 < low <= high:
        raise SettingError("fps", fps, "must be above 0, the lower rate first")
    return rate_fields(low, high)


def _recipe(path: Path | None, dataset: str | None, fields: dict[str, Any]) -> Recipe:
    from diffres_cli.recipes.files import completed, read_recipe, recipe_for
    from diffres_cli.recipes.rules import checked
    from diffres_cli.training.start import inherited_fields

    default = dataset or ("soft-labels" if "data.soft_labels" in fields else "")
    recipe = read_recipe(path) if path else recipe_for(default)
    transfer = str(fields.get("model.transfer", recipe.model.transfer))
    inherited = inherited_fields(str(fields.get("model.init", "")), transfer)
    return checked(completed(recipe.changed({**inherited, **fields}, "--set")))


def _folder(output: Path | None, recipe: Recipe) -> Path:
    from diffres_cli.training.launch import is_main_process

    if not is_main_process() and _RUN in os.environ:
        return Path(os.environ[_RUN])
    time = datetime.now().strftime("%Y%m%d-%H%M%S")
    name = recipe.data.dataset.replace(":", ".") or "soft-labels"
    folder = output or Path("runs") / f"{name}-{time}"
    os.environ[_RUN] = str(folder.absolute())
    return folder


def _device(device: str) -> str:
    if device not in ("auto", "cpu", "cuda"):
        raise SettingError("device", device, "choose auto, cpu or cuda")
    return device


def _reporter(quiet: bool) -> Reporter:
    """Prints messages, each epoch's scores, and each tenth of the clips that is decoded."""
    from diffres_cli.training.callbacks import Reporter

    if quiet:
        return Reporter(lambda epoch, values: None, lambda message: None)
    decoded: dict[str, int] = {}

    def report_decoding(split: str, done: int, total: int) -> None:
        tenth = 10 * done // max(1, total)
        if total and tenth > decoded.get(split, 0):
            decoded[split] = tenth
            print_message(f"decoding the {split} clips: {done} of {total}")

    return Reporter(_print_epoch, print_message, report_decoding, bar=sys.stderr.isatty())


def _print_epoch(epoch: int, values: dict[str, float]) -> None:
    shown = {name.removeprefix("validation/"): value for name, value in values.items()}
    main = "accuracy@" if any(name.startswith("accuracy@") for name in shown) else "mAP@"
    rates = ", ".join(
        f"{name.replace('@', ' at ')} fps {value:.4f}"
        for name, value in shown.items()
        if name.startswith(main)
    )
    print_message(f"epoch {epoch}: loss {shown['loss']:.4f}, {rates}")
