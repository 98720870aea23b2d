"""`diffres export`: a torch checkpoint as one ONNX file, or as a folder ready to ship."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from diffres_cli.cli import options
from diffres_cli.cli.console import emit
from diffres_cli.errors import MissingDependencyError


def export(
    source: Annotated[
        str,
        typer.Argument(
            help="A .safetensors checkpoint, or a folder or shipped name with one.", show_default=False
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="An .onnx file, or a folder for graph, weights, card and checksums."
        ),
    ],
    debug: options.Debug = False,
) -> None:
    """Write one self-contained ONNX graph: waveform and slots in, scores and spectrograms out.

    Nothing is written when torch and ONNX Runtime differ by more than 1e-4 at awkward lengths and rates.
    A folder's card keeps what the card beside the checkpoint says below its facts.
    """
    from diffres_cli.checkpoint import find_model

    path = find_model(source, weights=True)
    try:
        from diffres_cli.model.export import export_onnx
        from diffres_cli.model.publish import notes_of, publish
        from diffres_cli.model.weights import load_network
    except ImportError as error:
        raise MissingDependencyError(
            f"diffres export needs PyTorch and onnx ({error.name}): pip install 'diffres[train]'"
        ) from error
    network = load_network(path)
    if output.suffix == ".onnx":
        difference = export_onnx(network, output)
    else:
        difference = publish(network, output, notes_of(path.parent))
    emit(f"{output}  (torch and ONNX Runtime agree to {difference:.0e})\n")
