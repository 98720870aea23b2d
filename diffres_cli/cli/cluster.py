"""`diffres tag --engine ray`: from anywhere, by many machines, into a folder of Parquet files anywhere."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from diffres_cli.cli.config import is_typed
from diffres_cli.cli.console import print_message
from diffres_cli.cli.folder import at_least_one, attend, progress
from diffres_cli.cores import available_cores
from diffres_cli.errors import AudioError, SettingError, UsageError
from diffres_cli.outputs import check_format

if TYPE_CHECKING:
    from diffres_cli.batch.plan import Task
    from diffres_cli.batch.ray.engine import RayEngine
    from diffres_cli.batch.ray.worker import Job
    from diffres_cli.batch.run import Run
    from diffres_cli.batch.work import Setup
    from diffres_cli.checkpoint.find import ModelFile

ENGINES = ("local", "ray")


def choose_engine(name: str) -> str:
    """The engine asked for.

    Raises:
        UsageError: we have none of that name.
    """
    if name not in ENGINES:
        raise SettingError("engine", name, f"choose {' or '.join(ENGINES)}")
    return name


def refuse_local(context: typer.Context, format_: str | None) -> None:
    """Refuse options that only a run on this machine has; set by a variable or a file they wait for one.

    Raises:
        UsageError: one of them was typed.
    """
    for name in ("combined", "shard"):
        if is_typed(context, name):
            raise UsageError(
                f"--{name} works with --engine local; with ray, -o names a folder of Parquet files"
            )
    if is_typed(context, "format_") and format_ != "parquet":
        raise UsageError(f"--format {format_}: --engine ray writes parquet")


@dataclass(frozen=True)
class Cluster:
    """The options of `diffres tag` that a run on Ray has.

    Attributes:
        output: a folder, by path or URL. address: of the cluster. jobs: workers.
    """

    output: str | None
    address: str | None
    jobs: int | None
    force: bool
    quiet: bool
    debug: bool

    @property
    def where(self) -> str:
        """The folder of results.

        Raises:
            UsageError: none is named.
        """
        if self.output is None:
            raise UsageError(
                "--engine ray writes a folder of Parquet files: name it with -o, by a path that all machines "
                "share or a URL such as s3://birds/tags"
            )
        return self.output

    @property
    def engine(self) -> RayEngine:
        """What runs the tasks.

        Raises:
            UsageError: jobs below 1.
        """
        from diffres_cli.batch.ray.engine import RayEngine

        at_least_one(self.jobs)
        return RayEngine(self.address, self.jobs, available_cores(), loud=self.debug)


def tag_on_cluster(cluster: Cluster, setup: Setup, found: list[str | AudioError], inputs: list[str]) -> int:
    """Tag what is not done yet and report, as `tag_folder` does."""
    from diffres_cli.batch.fingerprint import fingerprint
    from diffres_cli.batch.ray.remote import Store
    from diffres_cli.batch.ray.worker import Job, done_in
    from diffres_cli.batch.run import Run

    if any(item == "-" for item in found):
        raise SettingError("engine", "ray", "its workers have no standard input; name files or URLs")
    engine, store, summary = cluster.engine, Store(cluster.where), Run()
    settings = setup.settings
    check_format(
        "parquet", recordings=2, events=settings.events, arrays=settings.importance or settings.embeddings
    )
    setup = setup.pinned()
    model = _checked(setup)
    job = Job(setup, store.path, fingerprint(setup, here=False), str(Path.cwd()))
    store.make()
    for name in store.parts() if cluster.force else ():
        store.remove(name)
    todo = _todo(_planned(found, inputs), done_in(store, job.fingerprint), summary)
    if summary.skipped and not cluster.quiet:
        print_message(
            f"{summary.skipped} recordings are done already, {len(todo)} to go (--force tags all again)"
        )
    return _run(engine, job, model, todo, summary, cluster.quiet)


def _checked(setup: Setup) -> ModelFile:
    """The model that every worker will load; what is wrong with it, or the settings, is said before."""
    from diffres_cli.checkpoint.find import read_model
    from diffres_cli.tagging.tagger import tagger_of

    model = read_model(Path(setup.model))
    setup.settings.resolve(tagger_of(model, "cpu").card)  # a GPU may be where the workers are
    return model


def _planned(found: list[str | AudioError], inputs: list[str]) -> list[Task | AudioError]:
    from diffres_cli.batch.plan import Task, plan
    from diffres_cli.batch.ray.remote import is_url

    here = [item for item in found if isinstance(item, AudioError) or not is_url(item)]
    there = [item for item in found if isinstance(item, str) and is_url(item)]
    return [*plan(here, [text for text in inputs if not is_url(text)]), *(Task(url, url) for url in there)]


def _todo(items: list[Task | AudioError], done: dict[str, Task], summary: Run) -> list[Task]:
    """The tasks that are not done; the rest, and what cannot be done, is counted."""
    from diffres_cli.audio import printable

    todo: list[Task] = []
    for item in items:
        if isinstance(item, AudioError):
            summary.failures.append(str(item))
        elif item.path not in done:
            todo.append(item)
        elif done[item.path] == item:
            summary.skipped += 1
        else:
            name = printable(item.path)
            summary.failures.append(f"{name}: changed since it was tagged; --force tags all again")
    return todo


def _run(engine: RayEngine, job: Job, model: ModelFile, todo: list[Task], summary: Run, quiet: bool) -> int:
    from diffres_cli.cli.progress import RecordingsBar

    bar = RecordingsBar(shown=sys.stderr.isatty() and not quiet)

    bar.total = len(todo)

    def work() -> None:
        if not todo:
            return
        with engine.connected(), bar:
            for outcome in engine.run(job, model, todo):
                summary.note(outcome)
                progress(bar, outcome)

    return attend(work, summary, quiet)
