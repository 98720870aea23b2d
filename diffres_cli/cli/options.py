"""Options that several commands share, so that one name means one thing."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from diffres_cli.checkpoint.find import DEFAULT_MODEL
from diffres_cli.config import variable
from diffres_cli.errors import SettingError
from diffres_cli.outputs import FORMATS, formats_with_arrays

if TYPE_CHECKING:
    from diffres_cli.audio import Channel

# Headings of --help; options without one come last.
INPUT, OUTPUT, LABELS, MODEL, SCALE = "Input", "Output", "Labels", "Model", "Scale"
DATA, TRAINING, RUN = "Data", "Training", "Run"


def option(*names: str, panel: str | None = None, **how: Any) -> Any:
    """An option of the command line alone.

    Args:
        names: --long and -s; by default the parameter's name. panel: the heading in --help.
        how: see `typer.Option`.
    """
    return typer.Option(*names, rich_help_panel=panel, **how)


def setting(name: str, *short: str, **how: Any) -> Any:
    """An option that a DIFFRES_* variable or diffres.toml can set too: see `diffres_cli.config`."""
    long = name.partition("/")[0].removeprefix("--")
    return option(name, *short, envvar=variable(long), show_envvar=False, **how)


def switch(name: str, *short: str, **how: Any) -> Any:
    """A setting that is on or off; --no-... overrules a variable or file that turns it on."""
    return setting(f"--{name}/--no-{name}", *short, show_default=False, **how)


# fmt: off
Recursive = Annotated[bool, switch(
    "recursive", "-r", panel=INPUT, help="Folders with all the folders below them.")]
FilesFrom = Annotated[str | None, option(
    "--files-from", panel=INPUT, help="Read paths from this file, one a line; - for stdin.")]
OneChannel = Annotated[str, setting(
    "--channel", panel=INPUT, metavar="N|mix|each",
    help="The channel to tag: the mean of all, one by its number from 1, or each for itself.")]

Format = Annotated[str | None, setting(
    "--format", "-f", panel=OUTPUT,
    help=f"{', '.join(FORMATS)}, or package.module:FORMAT. [default: by -o, or table]")]
Output = Annotated[str | None, option(
    "--output", "-o", panel=OUTPUT, metavar="PATH|URL",
    help="A file; or a folder that mirrors the inputs' tree, resumable. With --engine ray, a folder of "
         "Parquet files, by path or URL.")]
Combined = Annotated[Path | None, option(
    "--combined", panel=OUTPUT, metavar="FILE", help="One file of all results, resumable.")]
Picture = Annotated[bool, setting(
    "--picture/--no-picture", panel=OUTPUT, help="On a terminal, one recording is drawn too.")]

TopK = Annotated[int, setting("--top-k", "-k", panel=LABELS, help="At most this many labels.")]
MinConfidence = Annotated[float, setting(
    "--min-confidence", "-c", panel=LABELS, help="Only labels that score at least this, 0 to 1.")]
Labels = Annotated[Path | None, setting(
    "--labels", panel=LABELS, metavar="FILE",
    help="Only the labels in this file, one name or id a line. [default: all]")]
Ranking = Annotated[str, setting(
    "--ranking", panel=LABELS, metavar="specific|scores",
    help="specific: Dog before Animal, where it has half its score; scores: by score alone.")]
Events = Annotated[bool, switch(
    "events", panel=LABELS, help="When each label occurs, finer than the window.")]
MergeGap = Annotated[float, setting(
    "--merge-gap", panel=LABELS, help="Seconds between events of a label, below which they are one.")]
MinDuration = Annotated[float, setting(
    "--min-duration", panel=LABELS, help="Seconds an event lasts at least.")]

Model = Annotated[str, setting(
    "--model", "-m", panel=MODEL,
    help="A shipped model's name, hf:ORG/NAME[@REVISION], a folder, an .onnx or .safetensors file.")]
Fps = Annotated[str | None, setting(
    "--fps", panel=MODEL, metavar="NUMBER",
    help="Output frames per second: fewer is faster. [default: the model's]")]
Window = Annotated[float | None, setting(
    "--window", panel=MODEL, help="Seconds classified at once. [default: the model's]")]
Overlap = Annotated[float, setting(
    "--overlap", panel=MODEL, help="Seconds that neighbouring windows share.")]
Device = Annotated[str, setting("--device", panel=MODEL, help="auto, cpu or cuda.")]
Backend = Annotated[str, setting("--backend", help="onnx, or torch with the extra `train`.")]
Offline = Annotated[bool, switch("offline", help="Never use the network: only models that are installed.")]

Jobs = Annotated[int | None, setting(
    "--jobs", "-j", panel=SCALE,
    help="Worker processes. [default: by cores for a folder or --combined, else 1]")]
Shard = Annotated[str | None, option(
    "--shard", panel=SCALE, metavar="K/N", help="Only the K-th of N parts, for job arrays.")]
Force = Annotated[bool, option("--force", panel=SCALE, help="Tag again what is done already.")]
Engine = Annotated[str, setting(
    "--engine", panel=SCALE,
    help="local, or ray: a cluster, with the extra `ray`; inputs may be URLs such as s3://.")]
RayAddress = Annotated[str | None, setting(
    "--ray-address", panel=SCALE, metavar="ADDRESS",
    help="The cluster's, for --engine ray. [default: RAY_ADDRESS, or one started here]")]
Timeout = Annotated[float, setting(
    "--timeout", metavar="SECONDS",
    help="Give up a recording, but not stdin, that makes no progress for this long; 0: never.")]
Importance = Annotated[bool, switch(
    "importance", help=f"The importance of each input frame too: {formats_with_arrays()}.")]
Embeddings = Annotated[bool, switch(
    "embeddings", help=f"Each window's pooled feature too: {formats_with_arrays()}.")]

Dataset = Annotated[str | None, option(
    "--dataset", panel=DATA, metavar="NAME", help="See `diffres data list`; or package.module:NAME.")]
Data = Annotated[Path | None, option(
    "--data", panel=DATA, metavar="DIR",
    help="The dataset's folder. [default: as `diffres data info` says]")]
Set = Annotated[list[str] | None, option(
    "--set", panel=TRAINING, metavar="FIELD=VALUE",
    help="A field of the recipe, such as optimizer.lr=1e-3; may be repeated.")]

Quiet = Annotated[bool, switch("quiet", "-q", help="No progress and no warnings.")]
Verbose = Annotated[bool, option("--verbose", "-v", help="Print which model runs where.")]
Debug = Annotated[bool, option("--debug", help="Show a traceback when something goes wrong.")]
# fmt: on

DEFAULT = DEFAULT_MODEL


def parse_fps(text: str | None) -> float | None:
    """The number in an --fps option. The model checks its range.

    Raises:
        SettingError: no number.
    """
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        raise SettingError(
            "fps", text or "''", "expected a number of frames per second, such as 25"
        ) from None


def parse_channel(text: str) -> Channel:
    """The channel in a --channel option. `Settings.resolve` checks it."""
    return int(text) if text.isascii() and text.isdigit() else cast("Channel", text)


def check_timeout(seconds: float) -> float:
    """The value of --timeout.

    Raises:
        SettingError: negative or not a number.
    """
    if not 0 <= seconds < math.inf:
        raise SettingError("timeout", seconds, "must be 0 (never) or more seconds")
    return seconds


def read_labels(path: Path | None) -> tuple[str, ...] | None:
    """The names in a --labels file; None without one.

    Raises:
        UsageError: it cannot be read.
    """
    if path is None:
        return None
    from diffres_cli.tagging.labels import read_names

    return read_names(path)
