"""`diffres models`: what is installed, and each model's facts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diffres_cli.cli import options
from diffres_cli.cli.console import emit

if TYPE_CHECKING:
    from diffres_cli.card import ModelCard

models_app = typer.Typer(help="List the installed models, and show their facts.", rich_markup_mode=None)


@models_app.callback(invoke_without_command=True)
def models(context: typer.Context, debug: options.Debug = False) -> None:
    """List the installed models with classes, frame rates, size and licence."""
    if context.invoked_subcommand is None:
        list_models()


@models_app.command("list")
def list_models(debug: options.Debug = False) -> None:
    """List the installed models with classes, frame rates, size and licence."""
    from diffres_cli.checkpoint import find_model, shipped_models

    rows = [("name", "classes", "fps", "default", "size", "licence")]
    for name in shipped_models():
        card, path = _card(name), find_model(name)
        rates = f"{card.minimum_fps:g}–{card.maximum_fps:g}"
        size = f"{path.stat().st_size / 1e6:.1f} MB"
        rows.append((name, str(len(card.classes)), rates, f"{card.default_fps:g}", size, card.license))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        emit("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() + "\n")


@models_app.command()
def info(
    name: Annotated[
        str, typer.Argument(help="A shipped name, a folder, an .onnx or .safetensors file.")
    ] = options.DEFAULT,
    debug: options.Debug = False,
) -> None:
    """Print a model's facts: architecture, front end, rates, origin, licence, checksum."""
    from diffres_cli.checkpoint import find_model

    path = find_model(name)
    facts = _facts(_card(name), path)
    width = max(len(key) for key in facts)
    for key, value in facts.items():
        emit(f"{key:<{width}}  {value}\n")


def _card(name: str) -> ModelCard:
    from diffres_cli.tagger import load_tagger

    return load_tagger(name, device="cpu").card


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
        "classes": f"{len(card.classes)} ({', '.join(card.classes[:3])}, …)",
        "fps": f"{card.minimum_fps:g} to {card.maximum_fps:g}, default {card.default_fps:g}",
        "window": f"{card.sample_duration:g} s",
        "sample rate": f"{card.sample_rate} Hz",
        "mel": f"{mel.mel_bins} bins, {mel.low:g} to {mel.high:g} Hz, {mel.frame_rate:g} frames per second",
        "trained on": card.trained_on,
        "derived from": card.derived_from or "nothing: trained from scratch",
        "licence": card.license,
        **({"card": str(readme)} if readme.exists() else {}),
    }
