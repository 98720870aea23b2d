"""What a model computes of windows -> their predictions -> the prediction of a recording or a channel."""

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
from diffres_cli.tagging.events import find_runs, join_events
from diffres_cli.tagging.labels import pool_scores, rank_labels, top_classes
from diffres_cli.tagging.prediction import AdaptiveSpectrogram, Event, Label, Prediction, WindowPrediction
from diffres_cli.tagging.settings import Settings

_T = TypeVar("_T")


@dataclass
class ChannelWindows:
    """The windows of one channel that were tagged so far.

    Attributes:
        tagged: their predictions. scores: the largest of each class so far, [classes].
        events: those of the windows.
    """

    tagged: list[WindowPrediction] = field(default_factory=list)
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

    def make_window(
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
            labels=self._rank(probabilities),
            probabilities=probabilities,
            spectrogram=self._spectrogram(values, edges, start) if "mel" in values else None,
            framewise=values.get("framewise"),
            framewise_times=column_times(edges, len(values["framewise"])) if "framewise" in values else None,
            importance=values["importance"] if settings.importance else None,
            embedding=values.get("embedding"),
        )

    def add_window(self, windows: ChannelWindows, window: WindowPrediction, framewise: bool) -> None:
        """Add the next window of a channel; framewise: keep its scores along time."""
        windows.scores = pool_scores(windows.scores, window.probabilities)
        if self._settings.events:
            windows.events += self._runs(window)
        # Ten hours of framewise scores are 200 MB; the runs in them are next to nothing.
        windows.tagged.append(window if framewise else replace(window, framewise=None, framewise_times=None))

    def make_prediction(
        self, recording: Recording, windows: ChannelWindows, channel: int | None
    ) -> Prediction:
        """The prediction of a recording that has ended, or of one of its channels."""
        settings = self._settings
        scores = require(windows.scores)
        events = join_events(windows.events, settings.merge_gap, settings.min_duration)
        return Prediction(
            file=recording.name,
            duration=recording.duration,
            sample_rate=recording.sample_rate,
            model=self._card.name,
            fps=require(settings.fps),
            min_confidence=settings.min_confidence,
            labels=self._rank(scores),
            windows=tuple(windows.tagged),
            warnings=tuple(recording.warnings),
            events=events if settings.events else None,
            frame_rate=self._card.mel.frame_rate,
            channel=channel,
        )

    def _rank(self, scores: Floats) -> tuple[Label, ...]:
        settings = self._settings
        return rank_labels(scores, self._card, settings.top_k, settings.min_confidence, self._allowed)

    def _runs(self, window: WindowPrediction) -> Iterator[Event]:
        settings = self._settings
        classes = top_classes(window.probabilities, settings.top_k, settings.min_confidence, self._allowed)
        return find_runs(window, classes, self._card, settings.min_confidence)

    def _edges(self, values: dict[str, Floats], output_frames: int, start: float, end: float) -> Seconds:
        if "importance" not in values:  # nothing that lies in time was asked for
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


def require(value: _T | None) -> _T:
    """A value that resolved settings always have."""
    assert value is not None, "settings are resolved"
    return value
