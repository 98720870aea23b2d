"""`diffres export`: a torch checkpoint as one ONNX file, or as a folder ready to ship."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from diffres_cli.cli import options
from diffres_cli.cli.console import print_result
from diffres_cli.errors import UsageError
from diffres_cli.imports import required
from diffres_cli.text import NotTextError, read_text


@required("diffres export", "diffres[train]")
def export(
    source: Annotated[
        str,
        typer.Argument(
            help="A training run, a .safetensors checkpoint, or a folder or shipped name with one.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="An .onnx file, or a folder for graph, weights, card and checksums."
        ),
    ],
    fps: Annotated[
        float | None,
        typer.Option("--fps", help="Serve this frame rate only: a graph without the input fps."),
    ] = None,
    notes: Annotated[
        Path | None,
        typer.Option(
            "--notes",
            metavar="FILE",
            help="Markdown for the card above the numbers: what it is for, its limits.",
        ),
    ] = None,
    unevaluated: Annotated[
        bool, typer.Option("--unevaluated", help="A run's folder without the numbers of `diffres eval`.")
    ] = False,
    debug: options.Debug = False,
) -> None:
    """Write one self-contained ONNX graph: waveform and frame rate in, scores and spectrograms out.

    Nothing is written when torch and ONNX Runtime differ by more than 1e-4 at edge-case lengths and rates.
    A folder's card keeps what the card beside the checkpoint says below its facts, and a parents.csv there is
    copied. A training run's folder is called as it is, and its card has the metrics that `diffres eval RUN`
    measured, and the recipe.
    """
    from diffres_cli.checkpoint.find import find_model, read_parents

    path = find_model(source, weights=True)
    from diffres_cli.evaluation.cardnotes import network_and_notes
    from diffres_cli.nn.export import export_onnx
    from diffres_cli.nn.publish import publish

    words = _text(notes) if notes else ""
    network, found = network_and_notes(path, output, unevaluated=unevaluated)
    if fps is not None:
        network.card = network.card.at_rate(fps)
    if output.suffix == ".onnx":
        difference = export_onnx(network, output)
    else:
        difference = publish(network, output, f"{words}\n\n{found}".strip(), read_parents(path))
    print_result(f"{output}  (torch and ONNX Runtime agree to {difference:.0e})\n")


def _text(path: Path) -> str:
    try:
        return read_text(path).strip()
    except (OSError, NotTextError) as error:
        raise UsageError(f"--notes {path}: cannot be read as text: {error}") from error
