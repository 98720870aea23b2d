"""The predictions of a recording's windows -> its own, or that of one of its channels."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from diffres_cli.arrays import Floats
from diffres_cli.audio import Recording
from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.tagging.events import find_runs, join_events
from diffres_cli.tagging.labels import pool_scores, rank_labels, top_classes
from diffres_cli.tagging.prediction import Event, Prediction, WindowPrediction
from diffres_cli.tagging.settings import Settings, require


@dataclass
class PredictionBuilder:
    """Puts the windows of one channel together.

    Attributes:
        card: the model's. settings: resolved. framewise: keep the windows' scores along time.
    """

    card: ModelCard
    settings: Settings
    framewise: bool
    _windows: list[WindowPrediction] = field(default_factory=list)
    _scores: Floats | None = None  # [classes], the largest so far
    _events: list[Event] = field(default_factory=list)

    def add_window(self, window: WindowPrediction) -> None:
        """Add the next window."""
        settings, scores = self.settings, window.probabilities
        self._scores = pool_scores(self._scores, scores)
        if settings.events:
            allowed = settings.allowed(self.card)
            classes = top_classes(scores, settings.top_k, settings.min_confidence, allowed)
            self._events += find_runs(window, classes, self.card, settings.min_confidence)
        if not self.framewise:  # of ten hours they are 200 MB; the runs in them are next to nothing
            window = replace(window, framewise=None, framewise_times=None)
        self._windows.append(window)

    def make_prediction(self, recording: Recording, channel: int | None) -> Prediction:
        """The prediction of a recording that has ended; `channel` None for the mix."""
        card, settings, scores = self.card, self.settings, require(self._scores)
        events = join_events(self._events, settings.merge_gap, settings.min_duration)
        allowed = settings.allowed(card)
        return Prediction(
            file=recording.name,
            duration=recording.duration,
            sample_rate=recording.sample_rate,
            model=card.name,
            fps=require(settings.fps),
            min_confidence=settings.min_confidence,
            labels=rank_labels(scores, card, settings.top_k, settings.min_confidence, allowed),
            windows=tuple(self._windows),
            warnings=tuple(recording.warnings),
            events=events if settings.events else None,
            frame_rate=card.mel.frame_rate,
            channel=channel,
        )
