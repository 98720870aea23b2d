"""`diffres viz`: which moments the model kept, as a picture."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, cast

import typer

from diffres_cli.cli import options
from diffres_cli.cli.console import print_message, print_picture, print_result
from diffres_cli.cli.options import INPUT, MODEL, OUTPUT, option, setting
from diffres_cli.errors import AudioError, SettingError, StalledError, UsageError
from diffres_cli.text import printable
from diffres_cli.timeouts import DEFAULT_TIMEOUT, run_with_timeout

if TYPE_CHECKING:
    from rich.console import RenderableType

    from diffres_cli.audio import Recording
    from diffres_cli.tagging.prediction import Prediction
    from diffres_cli.tagging.tagger import Settings, Tagger

MAX_RATES = 8
MIN_LINES = 16


def viz(
    input_: Annotated[str, typer.Argument(metavar="INPUT", help="A recording, or - for standard input.")],
    start: Annotated[float, option(panel=INPUT, help="Begin here, in seconds.")] = 0.0,
    duration: Annotated[
        float | None, option(panel=INPUT, help="Draw this many seconds, at most 600. [default: all]")
    ] = None,
    channel: options.OneChannel = "mix",
    output: Annotated[
        Path | None,
        option(
            "--output",
            "-o",
            panel=OUTPUT,
            help="A .png, .svg or .pdf. [default: NAME.diffres.png in this folder]",
        ),
    ] = None,
    terminal: Annotated[bool, option("--terminal", panel=OUTPUT, help="Draw in the terminal.")] = False,
    width: Annotated[float, setting("--width", panel=OUTPUT, help="Of the figure, in inches.")] = 3.5,
    top_k: options.TopK = 3,
    min_confidence: options.MinConfidence = 0.1,
    ranking: options.Ranking = "specific",
    model: options.Model = options.DEFAULT,
    fps: Annotated[
        str | None,
        setting(
            "--fps", panel=MODEL, help="One rate or several to compare: 25,50,100. [default: the model's]"
        ),
    ] = None,
    window: options.Window = None,
    overlap: options.Overlap = 0.0,
    device: options.Device = "auto",
    backend: options.Backend = "onnx",
    offline: options.Offline = False,
    timeout: options.Timeout = DEFAULT_TIMEOUT,
    debug: options.Debug = False,
) -> None:
    """Draw mel spectrogram, frame importance, warp and merged spectrogram on one time axis.

    Where importance is even, or no frames are merged, words say so and the spectrograms get more room.
    Without -o the picture is drawn in the terminal, where standard output is one.
    """
    from diffres_cli.tagging.tagger import Settings, load_tagger

    rates, timeout = _rates(fps), options.check_timeout(timeout)
    in_terminal = terminal or (output is None and sys.stdout.isatty())
    target = None if in_terminal and output is None else _target(input_, output, width)
    tagger = load_tagger(model, backend=backend, device=device, offline=offline, fps=rates[0])
    for text in tagger.warnings:
        print_message(f"warning: {text}")
    given = Settings(
        None, top_k, min_confidence, window, overlap, start, duration,
        channel=options.parse_channel(channel), ranking=ranking,
    )  # fmt: skip
    chosen = [replace(given, fps=rate).resolve(tagger.card) for rate in rates]
    predictions = _tag_at(tagger, input_, chosen, timeout)
    for text in dict.fromkeys(text for prediction in predictions for text in prediction.warnings):
        print_message(f"warning: {printable(input_)}: {text}")
    for prediction in predictions if in_terminal else ():
        print_picture(partial(_drawing, prediction, len(predictions)))
    if target is not None:
        from diffres_cli.figure import draw

        draw(predictions, target, width=width)
        if in_terminal:
            print_message(str(target))
        else:
            print_result(f"{target}\n")


def _rates(text: str | None) -> list[float | None]:
    if text is None:
        return [None]
    rates = [options.parse_fps(part) for part in text.split(",")]
    if len(rates) > MAX_RATES:
        raise SettingError("fps", text, f"{len(rates)} rates; at most {MAX_RATES} fit a picture")
    return rates


def _target(input_: str, output: Path | None, width: float) -> Path:
    """Where the figure goes, refused before any work is done if it cannot be drawn."""
    from diffres_cli.figure import check_picture

    target = output or Path(f"{'stdin' if input_ == '-' else Path(input_).stem}.diffres.png")
    check_picture(target, width)
    return target


def _tag_at(tagger: Tagger, input_: str, chosen: list[Settings], timeout: float) -> list[Prediction]:
    """Predictions ordered by channel, then by rate; standard input is read once.

    Raises:
        AudioError: it cannot be read, or was given up.
    """
    from diffres_cli.audio.sources import open_stdin
    from diffres_cli.batch.work import explain_failure

    source = cast(BinaryIO, open_stdin().stream) if input_ == "-" else input_
    with nullcontext() if isinstance(source, str) else source:
        try:
            rates = [
                run_with_timeout(partial(_tag, tagger, source, settings, len(chosen)), timeout)
                for settings in chosen
            ]
        except StalledError as error:
            raise AudioError(explain_failure(error, input_)) from error
    return [prediction for channel in zip(*rates, strict=True) for prediction in channel]


def _tag(tagger: Tagger, source: str | BinaryIO, settings: Settings, rates: int) -> list[Prediction]:
    from diffres_cli.audio import open_recording
    from diffres_cli.batch.work import MAX_DRAWN_SECONDS

    if not isinstance(source, str):
        source.seek(0)
    most = MAX_DRAWN_SECONDS + 0.5
    with open_recording(source, name=None if isinstance(source, str) else "-") as recording:
        if settings.channel == "each" and recording.channels * rates > MAX_RATES:
            given = f"{recording.channels} channels at {rates} rates"
            raise SettingError("channel", "each", f"{given}; at most {MAX_RATES} fit a picture; choose one")
        wanted = settings.duration or (recording.frames or 0) / recording.sample_rate - settings.start
        if wanted > most:
            raise _too_long(recording, f"{wanted:.0f} s")
        # A header need not state the length. Reading a little further tells whether it was too long.
        bounded = replace(settings, duration=settings.duration or most + 0.5)
        predictions = tagger.tag_channels(recording, bounded, spectrogram=True)
        if predictions[0].windows[-1].end - settings.start > most:
            raise _too_long(recording, f"more than {MAX_DRAWN_SECONDS:.0f} s")
    return predictions


def _too_long(recording: Recording, seconds: str) -> UsageError:
    from diffres_cli.batch.work import MAX_DRAWN_SECONDS

    most = f"at most {MAX_DRAWN_SECONDS:.0f} s fit a picture: choose a part with --start and --duration"
    return UsageError(f"{printable(recording.name)}: {seconds} to draw, {most}")


def _drawing(prediction: Prediction, count: int, columns: int, lines: int) -> RenderableType:
    """One picture of `count` that share a screen, as far as it goes."""
    from diffres_cli.figure.terminal import render_picture

    return render_picture(prediction, columns, max(MIN_LINES, lines // count - 2))
