"""`diffres export`: a torch checkpoint as one ONNX file, or as a folder ready to ship."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from diffres_cli.cli import options
from diffres_cli.cli.console import emit
from diffres_cli.errors import MissingDependencyError, UsageError


def export(
    source: Annotated[
        str,
        typer.Argument(
            help="A training run, a .safetensors checkpoint, or a folder or shipped name with one.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="An .onnx file, or a folder for graph, weights, card and checksums."
        ),
    ],
    int8: Annotated[
        bool,
        typer.Option(
            "--int8", help="Quantise: the file in INT8, or model.int8.onnx in the folder beside model.onnx."
        ),
    ] = False,
    calibrate: Annotated[
        list[str] | None,
        typer.Option(
            "--calibrate",
            metavar="AUDIO",
            help="For --int8: recordings or folders like those to come; may be repeated.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Write INT8 even where it is no faster or agrees too little.")
    ] = False,
    notes: Annotated[
        Path | None,
        typer.Option(
            "--notes",
            metavar="FILE",
            help="Markdown for the card above the numbers: what it is for, its limits.",
            show_default=False,
        ),
    ] = None,
    unevaluated: Annotated[
        bool, typer.Option("--unevaluated", help="A run's folder without the numbers of `diffres eval`.")
    ] = False,
    debug: options.Debug = False,
) -> None:
    """Write one self-contained ONNX graph: waveform and slots in, scores and spectrograms out.

    Nothing is written when torch and ONNX Runtime differ by more than 1e-4 at awkward lengths and rates.
    A folder's card keeps what the card beside the checkpoint says below its facts. A training run's folder
    is called as it is, and its card has the metrics that `diffres eval RUN` measured, and the recipe.

    INT8 is measured against float on half of the audio, the other half calibrates it, and it is refused
    (exit code 3, nothing written) unless it is faster and gives the same best label for 95 % at 25, 50
    and 100 fps.
    """
    from diffres_cli.audio import find_recordings
    from diffres_cli.checkpoint import find_model

    _refuse_contradictions(int8, calibrate or [], force)
    path = find_model(source, weights=True)
    try:
        from diffres_cli.evaluation.shipment import shipment
        from diffres_cli.model.export import export_onnx
        from diffres_cli.model.int8 import accepted_int8
        from diffres_cli.model.publish import publish
    except ImportError as error:
        raise MissingDependencyError(
            f"diffres export needs PyTorch and onnx ({error.name}): pip install 'diffres[train]'"
        ) from error
    words = _text(notes) if notes else ""
    network, found = shipment(path, output, unevaluated=unevaluated)
    quantize = partial(
        accepted_int8,
        card=network.card,
        recordings=find_recordings(calibrate or []),
        force=force,
        on_report=lambda report: emit(f"{report.markdown()}\n"),
    )
    if output.suffix == ".onnx":
        difference = export_onnx(network, output, quantize if int8 else None)
    else:
        difference = publish(network, output, f"{words}\n\n{found}".strip(), quantize if int8 else None)
    emit(f"{output}  (torch and ONNX Runtime agree to {difference:.0e})\n")


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, ValueError) as error:
        raise UsageError(f"--notes {path}: cannot be read as text: {error}") from error


def _refuse_contradictions(int8: bool, calibrate: list[str], force: bool) -> None:
    if int8 and not calibrate:
        raise UsageError("--int8: add --calibrate AUDIO, recordings or folders like those to come")
    for option, given in (("--calibrate", bool(calibrate)), ("--force", force)):
        if given and not int8:
            raise UsageError(f"{option}: is for --int8; add it or leave this out")
