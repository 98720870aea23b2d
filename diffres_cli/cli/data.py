"""`diffres data`: which datasets there are, how to get them, and whether one is all here."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diffres_cli.cli import options
from diffres_cli.cli.console import print_message, print_result, print_table
from diffres_cli.cli.report import INTERRUPTED
from diffres_cli.cores import available_cores
from diffres_cli.text import to_csv

if TYPE_CHECKING:
    from diffres_cli.datasets.check import Problem
    from diffres_cli.datasets.clip import Dataset, Source

_MIN_FILES_PER_WORKER = 500  # recordings: starting a process takes as long as reading about this many headers
_SHOWN = 5  # problems printed where no report is asked for

Name = Annotated[str, typer.Argument(help="As `diffres data list` names it, or package.module:NAME.")]

data_app = typer.Typer(
    help="List the datasets, download them, and check what is here.",
    add_completion=False,
    rich_markup_mode=None,
)


@data_app.callback(invoke_without_command=True)
def data(context: typer.Context, debug: options.Debug = False) -> int:
    """List the datasets with classes, clips and licence."""
    return list_datasets() if context.invoked_subcommand is None else 0


@data_app.command("list")
def list_datasets(debug: options.Debug = False) -> int:
    """List the datasets with classes, clips and licence."""
    from diffres_cli.datasets.catalog import SOURCES

    heads = ("name", "title", "classes", "clips", "licence", "download", "here")
    print_table(heads, *map(_row, SOURCES.values()))
    return 0


@data_app.command()
def info(name: Name, debug: options.Debug = False) -> None:
    """Print a dataset's facts: licence, splits, archives, folder."""
    from diffres_cli.datasets.catalog import find_source

    facts = _facts(find_source(name))
    width = max(len(key) for key, _ in facts)
    for key, value in facts:
        print_result(f"{key:<{width}}  {value}\n")


@data_app.command()
def download(
    name: Name,
    data: options.Data = None,
    keep_archives: Annotated[
        bool,
        typer.Option(
            "--keep-archives", help="Keep them, in DIR/.download. Otherwise each is deleted once unpacked."
        ),
    ] = False,
    debug: options.Debug = False,
) -> int:
    """Download a dataset, verify it and unpack it. An interrupted download resumes where it stopped.

    Behind a mirror, set DIFFRES_DATA_MIRROR=http://mirror:port: it takes the place of the scheme and host
    of every archive's address, the paths stay.
    """
    from diffres_cli.cli.progress import StepsBar
    from diffres_cli.datasets.catalog import find_source
    from diffres_cli.datasets.download.download import download as fetch_dataset

    source = find_source(name)
    if source.archives:
        print_message(f"{source.title}: licence {source.licence}; cite {source.citation}")
    folder = _folder(source, data)
    try:
        with StepsBar() as steps:
            dataset = fetch_dataset(source, folder, keep_archives=keep_archives, on_step=steps.show)
    except KeyboardInterrupt:
        print_message("stopped: the same command resumes here")
        return INTERRUPTED
    return 0 if _print_counts(source, dataset) and not dataset.missing else 1


@data_app.command()
def check(
    name: Name,
    data: options.Data = None,
    deep: Annotated[bool, typer.Option("--deep", help="Decode everything, not only headers.")] = False,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Worker processes. [default: by cores]")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A CSV file of all problems: clip, split, why.")
    ] = None,
    debug: options.Debug = False,
) -> int:
    """Count the clips of each split; find missing and broken ones."""
    from diffres_cli.datasets.catalog import find_source, load_dataset
    from diffres_cli.datasets.download.download import is_unfinished

    source = find_source(name)
    dataset = load_dataset(name, data, unfinished=True)
    found = _find_problems(dataset, deep, jobs)
    folder = _folder(source, data)
    if unfinished := is_unfinished(folder):
        print_message(f"{folder}: a download was cut off: `diffres data download {name}` resumes it")
    is_complete = _print_counts(source, dataset)
    _print_problems(found, output)
    if len({problem.name for problem in found if problem.kind == "undecodable"}) == len(dataset.clips):
        return 3
    return 0 if is_complete and not found and not unfinished else 1


