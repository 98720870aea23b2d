"""`diffres models`: what is installed, each model's facts, and models from a hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diffres_cli.checkpoint import find
from diffres_cli.checkpoint.find import ONNX_NAME, SUMS_NAME, find_model
from diffres_cli.checkpoint.hub.cache import branches, find_snapshot
from diffres_cli.checkpoint.hub.reference import Reference, is_reference, reference_of
from diffres_cli.cli import options
from diffres_cli.cli.config import ConfigurableCommand
from diffres_cli.cli.console import print_message, print_result, print_table
from diffres_cli.errors import DiffresError, UsageError

if TYPE_CHECKING:
    from diffres_cli.checkpoint.card import ModelCard

OnHub = Annotated[str, typer.Argument(metavar="hf:ORG/NAME[@REVISION]")]

models_app = typer.Typer(
    help="List the installed models, show their facts, and get them from a hub.",
    add_completion=False,
    rich_markup_mode=None,
)


@models_app.callback(invoke_without_command=True)
def models(context: typer.Context, debug: options.Debug = False) -> int:
    """List the installed models with classes, frame rates, size and licence."""
    return list_models() if context.invoked_subcommand is None else 0


@models_app.command("list")
def list_models(debug: options.Debug = False) -> int:
    """List the installed models with classes, frame rates, size and licence."""
    rows: list[tuple[str, ...]] = [("name", "revision", "classes", "fps", "default", "size", "licence")]
    damaged = 0
    for name, folder in _installed().items():
        try:
            rows.append(_row(name, folder))
        except DiffresError as error:
            print_message(str(error))
            damaged += 1
    print_table(*rows)
    return 1 if damaged else 0


@models_app.command(cls=ConfigurableCommand)
def info(
    name: Annotated[
        str,
        typer.Argument(
            help="A shipped name, hf:ORG/NAME[@REVISION], a folder, an .onnx or .safetensors file."
        ),
    ] = options.DEFAULT,
    offline: options.Offline = False,
    debug: options.Debug = False,
) -> None:
    """Print a model's facts: architecture, front end, rates, origin, licence, checksum."""
    path = find_model(name, offline=offline)
    facts = _facts(_card(path), path)
    width = max(len(key) for key in facts)
    for key, value in facts.items():
        print_result(f"{key:<{width}}  {value}\n")


@models_app.command()
def install(
    model: OnHub,
    weights: Annotated[bool, typer.Option("--weights", help="The torch weights too.")] = False,
    debug: options.Debug = False,
) -> None:
    """Download a model from a hub and verify it, or bring it up to date, or repair it.

    Only the files of a checkpoint are fetched, never code. An interrupted download resumes where it stopped.
    """
    folder = find.install_model(model, weights=weights)
    print_result(f"{find.model_name(folder / ONNX_NAME)}\n")


@models_app.command()
def remove(model: OnHub, debug: options.Debug = False) -> None:
    """Delete a model that was installed from a hub, or one revision of it."""
    for name in find.remove_model(model):
        print_result(f"removed {name}\n")


@models_app.command()
def check(
    name: Annotated[str | None, typer.Argument(help="One model only. [default: all]")] = None,
    debug: options.Debug = False,
) -> int:
    """Verify the checksums of the installed models, the shipped ones too."""
    folders = {name: _folder(name)} if name else _installed()
    problems = {model: find.check_folder(folder) for model, folder in folders.items()}
    for model, wrong in problems.items():
        if wrong:
            print_message(f"{model}: {'; '.join(wrong)}: install it again")
        else:
            print_result(f"{model}  intact\n")
    return 0 if not any(problems.values()) else 3 if all(problems.values()) else 1


@models_app.command()
def providers(debug: options.Debug = False) -> None:
    """List what --backend and --device can choose from here, and why some of it cannot be used."""
    from diffres_cli.inference.devices import places

    print_table(
        ("backend", "device", "runs on", "usable", "why not"),
        *(
            (place.backend, place.device, place.by, "no" if place.problem else "yes", place.problem)
            for place in places()
        ),
    )


@models_app.command()
def push(
    folder: Annotated[Path, typer.Argument(help="As written by `diffres export`.")],
    model: Annotated[str, typer.Argument(metavar="hf:ORG/NAME")],
    private: Annotated[bool, typer.Option("--private", help="Make it a private model.")] = False,
    debug: options.Debug = False,
) -> None:
    """Publish a checkpoint folder on a hub, if its card is complete and its checksums match."""
    from diffres_cli.checkpoint.push import push_folder
    from diffres_cli.inference.runtime import read_card

    print_result(f"{push_folder(folder, Reference.parse(model), read_card, private=private)}\n")


def _installed() -> dict[str, Path]:
    return {**find.shipped_models(), **find.hub_models()}


def _folder(name: str) -> Path:
    """The folder of a model that is here, also where files of it are gone.

    Raises:
        UsageError: it is not, or is a file that no checksum was stated for.
    """
    installed = _installed()
    if is_reference(name):
        found = find_snapshot(Reference.parse(name))
        if found is None or found not in installed.values():
            raise UsageError(f"{name}: not installed; `diffres models` lists what is")
        return found
    path = installed.get(name, Path(name))
    if path.is_dir():
        return path
    folder = find_model(path, offline=True).parent
    if not (folder / SUMS_NAME).exists():
        raise UsageError(f"{name}: no {SUMS_NAME} next to it to check against: name a model's folder")
    return folder


def _row(name: str, folder: Path) -> tuple[str, ...]:
    card = _card(path := folder / ONNX_NAME)
    return (
        name.partition("@")[0],
        _revision(path),
        str(len(card.classes)),
        f"{card.minimum_fps:g}–{card.maximum_fps:g}",
        f"{card.default_fps:g}",
        f"{path.stat().st_size / 1e6:.1f} MB",
        card.license,
    )


def _revision(path: Path) -> str:
    reference = reference_of(path)
    if reference is None or reference.revision is None:
        return "shipped"
    names = branches(reference)
    return reference.revision[:12] + (f" ({', '.join(names)})" if names else "")


def _card(path: Path) -> ModelCard:
    from diffres_cli.tagging.tagger import load_tagger

    return load_tagger(path, device="cpu").card


def _facts(card: ModelCard, path: Path) -> dict[str, str]:
    """Everything worth knowing of a model, as text."""
    import hashlib

    mel = card.mel
    readme = path.parent / "README.md"
    return {
        "name": card.name,
        "file": str(path),
        "size": f"{path.stat().st_size / 1e6:.1f} MB",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "architecture": f"DiffRes, then {card.architecture}, width {card.width:g}",
        "classes": f"{len(card.classes)} ({'; '.join(card.classes[:3])}; …)",
        "fps": f"{card.rates}, default {card.default_fps:g}",
        "window": f"{card.sample_duration:g} s",
        "sample rate": f"{card.sample_rate} Hz",
        "mel": f"{mel.mel_bins} bins, {mel.low:g} to {mel.high:g} Hz, {mel.frame_rate:g} frames per second",
        "trained on": card.trained_on,
        "derived from": card.derived_from or "nothing: trained from scratch",
        "licence": card.license,
        **({"card": str(readme)} if readme.exists() else {}),
    }
