"""`diffres tag`: recordings in, labels out."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diffres_cli.cli import options
from diffres_cli.cli.config import given_on_command_line
from diffres_cli.cli.console import print_message, print_picture, print_result
from diffres_cli.cli.inputs import find_inputs, is_folder
from diffres_cli.cli.report import run_and_report
from diffres_cli.errors import DiffresError, SettingError, UsageError
from diffres_cli.imports import without_gc
from diffres_cli.outputs import format_of
from diffres_cli.text import pluralize
from diffres_cli.timeouts import DEFAULT_TIMEOUT

if TYPE_CHECKING:
    from diffres_cli.tagging.prediction import Prediction
    from diffres_cli.tagging.tagger import Tagger

ENGINES = ("local", "ray")


def tag(
    context: typer.Context,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(help="Files, folders, patterns, or - for audio on standard input."),
    ] = None,
    recursive: options.Recursive = False,
    files_from: options.FilesFrom = None,
    channel: options.OneChannel = "mix",
    format_: options.Format = None,
    target: options.Output = None,
    combined: options.Combined = None,
    picture: options.Picture = True,
    top_k: options.TopK = 5,
    min_confidence: options.MinConfidence = 0.1,
    labels: options.Labels = None,
    ranking: options.Ranking = "specific",
    events: options.Events = False,
    merge_gap: options.MergeGap = 0.5,
    min_duration: options.MinDuration = 0.0,
    model: options.Model = options.DEFAULT,
    fps: options.Fps = None,
    window: options.Window = None,
    overlap: options.Overlap = 0.0,
    device: options.Device = "auto",
    jobs: options.Jobs = None,
    shard: options.Shard = None,
    force: options.Force = False,
    engine: options.Engine = "local",
    ray_address: options.RayAddress = None,
    backend: options.Backend = "onnx",
    offline: options.Offline = False,
    timeout: options.Timeout = DEFAULT_TIMEOUT,
    importance: options.Importance = False,
    embeddings: options.Embeddings = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> int:
    """Tag recordings and print their labels.

    \b
    Examples:
      diffres tag siren.ogg                         the labels of a recording
      diffres tag siren.ogg --fps 25 --events       faster; when each label occurs
      diffres tag recordings -r -o results -f csv   a folder: resumable, a file each

    Exit code: 0 all done, 1 some inputs failed, 2 usage, 3 nothing succeeded.
    """
    output = None if target is None else Path(target)
    format_ = _effective_format(context, format_, combined or output)
    on_ray, resumable = engine == "ray", is_folder(output) or combined is not None
    _check_options(context, resumable=resumable)
    rate = options.parse_fps(fps)
    with without_gc():
        if backend == "onnx" and not on_ray and not resumable and jobs in (None, 1):
            _preload(model, rate)
        from diffres_cli.batch.run import Summary
        from diffres_cli.batch.work import Setup
        from diffres_cli.cli.progress import RecordingsBar
        from diffres_cli.cli.runs import ray_run, resumable_run, stream_run
        from diffres_cli.tagging.settings import Settings

    found = find_inputs(inputs or [], files_from, recursive, urls=on_ray)
    settings = Settings(
        rate, top_k, min_confidence, window, overlap,
        labels=options.read_labels(labels), events=events, merge_gap=merge_gap, min_duration=min_duration,
        importance=importance, embeddings=embeddings, channel=options.parse_channel(channel),
        ranking=ranking,
    )  # fmt: skip
    setup = Setup(model, settings, backend, device, offline, options.check_timeout(timeout))
    on_load = partial(_print_tagger, len(found)) if verbose else None
    bar = RecordingsBar(shown=sys.stderr.isatty() and not quiet)
    if on_ray:
        run = ray_run(setup, found, inputs or [], target, ray_address, jobs, force=force, loud=debug)
    elif resumable:
        targets = (output, combined, format_)
        run = resumable_run(setup, found, inputs or [], *targets, jobs, shard, bar, on_load, force=force)
    else:
        run = stream_run(setup, found, output, format_, jobs, bar, on_load, picture=picture)
    summary, again = Summary(), on_ray or resumable
    code = run_and_report(run, summary, bar, resumable=again, quiet=quiet, debug=debug)
    if summary.drawable is not None:
        _draw(summary.drawable)
    return code


def _preload(model: str, fps: float | None) -> None:
    """Have the model loaded while this thread imports what works with it; errors wait until it is due."""
    from diffres_cli.checkpoint.find import find_model
    from diffres_cli.inference.engine import preload_session

    # NumPy's OpenBLAS would start a thread for each core, which spins on the one that loads the model.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with suppress(DiffresError):
        preload_session(find_model(model, offline=True), fps)


def _check_options(context: typer.Context, *, resumable: bool) -> None:
    """Raise for a flag without effect here; a variable or a file may set such an option.

    Raises:
        UsageError: such an option; an unknown engine, or jobs below 1.
    """
    engine, jobs, format_ = (context.params[name] for name in ("engine", "jobs", "format_"))
    if engine not in ENGINES:
        raise SettingError("engine", engine, f"choose {' or '.join(ENGINES)}")
    if jobs is not None and jobs < 1:
        raise SettingError("jobs", jobs, "must be at least 1")
    if not context.params["events"]:
        _check_not_given(context, "works on events: add --events", "merge_gap", "min_duration")
    if engine == "ray":
        why = "works with --engine local; with ray, -o names a folder of Parquet files"
        _check_not_given(context, why, "combined", "shard")
        if given_on_command_line(context, "format_") and format_ != "parquet":
            raise SettingError("format", format_, "--engine ray writes parquet")
        return
    _check_not_given(context, "works on a cluster: add --engine ray", "ray_address")
    if not resumable:
        why = "works on a folder of results: add -o FOLDER or --combined FILE"
        _check_not_given(context, why, "shard", "force")


def _check_not_given(context: typer.Context, why: str, *names: str) -> None:
    for name in names:
        if given_on_command_line(context, name):
            raise UsageError(f"--{name.replace('_', '-')} {why}")


def _effective_format(context: typer.Context, format_: str | None, output: Path | None) -> str | None:
    """The format, unless a variable or a file set it and the output that was typed has one by its suffix."""
    by_suffix = output is not None and not is_folder(output) and format_of(output) is not None
    return None if by_suffix and not given_on_command_line(context, "format_") else format_


def _print_tagger(count: int, tagger: Tagger) -> None:
    card = tagger.card
    print_message(
        f"{card.name} ({card.architecture}, {len(card.classes)} classes, {card.rates} fps), "
        f"{tagger.backend} on {tagger.device}, {pluralize(count, 'input')}"
    )


def _draw(prediction: Prediction) -> None:
    """The strip under the labels; a recording too long to hold its spectrogram has none."""
    if prediction.windows[0].spectrogram is None:
        return
    from diffres_cli.figure.terminal import render_strip

    print_result("\n")
    print_picture(lambda columns, _: render_strip(prediction, columns))