def _find_problems(dataset: Dataset, deep: bool, jobs: int | None) -> list[Problem]:
    from diffres_cli.cli.progress import StepsBar
    from diffres_cli.datasets.check import find_problems

    total = len({clip.path for clip in dataset.clips})
    jobs = jobs or min(available_cores(), max(1, total // _MIN_FILES_PER_WORKER))
    with StepsBar(count=True) as steps:
        show = partial(steps.show, f"checking {dataset.name}", total=total)
        return list(find_problems(dataset, deep=deep, jobs=jobs, on_done=show))


def _print_counts(source: Source, dataset: Dataset) -> bool:
    """Splits, official and here, to standard output. Returns whether all official clips are listed here."""
    counts = dataset.counts
    print_result(f"{source.name}  {dataset.root}\n")
    splits = dict.fromkeys([*source.splits, *counts])
    rows = [(split, str(source.splits.get(split, "–")), str(counts.get(split, 0))) for split in splits]
    print_table(("split", "official", "here"), *rows)
    return all(counts.get(split, 0) == count for split, count in source.splits.items())


def _print_problems(found: Sequence[Problem], output: Path | None) -> None:
    from diffres_cli.datasets.check import PROBLEM_KINDS
    from diffres_cli.files import write_atomically

    for kind in PROBLEM_KINDS:
        print_result(f"{kind}: {sum(problem.kind == kind for problem in found)}\n")
    if output is not None:
        text = to_csv([("name", "split", "problem", "reason"), *found])
        write_atomically(output, text.encode("utf-8", "surrogateescape"))
        return
    for problem in found[:_SHOWN]:
        print_message(f"{problem.name}: {problem.kind}: {problem.reason}")
    if len(found) > _SHOWN:
        print_message(f"and {len(found) - _SHOWN} more: -o FILE.csv lists them all")


def _folder(source: Source, data: Path | None) -> Path:
    from diffres_cli.datasets.folders import data_folder

    return data_folder(source.folder) if data is None else data.expanduser()


def _row(source: Source) -> tuple[str, ...]:
    clips = sum(source.splits.values())
    return (
        source.name,
        source.title,
        str(source.classes or "any"),
        str(clips or "any"),
        source.licence or "yours",
        "yes" if source.archives else "by hand" if source.manual else "–",
        _state(source),
    )


def _state(source: Source) -> str:
    """Whether something is where the dataset would be; whether it is complete, `check` says."""
    from diffres_cli.datasets.download.download import is_unfinished

    if not source.splits:  # a user's own clips
        return "–"
    folder = _folder(source, None)
    if is_unfinished(folder):
        return "cut off"
    return "yes" if folder.is_dir() and any(path.name[0] != "." for path in folder.iterdir()) else "no"


def _facts(source: Source) -> list[tuple[str, str]]:
    """Everything worth knowing of a dataset, as text."""
    from diffres_cli.datasets.download.archive import mirrored_url

    facts = [
        ("name", source.name),
        ("title", source.title),
        ("citation", source.citation),
        ("licence", source.licence),
        ("home", source.home),
        ("classes", f"{source.classes or 'any number'}, {'several' if source.multi_label else 'one'} a clip"),
        ("clip", f"{source.seconds:g} s"),
        *(("split", f"{split}: {count} clips") for split, count in source.splits.items()),
        ("folder", str(_folder(source, None)) if source.splits else ""),
    ]
    for archive in source.archives:
        size = f"{archive.size} bytes" if archive.size else "no stated size"
        checksum = archive.checksum or "no checksum"
        facts.append(("archive", f"{archive.name}  {size}  {checksum}  {mirrored_url(archive.url)}"))
    return [(key, value) for key, value in [*facts, ("by hand", source.manual)] if value]
