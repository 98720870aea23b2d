"""`diffres viz`: which moments the model kept, as a picture."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diffres_cli.cli import options
from diffres_cli.errors import UsageError

if TYPE_CHECKING:
    from diffres_cli.prediction import Prediction
    from diffres_cli.tagger import Settings, Tagger


def viz(
    input_: Annotated[
        str, typer.Argument(metavar="INPUT", help="A recording, or - for standard input.", show_default=False)
    ],
    model: options.Model = options.DEFAULT,
    fps: Annotated[
        str | None,
        typer.Option(
            "--fps",
            help="One rate or several to compare: 25,50,100. [default: the model's]",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="A .png, .svg or .pdf. [default: INPUT.diffres.png]",
            show_default=False,
        ),
    ] = None,
    terminal: Annotated[bool, typer.Option("--terminal", help="Draw in the terminal.")] = False,
    start: Annotated[float, typer.Option("--start", help="Begin here, in seconds.")] = 0.0,
    duration: Annotated[
        float | None,
        typer.Option(
            "--duration", help="Draw this many seconds, at most 600. [default: all]", show_default=False
        ),
    ] = None,
    width: Annotated[float, typer.Option("--width", help="Of the figure, in inches.")] = 3.5,
    top_k: options.TopK = 3,
    min_confidence: options.MinConfidence = 0.1,
    window: options.Window = None,
    overlap: options.Overlap = 0.0,
    device: options.Device = "auto",
    backend: options.Backend = "onnx",
    debug: options.Debug = False,
) -> None:
    """Draw mel spectrogram, frame importance, warp and merged spectrogram on one time axis.

    Without -o the picture is drawn in the terminal, where standard output is one.
    """
    from diffres_cli.tagger import Settings, load_tagger

    rates = [options.frame_rate(part) for part in fps.split(",")] if fps else [None]
    in_terminal = terminal or (output is None and sys.stdout.isatty())
    target = None if in_terminal and output is None else _target(input_, output)
    tagger = load_tagger(model, backend=backend, device=device)
    chosen = [
        Settings(rate, top_k, min_confidence, window, overlap, start, duration).resolve(tagger.card)
        for rate in rates
    ]
    predictions = _tag_at(tagger, input_, chosen)
    if in_terminal:
        _draw(predictions)
    if target is not None:
        from diffres_cli.figure import draw

        draw(predictions, target, width=width)
        print(target, file=sys.stderr if in_terminal else sys.stdout)


def _target(input_: str, output: Path | None) -> Path:
    stem = "stdin" if input_ == "-" else Path(input_).stem
    return output or Path(f"{stem}.diffres.png")


def _tag_at(tagger: Tagger, input_: str, chosen: list[Settings]) -> list[Prediction]:
    """One prediction a rate; standard input is read once."""
    source = sys.stdin.buffer.read() if input_ == "-" else input_
    return [_tag(tagger, source, settings) for settings in chosen]


def _tag(tagger: Tagger, source: str | bytes, settings: Settings) -> Prediction:
    from dataclasses import replace

    from diffres_cli.audio import open_recording
    from diffres_cli.job import LONGEST_DRAWN

    with open_recording(source, name="-" if isinstance(source, bytes) else None) as recording:
        total = (recording.frames or 0) / recording.sample_rate
        wanted = total - settings.start if settings.duration is None else settings.duration
        if wanted > LONGEST_DRAWN:
            raise UsageError(
                f"{recording.name}: {wanted:.0f} s to draw, at most {LONGEST_DRAWN:.0f} s fit a picture: "
                "choose a part with --start and --duration"
            )
        bounded = replace(settings, duration=settings.duration or LONGEST_DRAWN)
        return tagger.tag_recording(recording, bounded, spectrogram=True)


def _draw(predictions: list[Prediction]) -> None:
    from rich.console import Console

    from diffres_cli.terminal import picture

    console = Console()
    height = max(16, console.height // len(predictions) - 2)
    for prediction in predictions:
        console.print(picture(prediction, console.width, height))
