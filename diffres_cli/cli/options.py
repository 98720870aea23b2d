"""Options that several commands share, so that one name means one thing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diffres_cli.checkpoint import DEFAULT_MODEL
from diffres_cli.errors import UsageError

if TYPE_CHECKING:
    from diffres_cli.prediction import Rate

Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        help="A shipped model's name, hf:ORG/NAME[@REVISION], a folder, an .onnx or .safetensors file.",
    ),
]
Offline = Annotated[
    bool, typer.Option("--offline", help="Never use the network: only models that are installed.")
]
TopK = Annotated[int, typer.Option("--top-k", "-k", help="At most this many labels.")]
MinConfidence = Annotated[
    float, typer.Option("--min-confidence", "-c", help="Only labels that score at least this, 0 to 1.")
]
Window = Annotated[
    float | None,
    typer.Option("--window", help="Seconds classified at once. [default: the model's]", show_default=False),
]
Overlap = Annotated[float, typer.Option("--overlap", help="Seconds that neighbouring windows share.")]
Labels = Annotated[
    Path | None,
    typer.Option(
        "--labels",
        metavar="FILE",
        help="Only the labels in this file, one name or id a line. [default: all]",
        show_default=False,
    ),
]
Events = Annotated[bool, typer.Option("--events", help="When each label is heard, finer than the window.")]
MergeGap = Annotated[
    float, typer.Option("--merge-gap", help="Seconds between events of a label, below which they are one.")
]
MinDuration = Annotated[float, typer.Option("--min-duration", help="Seconds an event lasts at least.")]
Importance = Annotated[
    bool, typer.Option("--importance", help="The importance of each input frame too: json, jsonl, parquet.")
]
Embeddings = Annotated[
    bool, typer.Option("--embeddings", help="Each window's pooled feature too: json, jsonl, parquet.")
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
Backend = Annotated[str, typer.Option("--backend", help="onnx, or torch with the extra `train`.")]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="A file; or a folder that mirrors the inputs' tree, resumable."),
]
Combined = Annotated[
    Path | None, typer.Option("--combined", metavar="FILE", help="One file of all results, resumable.")
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        "-j",
        help="Worker processes for a folder of results. [default: by cores]",
        show_default=False,
    ),
]
Shard = Annotated[
    str | None, typer.Option("--shard", metavar="K/N", help="Only the K-th of N parts, for job arrays.")
]
Force = Annotated[bool, typer.Option("--force", help="Tag again what is done already.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no warnings.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show a traceback when something goes wrong.")]

DEFAULT = DEFAULT_MODEL


def frame_rate(text: str | None) -> Rate | None:
    """The number in an --fps option, or "auto". The model checks its range.

    Raises:
        UsageError: neither.
    """
    if text is None:
        return None
    if text == "auto":
        return "auto"
    try:
        return float(text)
    except ValueError:
        raise UsageError(
            f"--fps {text or repr(text)}: expected a number of frames per second, such as 25, or auto"
        ) from None


def label_names(path: Path | None) -> tuple[str, ...] | None:
    """The names in a --labels file; None without one.

    Raises:
        UsageError: it cannot be read.
    """
    if path is None:
        return None
    from diffres_cli.labels import read_names

    return read_names(path)
