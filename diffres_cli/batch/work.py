"""One task -> its outcome: the function every engine runs, in this process or another."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from traceback import format_exception
from typing import NamedTuple

from diffres_cli.audio import Recording, open_recording, printable
from diffres_cli.batch.plan import Task
from diffres_cli.checkpoint.find import find_model
from diffres_cli.errors import (
    AudioError,
    DependencyError,
    DiffresError,
    OutputError,
    StalledError,
    UsageError,
)
from diffres_cli.files import make_folder, write_atomically
from diffres_cli.outputs import find_format, make_writer
from diffres_cli.tagging.prediction import Prediction
from diffres_cli.tagging.record import Record
from diffres_cli.tagging.settings import Settings
from diffres_cli.tagging.tagger import Tagger, load_tagger
from diffres_cli.timeouts import DEFAULT_TIMEOUT, run_with_timeout

MAX_DRAWN_SECONDS = 600.0  # seconds: 128 mel bins at 100 fps take 50 kB per second
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}  # full or broken for all


@dataclass(frozen=True)
class Setup:
    """Everything an engine needs to do its work in another process.

    Attributes:
        model, backend, device, offline: as `load_tagger` takes them. settings: how to tag.
        timeout: seconds without progress after which a recording fails; 0: never.
        mirror: the folder each result is written to, or None. format: of those results.
        spectrogram: keep the spectrogram of a short recording, to draw it.
    """

    model: str
    settings: Settings
    backend: str = "onnx"
    device: str = "auto"
    offline: bool = False
    timeout: float = DEFAULT_TIMEOUT
    mirror: Path | None = None
    format: str = "json"
    spectrogram: bool = False

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
        return load_tagger(
            self.model, backend=self.backend, device=self.device, offline=self.offline, fps=self.settings.fps
        )


class Failure(NamedTuple):
    """Why a recording has no result.

    Attributes:
        name: of the task; for an input without a recording, the message. message: one line.
        trace: where it was raised, for developers.
    """

    name: str
    message: str
    trace: str = ""


@dataclass(frozen=True)
class Outcome:
    """The result of a task: a record, or one for each channel if requested, or a failure.

    Attributes:
        warnings: the tagger's, the same with every task.
        timed_out: it exceeded the timeout, and its thread may still run.
        drawable: a prediction with its spectrogram, where the setup asks for one.
    """

    task: Task
    records: tuple[Record, ...] = ()
    failure: Failure | None = None
    warnings: tuple[str, ...] = ()
    timed_out: bool = False
    drawable: Prediction | None = None


def tag_task(
    setup: Setup,
    tagger: Tagger,
    task: Task,
    *,
    open_: Callable[[str], Recording] = open_recording,
    on_window: Callable[[str, float, float | None], None] | None = None,
) -> Outcome:
    """Tag one recording and, in a mirrored tree, write its result.

    Args:
        open_: how to open what the task's path names.
        on_window: called with the path, the seconds done and the total, None if the header has none.

    Raises:
        UsageError: settings out of range. OutputError: the result cannot be written.
        DependencyError: the decoder is not installed, or does not load.
    """

    def tag() -> list[Prediction]:
        with open_(task.path) as recording:
            total = None if recording.frames is None else recording.frames / recording.sample_rate
            on_end = (lambda seconds: on_window(task.path, seconds, total)) if on_window else None
            keep = setup.spectrogram and is_drawable(recording)
            return tagger.tag_channels(recording, setup.settings, spectrogram=keep, on_window=on_end)

    try:
        predictions = run_with_timeout(tag, setup.timeout)
        _check_unchanged(task)
    except (UsageError, DependencyError):
        raise
    except Exception as error:  # whatever a decoder raises
        return _failed(task, error)
    records = tuple(prediction.to_dict() for prediction in predictions)
    if setup.mirror is not None:
        try:
            _write_result(setup.mirror, task, setup.format, records)
        except OutputError as error:
            _check_mirror(setup.mirror)
            if _is_full(error):
                raise
            return _failed(task, error)
    drawable = predictions[0] if setup.spectrogram else None
    return Outcome(task, records, warnings=tagger.warnings, drawable=drawable)


def is_drawable(recording: Recording) -> bool:
    """Whether a recording is known to be short enough to hold its spectrogram in memory."""
    return recording.frames is not None and recording.frames <= MAX_DRAWN_SECONDS * recording.sample_rate


def explain_failure(error: Exception, path: str) -> str:
    """One line for a recording that could not be tagged."""
    if isinstance(error, AudioError):
        return str(error)
    name = printable(path)
    if isinstance(error, MemoryError):
        return f"{name}: out of memory: try a shorter window"
    if isinstance(error, StalledError):
        return f"{name}: {error} (a longer timeout allows more)"
    if isinstance(error, DiffresError):
        return f"{name}: {error}"
    return f"{name}: unexpected {type(error).__name__}: {error} (the debug option shows where)"


def _failed(task: Task, error: Exception) -> Outcome:
    failure = Failure(task.name, explain_failure(error, task.path), "".join(format_exception(error)))
    return Outcome(task, failure=failure, timed_out=isinstance(error, StalledError))


def _check_unchanged(task: Task) -> None:
    """A file that grew or was replaced meanwhile may have been read half old, half new."""
    if not task.modified:
        return
    name = printable(task.path)
    try:
        now = Path(task.path).stat()
    except OSError as error:
        raise AudioError(f"{name}: the file disappeared while it was read ({error.strerror})") from error
    if (now.st_size, now.st_mtime_ns) != (task.size, task.modified):
        raise AudioError(f"{name}: changed since this run began: run again to tag it")


def _write_result(mirror: Path, task: Task, format_: str, records: tuple[Record, ...]) -> None:
    _check_mirror(mirror)
    path = mirror / (task.name + find_format(format_).suffix)
    make_folder(path.parent)
    write_atomically(path, b"".join(make_writer(format_).format_file(records)), durable=False)


def _check_mirror(mirror: Path) -> None:
    if not mirror.is_dir():
        raise OutputError(f"the output folder {mirror} is gone: bring it back and run the same command again")


def _is_full(error: OutputError) -> bool:
    """Whether no other result could be written either; a name too long affects one recording only."""
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in _DISK_ERRORS
