"""The result types: the labels of a recording, and what DiffRes did to its spectrogram."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from diffres_cli.arrays import Floats, Seconds
from diffres_cli.imports import required
from diffres_cli.tagging.record import Record, make_record, table_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure


EVEN_RANGE = 0.1
"""The 5 to 95 % range of an even importance is under this share of its mean."""


def is_even(importance: Floats) -> bool:
    """Whether importance [T] hardly varies, so that DiffRes merges frames evenly, as average pooling does.

    >>> is_even(np.float32([0.25, 0.26, 0.25])), is_even(np.float32([0.1, 0.8, 0.1]))
    (True, False)
    """
    low, high = np.percentile(importance, [5, 95])
    return bool(high - low < EVEN_RANGE * importance.mean())


@dataclass(frozen=True)
class Label:
    """A class the model found, with its score in [0, 1]. `id` is the ontology's (AudioSet: a MID).

    `parents` are the labels above it, nearest first, as Dog and Animal are above Bark.
    """

    label: str
    id: str
    score: float
    parents: tuple[str, ...] = ()


@dataclass(frozen=True)
class Event:
    """A label from `start` to `end`, in seconds of the recording.

    `score`, in [0, 1], is the largest framewise score in between: it shows where the label stands
    out, and cannot be compared with a window's probability.
    """

    label: str
    id: str
    start: float
    end: float
    score: float


@dataclass(frozen=True, eq=False)
class AdaptiveSpectrogram:
    """One window before and after DiffRes: F mel bins, T input frames, t output frames.

    Shape:
        mel: [F, T], linear power. merged: [F, t], linear power, the mean of the frames in each row.
        importance: [T], each in [0, 1], summing to t (Eq. 3 after the rescale): the share of an
            output frame that an input frame receives.
        frame_times: [T], the centre of each input frame, in seconds of the recording.
        edges: [t + 1], seconds of the recording: output frame i covers edges[i] to edges[i + 1].
            Non-decreasing; the first is the window's start, the last its end.
        mel_frequencies: [F], the centre of each mel bin, Hz.
    """

    mel: Floats
    merged: Floats
    importance: Floats
    frame_times: Seconds
    edges: Seconds
    mel_frequencies: Floats

    def __repr__(self) -> str:
        shapes = f"mel {list(self.mel.shape)} -> merged {list(self.merged.shape)}"
        return f"<AdaptiveSpectrogram {self.edges[0]:g} to {self.edges[-1]:g} s: {shapes}>"


@dataclass(frozen=True, eq=False)
class WindowPrediction:
    """The scores of one window of a recording, `start` to `end` in seconds.

    What was not asked for is None. `importance_is_even`: see `is_even`; None where no frames were merged.

    Shape:
        probabilities: [classes].
        framewise: [t', classes], scores along the classifier's last feature map.
        framewise_times: [t' + 1], seconds of the recording: row k of `framewise` covers
            framewise_times[k] to framewise_times[k + 1].
        importance: [T], see `AdaptiveSpectrogram`. embedding: [features], the last feature map's mean.
    """

    start: float
    end: float
    labels: tuple[Label, ...]
    probabilities: Floats
    spectrogram: AdaptiveSpectrogram | None = None
    framewise: Floats | None = None
    framewise_times: Seconds | None = None
    importance: Floats | None = None
    embedding: Floats | None = None
    importance_is_even: bool | None = None

    def __repr__(self) -> str:
        return f"<WindowPrediction {self.start:g} to {self.end:g} s: {_list_labels(self.labels)}>"


@dataclass(frozen=True, eq=False)
class Prediction:
    """A tagged recording: its labels, its windows, and the settings that produced them.

    `duration` is in seconds, `sample_rate` is the recording's own, in Hz. `warnings` says what was
    odd about the file (a header that promises more than there is) although it could be tagged.
    `events` is None unless asked for. `frame_rate` is that of the importance, input frames per second.
    `channel`, counted from 1, is None for the mean of all.
    """

    file: str
    duration: float
    sample_rate: int
    model: str
    fps: float
    min_confidence: float
    labels: tuple[Label, ...]
    windows: tuple[WindowPrediction, ...]
    warnings: tuple[str, ...] = field(default=())
    events: tuple[Event, ...] | None = None
    frame_rate: float | None = None
    channel: int | None = None

    def __repr__(self) -> str:
        channel = "" if self.channel is None else f", channel {self.channel}"
        settings = f"{self.file!r}{channel}, {self.duration:.4g} s at {self.fps:g} fps"
        return f"<Prediction {settings}: {_list_labels(self.labels)}>"

    def to_dict(self) -> Record:
        """The documented JSON record of the prediction, as `diffres tag -f json` writes it.

        Times are rounded to the millisecond, scores to four decimals; see `diffres_cli.tagging.record`.
        """
        return make_record(self)

    def to_pandas(self) -> Any:
        """A pandas.DataFrame with one row per label of a window, or per event, in the columns of `-f csv`.

        Importance (with its `frame_rate`, Hz) and embedding, where they were kept, are lists in the window's
        first row.

        Raises:
            MissingDependencyError: pandas is not installed.
        """
        with required("to_pandas()", "pandas"):
            pandas = import_module("pandas")
        return pandas.DataFrame(table_rows(self.to_dict(), arrays=True))

    def plot(self, path: str | Path | None = None, *, width: float = 3.5, dpi: int = 300) -> Figure:
        """Draw mel spectrogram, importance, warp and merged spectrogram; see `diffres_cli.draw`.

        Args:
            path: a .png, .svg or .pdf to write; None: only return the figure, which a notebook shows.
            width: in inches. dpi: pixels per inch of what is not letters and lines.

        Raises:
            UsageError: tagged without spectrograms; another suffix; a width or dpi out of range.
            OutputError: the file cannot be written.
        """
        import diffres_cli  # its front door: what draws predictions stands above them

        return diffres_cli.draw([self], path, width=width, dpi=dpi)

    @property
    def importance(self) -> Floats:
        """Importance of every input frame of every window, [frames]. See `AdaptiveSpectrogram`."""
        kept = [window.importance for window in self.windows if window.importance is not None]
        return np.concatenate(kept or [view.importance for view in self._spectrograms()])

    @property
    def importance_is_even(self) -> bool | None:
        """Whether importance is even in all windows; None where no frames were merged, as at full rate."""
        found = [window.importance_is_even for window in self.windows]
        known = [even for even in found if even is not None]
        return all(known) if known else None

    @property
    def frame_times(self) -> Seconds:
        """Centre of every input frame, [frames], in seconds of the recording."""
        return np.concatenate([view.frame_times for view in self._spectrograms()])

    @property
    def edges(self) -> list[Seconds]:
        """Warp edges of each window, one [t + 1] array a window, in seconds of the recording."""
        return [view.edges for view in self._spectrograms()]

    def _spectrograms(self) -> list[AdaptiveSpectrogram]:
        views = [window.spectrogram for window in self.windows if window.spectrogram is not None]
        if not views:
            raise AttributeError("tagged without spectrograms: call tag(..., spectrogram=True)")
        return views


def _list_labels(labels: Sequence[Label]) -> str:
    return ", ".join(f"{label.label} {label.score:.2f}" for label in labels) or "no labels"
