"""The predictions of a recording's windows -> its own, or that of one of its channels."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from diffres_cli.arrays import Floats
from diffres_cli.audio import Recording
from diffres_cli.tagging.events import find_runs, join_events
from diffres_cli.tagging.labels import Ranker, pool_scores
from diffres_cli.tagging.prediction import Event, Prediction, WindowPrediction
from diffres_cli.tagging.settings import Settings, require


@dataclass
class PredictionBuilder:
    """Puts the windows of one channel together.

    Attributes:
        ranker: of the settings. settings: resolved. framewise: keep the windows' scores along time.
    """

    ranker: Ranker
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
            classes = self.ranker.top_classes(scores)
            self._events += find_runs(window, classes, self.ranker.card, settings.min_confidence)
        if not self.framewise:  # of ten hours they are 200 MB; the runs in them are next to nothing
            window = replace(window, framewise=None, framewise_times=None)
        self._windows.append(window)

    def make_prediction(self, recording: Recording, channel: int | None) -> Prediction:
        """The prediction of a recording that has ended; `channel` None for the mix."""
        card, settings, scores = self.ranker.card, self.settings, require(self._scores)
        events = join_events(self._events, settings.merge_gap, settings.min_duration)
        return Prediction(
            file=recording.name,
            duration=recording.duration,
            sample_rate=recording.sample_rate,
            model=card.name,
            fps=require(settings.fps),
            min_confidence=settings.min_confidence,
            labels=self.ranker.top_labels(scores),
            windows=tuple(self._windows),
            warnings=tuple(recording.warnings),
            events=events if settings.events else None,
            frame_rate=card.mel.frame_rate,
            channel=channel,
        )
