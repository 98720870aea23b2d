"""What was typed for `diffres tag` -> planned recordings, an engine and results, checked before any work."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from diffres_cli.batch.plan import Task, parse_shard, plan
from diffres_cli.batch.run import Engine, Results, local_engine
from diffres_cli.batch.stream import open_stream_results
from diffres_cli.batch.work import Setup
from diffres_cli.cli.inputs import check_not_input, is_folder
from diffres_cli.cli.progress import RecordingsBar
from diffres_cli.errors import AudioError, OutputError, SettingError
from diffres_cli.files import reason
from diffres_cli.outputs import check_format, choose_format, find_format
from diffres_cli.tagging.tagger import Tagger


class TagRun(NamedTuple):
    """What `tag_all` is given."""

    items: Sequence[Task | AudioError]
    engine: Engine
    results: AbstractContextManager[Results]


def stream_run(
    setup: Setup,
    found: list[str | AudioError],
    output: Path | None,
    format_: str | None,
    jobs: int | None,
    bar: RecordingsBar,
    on_load: Callable[[Tagger], None] | None,
    *,
    picture: bool,
) -> TagRun:
    """Results as they come, in one process unless `jobs` says otherwise; on a terminal one may be drawn.

    Raises:
        UsageError: a format that cannot hold the results; the output is one of the recordings.
    """
    check_not_input(found, output, "output")
    name = choose_format(format_, output)
    shown = output is None and sys.stdout.isatty()
    if find_format(name).binary and shown:
        raise SettingError("format", name, "not for a terminal; name a file with -o")
    _check_format(name, setup, len(found))
    drawn = picture and shown and name == "table" and len(found) == 1 and setup.settings.channel != "each"
    setup = replace(setup.pinned(), spectrogram=drawn)
    engine = local_engine(setup, jobs or 1, in_order=True, on_window=bar.show, on_load=on_load)
    items = [Task(item, item) if isinstance(item, str) else item for item in found]
    return TagRun(items, engine, open_stream_results(output, name, bar.clear))


def resumable_run(
    setup: Setup,
    found: list[str | AudioError],
    inputs: list[str],
    output: Path | None,
    combined: Path | None,
    format_: str | None,
    jobs: int | None,
    shard: str | None,
    bar: RecordingsBar,
    on_load: Callable[[Tagger], None] | None,
    *,
    force: bool,
) -> TagRun:
    """Results in the folder `output`, in one file, or both; a process for each core where they are many.

    Raises:
        UsageError: a format that cannot hold the results; two files to write; one is one of the recordings.
        OutputError: the one file cannot be replaced.
    """
    from diffres_cli.batch.resumable import Resumable

    if output is not None and not is_folder(output):
        problem = "with --combined, this is a folder for a result each; name a folder or leave it out"
        raise SettingError("output", output, problem)
    mirrored, one_file = format_ or "json", choose_format(None if output else format_, combined, "combined")
    if output is not None:
        _check_format(mirrored, setup)
    if combined is not None:
        _check_replaceable(combined)
        _check_format(one_file, setup, 2)
        check_not_input(found, combined, "combined")
    part = parse_shard(shard)
    setup = replace(setup.pinned(), mirror=output, format=mirrored)
    results = Resumable(setup, combined, one_file, part, force)
    engine = local_engine(setup, jobs, on_window=bar.show, on_load=on_load)
    return TagRun(plan(found, inputs), engine, results)


def ray_run(
    setup: Setup,
    found: list[str | AudioError],
    inputs: list[str],
    output: str | None,
    address: str | None,
    jobs: int | None,
    *,
    force: bool,
    loud: bool,
) -> TagRun:
    """Workers on a Ray cluster, which write a folder of Parquet files.

    Raises:
        UsageError: no folder is named; inputs, settings or a model that no worker could take.
    """
    from diffres_cli.batch.fingerprint import fingerprint
    from diffres_cli.batch.ray.engine import RayEngine
    from diffres_cli.batch.ray.parts import Parts
    from diffres_cli.batch.ray.remote import plan_anywhere
    from diffres_cli.checkpoint.find import read_model
    from diffres_cli.tagging.tagger import tagger_of

    if "-" in found:
        raise SettingError("engine", "ray", "its workers have no standard input; name files or URLs")
    if output is None:
        problem = "it writes a folder of Parquet files; name it with -o, by a shared path or by URL"
        raise SettingError("engine", "ray", problem)
    _check_format("parquet", setup, 2)
    setup = setup.pinned()
    model = read_model(Path(setup.model))
    setup.settings.resolve(
        tagger_of(model, "cpu", fps=setup.settings.fps).card
    )  # a GPU may be where the workers are
    parts = Parts(output, fingerprint(setup, here=False), force=force)
    return TagRun(plan_anywhere(found, inputs), RayEngine(setup, model, parts, address, jobs, loud), parts)


def _check_format(name: str, setup: Setup, recordings: int = 1) -> None:
    settings = setup.settings
    arrays = settings.importance or settings.embeddings
    check_format(name, recordings=recordings, events=settings.events, arrays=arrays)


def _check_replaceable(path: Path) -> None:
    """Raise at the start for a file that could not be replaced at the end."""
    if not os.path.exists(path):  # noqa: PTH110 (says no, where Path raises)
        return
    if path.is_dir():
        raise SettingError("combined", path, "this is a folder; name a file, or write there with -o")
    if not path.is_file():
        problem = "not a regular file, so a run cannot resume from it; name one, or write there with -o"
        raise SettingError("combined", path, problem)
    try:
        path.open("r+b").close()
    except OSError as error:
        why = f"cannot be written: {reason(error)}"
        raise OutputError(f"--combined {path}: {why}; choose another file") from error
