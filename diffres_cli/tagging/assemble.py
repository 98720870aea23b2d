"""What a model computes of windows -> their predictions -> that of a recording, or of one channel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from diffres_cli.arrays import Floats, Seconds
from diffres_cli.audio import Recording
from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.checkpoint.parts import frequencies
from diffres_cli.inference.timing import column_times, frame_times, warp_edges
from diffres_cli.tagging.events import join, runs
from diffres_cli.tagging.labels import best, pool, rank
from diffres_cli.tagging.prediction import AdaptiveSpectrogram, Event, Prediction, WindowPrediction
from diffres_cli.tagging.settings import Settings

_T = TypeVar("_T")


@dataclass
class Windows:
    """The windows of one channel, as they come.

    Attributes:
        found: the windows. scores: the largest of each class so far, [classes]. events: of the windows.
    """

    found: list[WindowPrediction] = field(default_factory=list)
    scores: Floats | None = None
    events: list[Event] = field(default_factory=list)


class Assembler:
    """Puts predictions together, in labels and seconds.

    Args:
        card: the model's. settings: resolved.
    """

    def __init__(self, card: ModelCard, settings: Settings) -> None:
        self._card = card
        self._settings = settings
        self._allowed = settings.allowed(card)

    def window(
        self, values: dict[str, Floats], output_frames: int, first: int, samples: int
    ) -> WindowPrediction:
        """The prediction of a window.

        Args:
            values: what the model computed of it, by the names of `runtime.OUTPUTS`, without the batch axis.
            output_frames: t. first: its first sample in the recording.
            samples: how many, at the model's rate.
        """
        start = first / self._card.sample_rate
        end = (first + samples) / self._card.sample_rate
        probabilities = values["probabilities"]
        edges = self._edges(values, output_frames, start, end)
        settings = self._settings
        return WindowPrediction(
            start=start,
            end=end,
            labels=rank(probabilities, self._card, settings.top_k, settings.min_confidence, self._allowed),
            probabilities=probabilities,
            spectrogram=self._spectrogram(values, edges, start) if "mel" in values else None,
            framewise=values.get("framewise"),
            framewise_times=column_times(edges, len(values["framewise"])) if "framewise" in values else None,
            importance=values["importance"] if settings.importance else None,
            embedding=values.get("embedding"),
        )

    def add(self, windows: Windows, window: WindowPrediction, framewise: bool) -> None:
        """Take in the next window of a channel; framewise: keep its scores along time."""
        windows.scores = pool(windows.scores, window.probabilities)
        if self._settings.events:
            windows.events += self._runs(window)
        # Ten hours of framewise scores are 200 MB; the runs in them are next to nothing.
        windows.found.append(window if framewise else replace(window, framewise=None, framewise_times=None))

    def prediction(self, recording: Recording, windows: Windows, channel: int | None) -> Prediction:
        """The prediction of a recording that has ended, or of one of its channels."""
        settings = self._settings
        scores = given(windows.scores)
        events = join(windows.events, settings.merge_gap, settings.min_duration)
        return Prediction(
            file=recording.name,
            duration=recording.duration,
            sample_rate=recording.sample_rate,
            model=self._card.name,
            fps=given(settings.fps),
            min_confidence=settings.min_confidence,
            labels=rank(scores, self._card, settings.top_k, settings.min_confidence, self._allowed),
            windows=tuple(windows.found),
            warnings=tuple(recording.warnings),
            events=events if settings.events else None,
            frame_rate=self._card.mel.frame_rate,
            channel=channel,
        )

    def _runs(self, window: WindowPrediction) -> Iterator[Event]:
        settings = self._settings
        classes = best(window.probabilities, settings.top_k, settings.min_confidence, self._allowed)
        return runs(window, classes, self._card, settings.min_confidence)

    def _edges(self, values: dict[str, Floats], output_frames: int, start: float, end: float) -> Seconds:
        if "importance" not in values:  # nobody asked for anything that lies in time
            return np.array([start, end])
        return warp_edges(values["importance"], output_frames, self._card.mel.frame_rate, start, end)

    def _spectrogram(self, values: dict[str, Floats], edges: Seconds, start: float) -> AdaptiveSpectrogram:
        mel = self._card.mel
        importance = values["importance"]
        return AdaptiveSpectrogram(
            mel=values["mel"],
            merged=values["merged"],
            importance=importance,
            frame_times=frame_times(len(importance), mel.frame_rate, start),
            edges=edges,
            mel_frequencies=frequencies(self._card.variant.front_end, mel),
        )


def given(value: _T | None) -> _T:
    """A value of resolved settings, which have no blanks."""
    assert value is not None, "resolved settings have no blanks"
    return value
