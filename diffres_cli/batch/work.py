"""One task -> its outcome: the function every engine runs, in this process or another."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from diffres_cli.audio import Recording, open_recording, printable
from diffres_cli.batch.job import explain
from diffres_cli.batch.plan import Task
from diffres_cli.checkpoint.find import find_model
from diffres_cli.errors import AudioError, DependencyError, OutputError, OverdueError, UsageError
from diffres_cli.files import make_folder, write_atomically
from diffres_cli.outputs import find_format, make_writer
from diffres_cli.tagging.prediction import Prediction
from diffres_cli.tagging.record import Record
from diffres_cli.tagging.settings import Settings
from diffres_cli.tagging.tagger import Tagger, load_tagger
from diffres_cli.timeouts import DEFAULT_TIMEOUT, run_with_timeout

_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}  # full or broken for all


@dataclass(frozen=True)
class Setup:
    """Everything an engine needs to do its work in another process.

    Attributes:
        model, backend, device, offline: as `load_tagger` takes them. settings: how to tag.
        mirror: the folder each result is written to, or None. format: of those results.
        timeout: seconds without progress after which a recording is given up; 0: never.
    """

    model: str
    settings: Settings
    backend: str = "onnx"
    device: str = "auto"
    offline: bool = False
    mirror: Path | None = None
    format: str = "jsonl"
    timeout: float = DEFAULT_TIMEOUT

    def pinned(self) -> Setup:
        """The same with the model's file in place of its name, so that every worker, also one started late,
        loads the same bytes.

        Raises:
            UsageError: no such model. ModelError: it cannot be fetched.
        """
        path = find_model(self.model, weights=self.backend == "torch", offline=self.offline)
        return replace(self, model=str(path))

    def load(self) -> Tagger:
        """The tagger this describes."""
        return load_tagger(self.model, backend=self.backend, device=self.device, offline=self.offline)


@dataclass(frozen=True)
class Outcome:
    """What became of a task: a record, one for each channel where that was asked for, or why there is none.

    `warnings` are the tagger's, the same with every task. `overdue`: it was given up, and what it did may
    still go on.
    """

    task: Task
    records: tuple[Record, ...] = ()
    error: str | None = None
    warnings: tuple[str, ...] = ()
    overdue: bool = False


def do(
    tagger: Tagger, setup: Setup, task: Task, open_: Callable[[str], Recording] = open_recording
) -> Outcome:
    """Tag one recording and, in a mirrored tree, write its result.

    Args:
        open_: how to open what the task's path names.

    Raises:
        UsageError: settings out of range. OutputError: the result cannot be written.
        DependencyError: the decoder is not installed, or does not load.
    """

    def tag() -> list[Prediction]:
        with open_(task.path) as recording:
            return tagger.tag_channels(recording, setup.settings)

    try:
        predictions = run_with_timeout(tag, setup.timeout)
        _refuse_changed(task)
    except (UsageError, DependencyError):
        raise
    except Exception as error:  # whatever a decoder thinks of
        overdue = isinstance(error, OverdueError)
        return Outcome(task, error=explain(error, Path(task.path)), overdue=overdue)
    records = tuple(each.to_dict() for each in predictions)
    if setup.mirror is not None:
        try:
            _write(mirrored(setup.mirror, task, setup.format), records, setup)
        except OutputError as error:
            _refuse_gone(setup.mirror)
            if _is_full(error):
                raise
            return Outcome(task, error=f"{printable(task.path)}: {error}")
    return Outcome(task, records, warnings=tagger.warnings)


def mirrored(folder: Path, task: Task, format_: str) -> Path:
    """Where a task's result goes below `folder`: the whole name and the format's suffix.

    >>> mirrored(Path("out"), Task("in/day 1/a.wav", "day 1/a.wav"), "csv").as_posix()
    'out/day 1/a.wav.csv'
    """
    return folder / (task.name + find_format(format_).suffix)


def _refuse_changed(task: Task) -> None:
    """A file that grew or was replaced meanwhile may have been read half old, half new."""
    if not task.modified:
        return
    try:
        now = Path(task.path).stat()
    except OSError as error:
        raise AudioError(
            f"{printable(task.path)}: it went away while it was read ({error.strerror})"
        ) from error
    if (now.st_size, now.st_mtime_ns) != (task.size, task.modified):
        raise AudioError(f"{printable(task.path)}: changed since this run began: run again to tag it")


def _is_full(error: OutputError) -> bool:
    """Whether no other result could be written either; a name too long, say, is one recording's matter."""
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in _DISK


def _refuse_gone(mirror: Path) -> None:
    if not mirror.is_dir():
        raise OutputError(f"the output folder {mirror} is gone: bring it back and run the same command again")


def _write(path: Path, records: tuple[Record, ...], setup: Setup) -> None:
    assert setup.mirror is not None
    _refuse_gone(setup.mirror)
    make_folder(path.parent)
    write_atomically(path, b"".join(make_writer(setup.format).format_file(records)), durable=False)
