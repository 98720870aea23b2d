"""`diffres tag`: recordings in, labels out."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from traceback import print_exception
from typing import TYPE_CHECKING, Annotated

import typer

from diffres_cli.cli import options
from diffres_cli.cli.cluster import Cluster, choose_engine, refuse_local, tag_on_cluster
from diffres_cli.cli.config import is_typed
from diffres_cli.cli.console import print_message, print_picture, print_result
from diffres_cli.cli.folder import Targets, is_folder, processes, progress, tag_folder
from diffres_cli.cli.inputs import find, refuse_overwriting
from diffres_cli.errors import AudioError, SettingError, UsageError
from diffres_cli.outputs import check_format, choose_format, find_format, format_of, make_writer
from diffres_cli.timeouts import DEFAULT_TIMEOUT

if TYPE_CHECKING:
    from diffres_cli.batch.job import Summary
    from diffres_cli.batch.work import Setup
    from diffres_cli.cli.progress import RecordingsBar
    from diffres_cli.outputs.sink import Sink
    from diffres_cli.tagging.prediction import Prediction
    from diffres_cli.tagging.settings import Settings
    from diffres_cli.tagging.tagger import Tagger


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
    events: options.Events = False,
    merge_gap: options.MergeGap = 0.0,
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
    from diffres_cli.tagging.settings import Settings

    if not events:
        _refuse_typed(context, "works on events: add --events", "merge_gap", "min_duration")
    output = None if target is None else Path(target)
    format_ = _overruled(context, format_, combined or output)
    if choose_engine(engine) == "ray":
        refuse_local(context, format_)
    else:
        _refuse_typed(context, "works on a cluster: add --engine ray", "ray_address")
    found = find(inputs or [], files_from, recursive, anywhere=engine == "ray")
    settings = Settings(
        options.frame_rate(fps), top_k, min_confidence, window, overlap,
        labels=options.label_names(labels), events=events, merge_gap=merge_gap, min_duration=min_duration,
        importance=importance, embeddings=embeddings, channel=options.channel_of(channel),
    )  # fmt: skip
    setup = _setup(model, settings, backend, device, offline, timeout)
    if engine == "ray":
        cluster = Cluster(target, ray_address, jobs, force, quiet, debug)
        return tag_on_cluster(cluster, setup, found, inputs or [])
    tagger = setup.load() if verbose else None
    if tagger:
        _say_setup(tagger, len(found))
    if is_folder(output) or combined is not None:
        targets = Targets(output, combined, format_, jobs, shard, force)
        return tag_folder(targets, setup, found, inputs or [], quiet)
    _refuse_typed(context, "works on a folder of results: add -o FOLDER or --combined FILE", "shard", "force")
    refuse_overwriting(found, output)
    name = choose_format(format_, output)
    if find_format(name).binary and output is None and sys.stdout.isatty():
        raise SettingError("format", name, "not for a terminal; name a file with -o")
    check_format(name, recordings=len(found), events=events, arrays=importance or embeddings)
    count = processes(jobs, found)
    if count > 1:
        return _tag_in_processes(count, setup, found, inputs or [], name, output, quiet=quiet)
    tagger = tagger or setup.load()
    settings.resolve(tagger.card)
    alone = len(found) == 1 and settings.channel != "each"
    wanted = picture and name == "table" and output is None and alone and sys.stdout.isatty()
    return _tag(tagger, found, setup, name, output, drawn=wanted, quiet=quiet, debug=debug)


def _setup(model: str, settings: Settings, backend: str, device: str, offline: bool, timeout: float) -> Setup:
    from diffres_cli.batch.work import Setup

    return Setup(model, settings, backend, device, offline=offline, timeout=options.time_limit(timeout))


def _tag(
    tagger: Tagger,
    found: list[str | AudioError],
    setup: Setup,
    format_: str,
    output: Path | None,
    *,
    drawn: bool,
    quiet: bool,
    debug: bool,
) -> int:
    """Tag one after the other, results as they come."""
    from diffres_cli.batch.job import is_drawable, tag_all

    tagged: deque[Prediction] = deque(maxlen=1)

    def work(sink: Sink, bar: RecordingsBar) -> Summary:
        def done(prediction: Prediction) -> None:
            bar.count(prediction.file, prediction.duration)
            tagged.append(prediction)

        return tag_all(
            tagger, map(_as_path, found), setup.settings, make_writer(format_), sink,
            wants_spectrogram=is_drawable if drawn else None,
            on_window=lambda path, *how: bar.show(str(path), *how), on_done=done,
            on_failure=print_exception if debug else None, timeout=setup.timeout,
        )  # fmt: skip

    code = _write(work, len(found), output, quiet)
    if drawn and tagged:
        _draw(tagged[0])
    return code


def _tag_in_processes(
    count: int,
    setup: Setup,
    found: list[str | AudioError],
    inputs: list[str],
    format_: str,
    output: Path | None,
    *,
    quiet: bool,
) -> int:
    """The same in several processes, results in the same order."""
    from diffres_cli.batch.plan import plan
    from diffres_cli.batch.stream import tag_in_order
    from diffres_cli.batch.workers import Workers

    def work(sink: Sink, bar: RecordingsBar) -> Summary:
        with Workers(count, setup.pinned()) as pool:
            return tag_in_order(
                pool, plan(found, inputs), make_writer(format_), sink, lambda outcome: progress(bar, outcome)
            )

    return _write(work, len(found), output, quiet)


def _write(
    work: Callable[[Sink, RecordingsBar], Summary], count: int, output: Path | None, quiet: bool
) -> int:
    from diffres_cli.cli.progress import RecordingsBar
    from diffres_cli.outputs.sink import open_sink

    bar = RecordingsBar(shown=sys.stderr.isatty() and not quiet)
    bar.total = count
    with bar, open_sink(output, before=bar.clear) as sink:
        summary = work(sink, bar)
        bar.clear()
        _report(summary, quiet)
        if output and not summary.done:
            raise typer.Exit(summary.exit_code)  # leaves whatever stood at `output` untouched
    return summary.exit_code


def _as_path(item: str | AudioError) -> Path | AudioError:
    return Path(item) if isinstance(item, str) else item


def _refuse_typed(context: typer.Context, why: str, *names: str) -> None:
    """Options that mean nothing here; set by a variable or a file they wait for where they do.

    Raises:
        UsageError: one of them was typed.
    """
    for name in names:
        if is_typed(context, name):
            raise UsageError(f"--{name.replace('_', '-')} {why}")


def _overruled(context: typer.Context, format_: str | None, output: Path | None) -> str | None:
    """The format, unless a variable or a file set it and the output that was typed has one by its suffix."""
    by_suffix = output is not None and not is_folder(output) and format_of(output) is not None
    return None if by_suffix and not is_typed(context, "format_") else format_


def _say_setup(tagger: Tagger, count: int) -> None:
    card = tagger.card
    print_message(
        f"{card.name} ({card.architecture}, {len(card.classes)} classes, "
        f"{card.minimum_fps:g} to {card.maximum_fps:g} fps), "
        f"{tagger.backend} on {tagger.device}, {count} {'input' if count == 1 else 'inputs'}"
    )


def _report(summary: Summary, quiet: bool) -> None:
    """Warnings and failures, after everything that went well."""
    if not quiet:
        for warning in summary.warnings:
            print_message(f"warning: {warning}")
    for failure in summary.failures:
        print_message(failure)
    if summary.failures and summary.done:
        total = summary.done + len(summary.failures)
        print_message(f"{len(summary.failures)} of {total} inputs failed")


def _draw(prediction: Prediction) -> None:
    """The strip under the labels; a recording too long to hold its spectrogram has none."""
    if prediction.windows[0].spectrogram is None:
        return
    from diffres_cli.figure.terminal import render_strip

    print_result("\n")
    print_picture(lambda columns, _: render_strip(prediction, columns))
