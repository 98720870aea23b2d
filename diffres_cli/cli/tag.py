"""`diffres tag`: recordings in, labels out."""

from __future__ import annotations

import sys
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diffres_cli.cli import options
from diffres_cli.errors import UsageError

if TYPE_CHECKING:
    from diffres_cli.errors import AudioError
    from diffres_cli.job import Summary
    from diffres_cli.prediction import Prediction
    from diffres_cli.tagger import Tagger


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
            metavar="NUMBER",
            help="Output frames per second: fewer is faster. [default: the model's]",
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
        )  # fmt: skip
        bar.clear()
        _report(summary, quiet)
        if output and not summary.done:
            raise typer.Exit(summary.exit_code)  # leaves whatever stood at `output` untouched
    if wanted and tagged:
        _draw(tagged[0])
    return summary.exit_code


def _find(inputs: list[str], files_from: str | None, recursive: bool) -> list[Path | AudioError]:
    from diffres_cli.audio import find_recordings, paths_from

    if not inputs and files_from is None:
        raise UsageError("nothing to tag: name files, folders or patterns, or - for standard input")
    if files_from == "-" and "-" in inputs:
        raise UsageError("standard input cannot be both the audio (-) and the list (--files-from -)")
    listed = paths_from(files_from) if files_from is not None else []
    return list(find_recordings([*inputs, *listed], recursive))


def _say_setup(tagger: Tagger, count: int) -> None:
    card = tagger.card
    print(
        f"diffres: {card.name} ({card.architecture}, {len(card.classes)} classes, "
        f"{card.minimum_fps:g} to {card.maximum_fps:g} fps), "
        f"{tagger.backend} on {tagger.device}, {count} inputs",
        file=sys.stderr,
    )


def _report(summary: Summary, quiet: bool) -> None:
    """Warnings and failures, after everything that went well."""
    if not quiet:
        for warning in summary.warnings:
            print(f"diffres: warning: {warning}", file=sys.stderr)
    for failure in summary.failures:
        print(f"diffres: {failure}", file=sys.stderr)
    if summary.failures and summary.done:
        total = summary.done + len(summary.failures)
        print(f"diffres: {len(summary.failures)} of {total} inputs failed", file=sys.stderr)


def _draw(prediction: Prediction) -> None:
    """The strip under the labels; a recording too long to hold its spectrogram has none."""
    if prediction.windows[0].spectrogram is None:
        return
    from rich.console import Console

    from diffres_cli.terminal import strip

    console = Console()
    console.print()
    console.print(strip(prediction, console.width))
