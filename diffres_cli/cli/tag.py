"""`diffres tag`: recordings in, labels out."""

from __future__ import annotations

import os
import re
import sys
from collections import deque
from pathlib import Path
from traceback import print_exception
from typing import TYPE_CHECKING, Annotated

import typer

from diffres_cli.cli import options
from diffres_cli.cli.console import emit, say, show
from diffres_cli.errors import AudioError, UsageError

if TYPE_CHECKING:
    from diffres_cli.job import Summary
    from diffres_cli.prediction import Prediction
    from diffres_cli.tagger import Tagger


_BINARY = re.compile(r"[\x00-\x08\x0e-\x1f]")


def tag(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files, folders, patterns, or - for audio on standard input.", show_default=False
        ),
    ] = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Folders with all the folders below them.")
    ] = False,
    files_from: Annotated[
        str | None, typer.Option("--files-from", help="Read paths from this file, one a line; - for stdin.")
    ] = None,
    model: options.Model = options.DEFAULT,
    fps: Annotated[
        str | None,
        typer.Option(
            "--fps",
            metavar="NUMBER|auto",
            help="Output frames per second: fewer is faster. auto: 25, and full rate where unsure; saves "
            "time only where most windows are clear. [default: the model's]",
            show_default=False,
        ),
    ] = None,
    top_k: options.TopK = 5,
    min_confidence: options.MinConfidence = 0.1,
    window: options.Window = None,
    overlap: options.Overlap = 0.0,
    device: options.Device = "auto",
    backend: options.Backend = "onnx",
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            "-f",
            help="table, json, jsonl or csv. [default: by -o, else table]",
            show_default=False,
        ),
    ] = None,
    output: options.Output = None,
    picture: Annotated[
        bool, typer.Option("--picture/--no-picture", help="On a terminal, one recording is drawn too.")
    ] = True,
    quiet: options.Quiet = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say which model runs where.")] = False,
    debug: options.Debug = False,
) -> int:
    """Tag recordings and print their labels.

    Exit code: 0 all done, 1 some inputs failed, 2 usage, 3 nothing succeeded.
    """
    from diffres_cli.cli.progress import Bar
    from diffres_cli.job import is_drawable, tag_all
    from diffres_cli.outputs import choose_format, make_writer
    from diffres_cli.outputs.sink import open_sink
    from diffres_cli.tagger import Settings, load_tagger

    name = choose_format(format_, output)
    found = _find(inputs or [], files_from, recursive)
    _refuse_overwriting(found, output)
    settings = Settings(options.frame_rate(fps), top_k, min_confidence, window, overlap)
    tagger = load_tagger(model, backend=backend, device=device)
    settings.resolve(tagger.card)
    if verbose:
        _say_setup(tagger, len(found))
    bar = Bar(len(found), shown=sys.stderr.isatty() and not quiet)
    tagged: deque[Prediction] = deque(maxlen=1)
    wanted = picture and name == "table" and output is None and len(found) == 1 and sys.stdout.isatty()
    with bar, open_sink(output, before=bar.clear) as sink:
        summary = tag_all(
            tagger, found, settings, make_writer(name), sink,
            wants_spectrogram=is_drawable if wanted else None, on_window=bar.show, on_done=tagged.append,
            on_failure=print_exception if debug else None,
        )  # fmt: skip
        bar.clear()
        _report(summary, quiet)
        if output and not summary.done:
            raise typer.Exit(summary.exit_code)  # leaves whatever stood at `output` untouched
    if wanted and tagged:
        _draw(tagged[0])
    return summary.exit_code


def _find(inputs: list[str], files_from: str | None, recursive: bool) -> list[Path | AudioError]:
    from diffres_cli.audio import find_recordings

    if not inputs and files_from is None:
        raise UsageError("nothing to tag: name files, folders or patterns, or - for standard input")
    if files_from == "-" and "-" in inputs:
        raise UsageError("standard input cannot be both the audio (-) and the list (--files-from -)")
    listed = _listed(files_from) if files_from is not None else []
    if listed or files_from is None:
        return list(find_recordings([*inputs, *listed], recursive))
    return [*find_recordings(inputs, recursive), AudioError(f"--files-from {files_from}: the list is empty")]


def _listed(files_from: str) -> list[str]:
    from diffres_cli.audio import MEDIA_EXTENSIONS, paths_from

    if Path(files_from).suffix.lower() in MEDIA_EXTENSIONS:
        raise UsageError(f"--files-from {files_from}: a recording, not a list; name it without --files-from")
    if files_from == "-" and sys.stdin is None:
        raise UsageError("--files-from -: standard input is closed; send the list through a pipe")
    listed = paths_from(files_from)
    odd = next((path for path in listed if _BINARY.search(path) and not os.path.lexists(path)), None)
    if odd is not None:
        raise UsageError(f"--files-from {files_from}: not a list of paths, one a line: {odd[:40]!r} is none")
    return listed


def _refuse_overwriting(found: list[Path | AudioError], output: Path | None) -> None:
    if output is not None and any(isinstance(item, Path) and _same(item, output) for item in found):
        raise UsageError(f"--output {output}: this is one of the recordings; choose another file")


def _same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        return False


def _say_setup(tagger: Tagger, count: int) -> None:
    card = tagger.card
    say(
        f"{card.name} ({card.architecture}, {len(card.classes)} classes, "
        f"{card.minimum_fps:g} to {card.maximum_fps:g} fps), "
        f"{tagger.backend} on {tagger.device}, {count} {'input' if count == 1 else 'inputs'}"
    )


def _report(summary: Summary, quiet: bool) -> None:
    """Warnings and failures, after everything that went well."""
    if not quiet:
        for warning in summary.warnings:
            say(f"warning: {warning}")
        if summary.effort.windows:
            say(f"--fps auto: {summary.effort}")
    for failure in summary.failures:
        say(failure)
    if summary.failures and summary.done:
        total = summary.done + len(summary.failures)
        say(f"{len(summary.failures)} of {total} inputs failed")


def _draw(prediction: Prediction) -> None:
    """The strip under the labels; a recording too long to hold its spectrogram has none."""
    if prediction.windows[0].spectrogram is None:
        return
    from diffres_cli.terminal import strip

    emit("\n")
    show(lambda columns, _: strip(prediction, columns))
