"""Many recordings through one tagger: every good one is written, every bad one is reported at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from diffres_cli.audio import Recording, open_recording, printable
from diffres_cli.errors import AudioError, DependencyError, DiffresError, OverdueError, UsageError
from diffres_cli.outputs.sink import Sink
from diffres_cli.outputs.writer import Writer
from diffres_cli.tagging.prediction import Prediction
from diffres_cli.tagging.tagger import Settings, Tagger
from diffres_cli.timeouts import DEFAULT_TIMEOUT, run_with_timeout

LONGEST_DRAWN = 600.0  # seconds: 128 mel bins at 100 fps take 50 kB a second
ALL_DONE, SOME_FAILED, NOTHING_SUCCEEDED = 0, 1, 3


@dataclass
class Summary:
    """How a run went: `done` recordings were written; `failures` and `warnings` are lines to show."""

    done: int = 0
    failures: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 all done, 1 some inputs failed, 3 nothing succeeded."""
        if not self.failures:
            return ALL_DONE
        return SOME_FAILED if self.done else NOTHING_SUCCEEDED


def tag_all(
    tagger: Tagger,
    found: Iterable[Path | AudioError],
    settings: Settings,
    writer: Writer,
    sink: Sink,
    *,
    wants_spectrogram: Callable[[Recording], bool] | None = None,
    on_window: Callable[[Path, float, float | None], None] | None = None,
    on_done: Callable[[Prediction], None] | None = None,
    on_failure: Callable[[Exception], None] | None = None,
    timeout: float = DEFAULT_TIMEOUT,
) -> Summary:
    """Tag and write recordings in order. One bad recording never costs the good ones.

    Args:
        found: as `find_recordings` gives them, inputs that come to nothing among them.
        wants_spectrogram: whether to keep a recording's spectrogram, for `on_done`.
        on_window: told the file, the seconds done, and of how many; None where its header does not say.
        on_done: given each prediction, of a recording or a channel, once written.
        on_failure: given what was raised by each recording that could not be tagged.
        timeout: seconds without progress after which a recording is given up; 0: never.

    Raises:
        UsageError: settings out of range. OutputError: results can no longer be written.
        DependencyError: the decoder is not installed, or does not load.
    """
    summary = Summary(warnings=list(tagger.warnings))
    sink.write(writer.format_header())
    for item in found:
        try:
            tag = partial(_tag, tagger, item, settings, wants_spectrogram, on_window)
            predictions = run_with_timeout(tag, timeout)
        except (UsageError, DependencyError):
            raise
        except Exception as error:  # whatever a decoder thinks of
            summary.failures.append(explain(error, item))
            if on_failure:
                on_failure(error)
            continue
        for prediction in predictions:
            for piece in writer.format_record(prediction.to_dict()):
                sink.write(piece)
            if on_done:
                on_done(prediction)
        summary.done += 1
        first = predictions[0]  # warnings are the recording's, the same of every channel
        summary.warnings += [f"{printable(first.file)}: {text}" for text in first.warnings]
    sink.write(writer.format_footer())
    return summary


def _tag(
    tagger: Tagger,
    item: Path | AudioError,
    settings: Settings,
    wants_spectrogram: Callable[[Recording], bool] | None,
    on_window: Callable[[Path, float, float | None], None] | None,
) -> list[Prediction]:
    if isinstance(item, DiffresError):
        raise item
    with open_recording(item) as recording:
        total = None if recording.frames is None else recording.frames / recording.sample_rate
        told = (lambda seconds: on_window(item, seconds, total)) if on_window else None
        keep = wants_spectrogram is not None and wants_spectrogram(recording)
        return tagger.tag_channels(recording, settings, spectrogram=keep, on_window=told)


def explain(error: Exception, item: Path | AudioError) -> str:
    """One line for a recording that could not be tagged."""
    if isinstance(error, AudioError):
        return str(error)
    name = printable(str(item))
    if isinstance(error, MemoryError):
        return f"{name}: out of memory: try a shorter window"
    if isinstance(error, OverdueError):
        return f"{name}: {error} (a longer timeout allows more)"
    if isinstance(error, DiffresError):
        return f"{name}: {error}"
    return f"{name}: unexpected {type(error).__name__}: {error} (--debug shows where)"


def is_drawable(recording: Recording) -> bool:
    """Whether a recording is known to be short enough to hold its spectrogram in memory."""
    return recording.frames is not None and recording.frames <= LONGEST_DRAWN * recording.sample_rate
