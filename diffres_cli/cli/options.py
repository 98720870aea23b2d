"""Options that several commands share, so that one name means one thing."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from diffres_cli.checkpoint.find import DEFAULT_MODEL
from diffres_cli.config import variable
from diffres_cli.errors import UsageError
from diffres_cli.outputs import FORMATS, formats_with_arrays

if TYPE_CHECKING:
    from diffres_cli.audio import Channel


def setting(name: str, *short: str, **how: Any) -> Any:
    """An option that a DIFFRES_* variable or diffres.toml can set too: see `diffres_cli.config`."""
    long = name.partition("/")[0].removeprefix("--")
    return typer.Option(name, *short, envvar=variable(long), show_envvar=False, **how)


def switch(name: str, *short: str, help: str) -> Any:
    """A setting that is on or off; --no-... overrules a variable or file that turns it on."""
    return setting(f"--{name}/--no-{name}", *short, help=help, show_default=False)


Recursive = Annotated[bool, switch("recursive", "-r", help="Folders with all the folders below them.")]
Model = Annotated[
    str,
    setting(
        "--model",
        "-m",
        help="A shipped model's name, hf:ORG/NAME[@REVISION], a folder, an .onnx or .safetensors file.",
    ),
]
Offline = Annotated[bool, switch("offline", help="Never use the network: only models that are installed.")]
TopK = Annotated[int, setting("--top-k", "-k", help="At most this many labels.")]
MinConfidence = Annotated[
    float, setting("--min-confidence", "-c", help="Only labels that score at least this, 0 to 1.")
]
Window = Annotated[
    float | None,
    setting("--window", help="Seconds classified at once. [default: the model's]", show_default=False),
]
Overlap = Annotated[float, setting("--overlap", help="Seconds that neighbouring windows share.")]
OneChannel = Annotated[
    str,
    setting(
        "--channel",
        metavar="N|mix|each",
        help="The channel to tag: the mean of all, one by its number from 1, or each for itself.",
    ),
]
Labels = Annotated[
    Path | None,
    setting(
        "--labels",
        metavar="FILE",
        help="Only the labels in this file, one name or id a line. [default: all]",
        show_default=False,
    ),
]
Events = Annotated[bool, switch("events", help="When each label is heard, finer than the window.")]
MergeGap = Annotated[
    float, setting("--merge-gap", help="Seconds between events of a label, below which they are one.")
]
MinDuration = Annotated[float, setting("--min-duration", help="Seconds an event lasts at least.")]
Importance = Annotated[
    bool, switch("importance", help=f"The importance of each input frame too: {formats_with_arrays()}.")
]
Embeddings = Annotated[
    bool, switch("embeddings", help=f"Each window's pooled feature too: {formats_with_arrays()}.")
]
Device = Annotated[str, setting("--device", help="auto, cpu or cuda.")]
Backend = Annotated[str, setting("--backend", help="onnx, or torch with the extra `train`.")]
Format = Annotated[
    str | None,
    setting(
        "--format",
        "-f",
        help=f"{', '.join(FORMATS)}, or package.module:FORMAT. [default: by -o, or table]",
        show_default=False,
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="PATH|URL",
        help="A file; or a folder that mirrors the inputs' tree, resumable. With --engine ray, a folder of "
        "Parquet files, by path or URL.",
    ),
]
Combined = Annotated[
    Path | None, typer.Option("--combined", metavar="FILE", help="One file of all results, resumable.")
]
Jobs = Annotated[
    int | None,
    setting(
        "--jobs",
        "-j",
        help="Worker processes. [default: by cores for a folder or --combined, else 1]",
        show_default=False,
    ),
]
Timeout = Annotated[
    float,
    setting(
        "--timeout",
        metavar="SECONDS",
        help="Give up a recording of which nothing more is decoded or tagged for this long; 0: never.",
    ),
]
Engine = Annotated[
    str,
    setting(
        "--engine", help="local, or ray: a cluster, with the extra `ray`; inputs may be URLs such as s3://."
    ),
]
RayAddress = Annotated[
    str | None,
    setting(
        "--ray-address",
        metavar="ADDRESS",
        help="The cluster's, for --engine ray. [default: RAY_ADDRESS, or one started here]",
        show_default=False,
    ),
]
Shard = Annotated[
    str | None, typer.Option("--shard", metavar="K/N", help="Only the K-th of N parts, for job arrays.")
]
Force = Annotated[bool, typer.Option("--force", help="Tag again what is done already.")]
Picture = Annotated[
    bool, setting("--picture/--no-picture", help="On a terminal, one recording is drawn too.")
]
Quiet = Annotated[bool, switch("quiet", "-q", help="No progress and no warnings.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show a traceback when something goes wrong.")]

DEFAULT = DEFAULT_MODEL


def frame_rate(text: str | None) -> float | None:
    """The number in an --fps option. The model checks its range.

    Raises:
        UsageError: no number.
    """
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        raise UsageError(
            f"--fps {text or repr(text)}: expected a number of frames per second, such as 25"
        ) from None


def channel_of(text: str) -> Channel:
    """What a --channel option says.

    Raises:
        UsageError: no channel can be meant.
    """
    from diffres_cli.tagging.settings import CHANNELS

    if text == "mix":
        return "mix"
    if text == "each":
        return "each"
    if not (text.isascii() and text.isdigit() and int(text)):
        raise UsageError(f"--channel {text or repr(text)}: {CHANNELS}")
    return int(text)


def time_limit(seconds: float) -> float:
    """The value of --timeout.

    Raises:
        UsageError: negative or not a number.
    """
    if not 0 <= seconds < math.inf:
        raise UsageError(f"--timeout {seconds:g}: must be 0 (never) or more seconds")
    return seconds


def label_names(path: Path | None) -> tuple[str, ...] | None:
    """The names in a --labels file; None without one.

    Raises:
        UsageError: it cannot be read.
    """
    if path is None:
        return None
    from diffres_cli.tagging.labels import read_names

    return read_names(path)
