"""How to tag: frame rate, windows, which labels, and what to keep of each window."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from diffres_cli.audio import Channel
from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.errors import UsageError
from diffres_cli.tagging.labels import Indices, select

CHANNELS = "choose mix, each or the number of a channel, from 1"


@dataclass(frozen=True)
class Settings:
    """How to tag. None means the model's own default.

    Attributes:
        fps: output frames per second.
        top_k, min_confidence: how many labels, and from which score.
        window, overlap: seconds of audio classified at once, and shared by neighbours.
        start, duration: the part of the recording to tag, in seconds; None: to its end.
        channel: "mix" for the mean of all channels, the number of one, from 1, or "each".
        labels: only these, by name or id; None: all the model knows.
        events: find the labels' starts and ends; merge_gap, min_duration: see `events.join`, in seconds.
        importance, embeddings: keep each window's importance curve, and its pooled feature.
    """

    fps: float | None = None
    top_k: int = 5
    min_confidence: float = 0.1
    window: float | None = None
    overlap: float = 0.0
    start: float = 0.0
    duration: float | None = None
    labels: tuple[str, ...] | None = None
    events: bool = False
    merge_gap: float = 0.0
    min_duration: float = 0.0
    importance: bool = False
    embeddings: bool = False
    channel: Channel = "mix"

    def resolve(self, card: ModelCard) -> Settings:
        """These settings with the model's defaults filled in.

        Raises:
            UsageError: a value out of range, named with the option that sets it.
        """
        fps = card.default_fps if self.fps is None else self.fps
        card.check_fps(fps)
        least = card.mel.minimum_samples / card.sample_rate
        window = max(least, card.sample_duration) if self.window is None else self.window
        _require(self.top_k >= 1, f"--top-k {self.top_k}: must be at least 1")
        _require(0 <= self.min_confidence <= 1, f"--min-confidence {self.min_confidence:g}: must be 0 to 1")
        _require(least <= window <= 3600, f"--window {window:g}: must be {least:g} to 3600 seconds")
        _require(
            0 <= self.overlap <= 0.99 * window,
            f"--overlap {self.overlap:g}: must be 0 to 99 % of the window ({window:g} seconds)",
        )
        _require(0 <= self.start < math.inf, f"--start {self.start:g}: must be 0 or more seconds")
        _require(
            self.duration is None or 1 / card.sample_rate <= self.duration < math.inf,
            f"--duration {self.duration or 0:g}: must be more than 0 seconds",
        )
        for option, value in (("--merge-gap", self.merge_gap), ("--min-duration", self.min_duration)):
            _require(0 <= value <= 3600, f"{option} {value:g}: must be 0 to 3600 seconds")
        _require(_is_channel(self.channel), f"--channel {self.channel}: {CHANNELS}")
        self.allowed(card)
        return replace(self, fps=fps, window=window)

    def allowed(self, card: ModelCard) -> Indices | None:
        """The classes that `labels` names; None for all.

        Raises:
            UsageError: a name the model does not know.
        """
        return None if self.labels is None else select(card, self.labels)


def _is_channel(channel: object) -> bool:
    if isinstance(channel, str):
        return channel in ("mix", "each")
    return isinstance(channel, int) and not isinstance(channel, bool) and channel >= 1


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise UsageError(message)
